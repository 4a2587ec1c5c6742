"""Preferences between whole trajectories of one task."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from ..config import PairsConfig
from ..trajectories.messages import Message
from ..trajectories.refusal import Refusal, Refusals
from ..trajectories.similarity import jaccard
from ..trajectories.sketch import sketch_of
from .compare import Candidate, Fork, fork, fork_id
from .confidence import Basis, verdict_stability
from .preference import Preference, Reason, Side

__all__ = ["Ground", "common_fields", "side_of", "trajectory_pairs"]


@dataclass(frozen=True, slots=True)
class Ground:
    """Why one of two is better."""

    reason: Reason
    chosen: Candidate
    rejected: Candidate
    values: tuple[float, float]
    """Of the chosen and the rejected one."""

    @property
    def margin(self) -> float:
        """The difference of the values."""
        return round(self.values[0] - self.values[1], 6)


@dataclass(frozen=True, slots=True)
class _Found:
    ground: Ground
    fork: Fork
    confidence: float
    pair_id: str

    def rank(self, seed: int) -> tuple[object, ...]:
        """Best first: by outcome, the surest, the widest apart, the most alike in length, then by the seed."""
        by_process = self.ground.reason is Reason.PROCESS
        chance = fork_id(str(seed), self.pair_id)
        return by_process, -self.confidence, -self.ground.margin, round(self.fork.ratio), chance


def trajectory_pairs(
    candidates: Sequence[Candidate], config: PairsConfig, agreement: float, refusals: Refusals
) -> Iterator[Preference]:
    """The pairs that the episodes of one task give, by their episodes; all others are counted.

    `agreement`: how often process scores point to the better outcome (`confidence.agreement`).
    """
    stable = verdict_stability((c.patch, c.verdict) for c in candidates if c.patch and c.verdict is not None)
    found = list[_Found]()
    for left, right in combinations(candidates, 2):
        pair = _examine(left, right, config, stable, agreement)
        if isinstance(pair, _Found):
            found.append(pair)
        else:
            refusals.add(pair, f"{left.name} | {right.name}")
    for pair in sorted(_chosen(found, config, refusals), key=lambda one: (one.ground.chosen.name, one.pair_id)):
        yield _preference(pair)


def _examine(
    left: Candidate,
    right: Candidate,
    config: PairsConfig,
    stable: dict[tuple[str, bool], float],
    agreement: float,
) -> _Found | Refusal:
    ground = _better(left, right, config)
    if isinstance(ground, Refusal):
        return ground
    chosen, rejected = ground.chosen, ground.rejected
    if chosen.start != rejected.start:
        return Refusal.OTHER_PROMPT
    if ground.reason is Reason.OUTCOME and chosen.patch is not None and chosen.patch == rejected.patch:
        return Refusal.SAME_PATCH
    parted = fork(chosen, rejected)
    if parted is None:
        return Refusal.SAME_BEGINNING
    if jaccard(*parted.acts) >= config.near_duplicate:
        return Refusal.NEAR_DUPLICATE
    if config.max_length_ratio is not None and parted.ratio > config.max_length_ratio:
        return Refusal.LENGTH
    confidence = agreement
    if ground.reason is Reason.OUTCOME:
        confidence = stable.get((chosen.patch or "", True), 1.0) * stable.get((rejected.patch or "", False), 1.0)
    if confidence < config.min_confidence:
        return Refusal.CONFIDENCE
    pair_id = fork_id("trajectory", chosen.name, rejected.name)
    return _Found(ground, parted, round(confidence, 4), pair_id)


def _better(left: Candidate, right: Candidate, config: PairsConfig) -> Ground | Refusal:
    """By outcome first, then by process score."""
    if (left.resolved is None) != (right.resolved is None):
        return Refusal.NOT_COMPARABLE
    if left.resolved != right.resolved:
        if "outcome" not in config.by:
            return Refusal.NOT_COMPARABLE
        chosen, rejected = (left, right) if left.resolved else (right, left)
        return Ground(Reason.OUTCOME, chosen, rejected, (1.0, 0.0))
    if "process" not in config.by:
        return Refusal.TIE
    if left.score is None or right.score is None:
        return Refusal.NOT_COMPARABLE
    if left.layers != right.layers:
        return Refusal.NOT_COMPARABLE
    chosen, rejected = (left, right) if left.score > right.score else (right, left)
    ground = Ground(Reason.PROCESS, chosen, rejected, (max(left.score, right.score), min(left.score, right.score)))
    return ground if ground.margin >= max(config.margin, 1e-6) else Refusal.TIE


def _chosen(found: Sequence[_Found], config: PairsConfig, refusals: Refusals) -> Iterator[_Found]:
    """The best, no two of them nearly the same, none of their episodes too often."""
    uses, kept = Counter[str](), list[tuple[frozenset[int], frozenset[int]]]()
    for pair in sorted(found, key=lambda one: one.rank(config.seed)):
        names = pair.ground.chosen.name, pair.ground.rejected.name
        sides, alike = pair.fork.acts, config.near_duplicate
        if any(jaccard(sides[0], a) >= alike and jaccard(sides[1], b) >= alike for a, b in kept):
            refusals.add(Refusal.NEAR_DUPLICATE, " | ".join(names))
        elif len(kept) >= config.per_task or any(uses[name] >= config.per_episode for name in names):
            refusals.add(Refusal.ENOUGH, " | ".join(names))
        else:
            kept.append(sides)
            uses.update(names)
            yield pair


def _preference(pair: _Found) -> Preference:
    ground, parted = pair.ground, pair.fork
    by_outcome = ground.reason is Reason.OUTCOME
    return Preference(
        pair_id=pair.pair_id,
        level="trajectory",
        step=parted.step,
        prompt=parted.prompt,
        chosen=side_of(ground.chosen, parted.left, ground.values[0]),
        rejected=side_of(ground.rejected, parted.right, ground.values[1]),
        reason=ground.reason,
        why=_why(ground),
        layers=("verdict",) if by_outcome else ground.chosen.layers,
        margin=ground.margin,
        confidence=pair.confidence,
        basis=Basis.VERDICT if by_outcome else Basis.AGREEMENT,
        **common_fields(ground.chosen),
    )


def common_fields(candidate: Candidate) -> dict[str, Any]:
    """Fields of a preference that both sides share."""
    header, conversation = candidate.usable.trajectory.header, candidate.usable.conversation
    return {
        "task_id": header.task_id,
        "repo": header.repo,
        "base_commit": header.commit,
        "tools": conversation.tools,
        "chat_template_kwargs": candidate.usable.outline.source.chat_template_kwargs,
    }


def side_of(candidate: Candidate, messages: Sequence[Message], value: float, continuations: Sequence[str] = ()) -> Side:
    """One side of a pair."""
    trajectory = candidate.usable.trajectory
    header = trajectory.header
    answers = (message for message in messages if message["role"] == "assistant")
    return Side(
        messages=tuple(messages),
        run_id=candidate.usable.outline.source.run_id,
        episode_id=header.episode_id,
        agent=header.agent,
        agent_version=header.agent_version,
        model=header.model,
        privileged=trajectory.start.privileged,
        value=value,
        rollouts=max(len(continuations), 1),
        continuations=tuple(continuations),
        resolved=trajectory.resolved,
        process_score=trajectory.process_score,
        steps=sum(len(answer.get("tool_calls") or (None,)) for answer in answers),
        patch_sha256=candidate.patch,
        patch_sketch=sketch_of(trajectory.patch.patch) if trajectory.patch is not None else None,
    )


def _why(ground: Ground) -> str:
    if ground.reason is Reason.OUTCOME:
        verdict = ground.rejected.usable.trajectory.verdict
        if ground.rejected.verdict:
            return "resolved and submitted; the other was not submitted"
        return f"resolved; the other is not ({(verdict and verdict.outcome) or 'unresolved'})"
    state = {True: "both resolved", False: "neither resolved", None: "no verdicts"}[ground.chosen.resolved]
    return f"process score {ground.values[0]:.3f} against {ground.values[1]:.3f}; {state}"
