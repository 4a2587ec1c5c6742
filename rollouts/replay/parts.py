"""What is compared beside the steps: the final patch, the verdict, and the totals of the episode."""

import json
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from ...envs.verdict import Verdict
from ..episode_log import PATCH, patch_facts
from ..trajectory import Trajectory
from ..verdicts import VERDICT, verdict_payload
from .compare import Comparer, diverged, settled
from .normalise import Clock
from .report import Difference, Hint, Match, PartReplay, worst

__all__ = ["compare_end", "compare_patch", "compare_verdict"]

_INDEX = re.compile(r"^index [0-9a-f]+\.\.[0-9a-f]+", re.MULTILINE)
_GRADED = ("resolved", "reason", "failure", "patch_applied", "apply_command", "set_aside", "tests_status")
"""Of a verdict; the rest are names drawn at random, durations, and texts that quote them."""
_DIGITS = 6


def compare_patch(trajectory: Trajectory, patch: str, clocks: tuple[Clock, Clock]) -> PartReplay | None:
    """The recorded final patch against that of the replay, and against its own digest and file."""
    recorded = trajectory.patch
    if recorded is None:
        return None
    found = list(_patches(recorded.patch, patch, Comparer(*clocks)))
    found += [
        diverged(name, str(settled(getattr(recorded, name))), str(value)).model_copy(update={"hint": Hint.RECORD})
        for name, value in patch_facts(recorded.patch).items()
        if settled(getattr(recorded, name)) != settled(value)
    ]
    file = _read(trajectory, PATCH)
    if file is not None and file != recorded.patch:
        found.append(diverged(PATCH, file, recorded.patch).model_copy(update={"hint": Hint.RECORD}))
    return _part(found)


def _patches(recorded: str, replayed: str, comparer: Comparer) -> Iterator[Difference]:
    """Where content is equivalent and not identical, the ids of that content differ too."""
    for item in comparer.compare("patch", recorded, replayed):
        left, right = (_INDEX.sub("index <ids>", text) for text in (recorded, replayed))
        again = next(comparer.compare("patch", left, right), None)
        if item.match is Match.DIVERGED and again is not None and again.match is Match.EQUIVALENT:
            yield again.model_copy(update={"normalisers": (*again.normalisers, "content_ids")})
        else:
            yield item


def compare_verdict(trajectory: Trajectory, verdict: Verdict) -> PartReplay:
    """The recorded verdict against one that was found now, and against its own file."""
    recorded = trajectory.verdict
    if recorded is None:
        raise ValueError("no verdict was recorded")
    now = verdict_payload(verdict)
    pairs: list[tuple[str, Any, Any]] = [
        ("resolved", recorded.resolved, now.resolved),
        ("outcome", recorded.outcome, now.outcome),
        *((f"report.{name}", recorded.report.get(name), settled(now.report.get(name))) for name in _GRADED),
    ]
    pairs.append(("report.canaries.state", _state(recorded.report), _state(now.report)))
    found = [_difference(name, then, again) for name, then, again in pairs if _sorted(then) != _sorted(again)]
    patch = trajectory.patch.patch if trajectory.patch is not None else None
    digest = sha256(patch.encode("utf-8", "surrogatepass")).hexdigest() if patch else None
    if recorded.patch_sha256 is not None and recorded.patch_sha256 != digest:
        found.append(_difference("patch_sha256", recorded.patch_sha256, digest, Hint.RECORD))
    file = _read(trajectory, VERDICT)
    if file is not None and json.loads(file) != settled(recorded.report):
        shown = json.dumps(recorded.report, indent=2, ensure_ascii=False)
        found.append(diverged(VERDICT, file, shown + "\n").model_copy(update={"hint": Hint.RECORD}))
    return _part(found)


def compare_end(trajectory: Trajectory) -> PartReplay | None:
    """The recorded totals against the recorded steps."""
    end = trajectory.end
    if end is None or end.recovered:
        return None
    rewards = [reward.reward for reward in trajectory.rewards if reward is not None]
    last = trajectory.rewards[-1].process if trajectory.rewards and trajectory.rewards[-1] is not None else None
    pairs: list[tuple[str, Any, Any]] = [
        ("steps", end.steps, len(trajectory.steps)),
        ("malformed_actions", end.malformed_actions, sum(step.malformed for step in trajectory.steps)),
        ("process_score", end.process_score, (last or {}).get("score")),
    ]
    if rewards:
        pairs.append(("mean_reward", end.mean_reward, round(sum(rewards) / len(rewards), _DIGITS)))
    found = [_difference(name, then, again, Hint.RECORD) for name, then, again in pairs if then != again]
    return _part(found)


def _difference(name: str, recorded: Any, again: Any, hint: Hint | None = None) -> Difference:
    shown = [json.dumps(_sorted(value), indent=1, ensure_ascii=False, default=str) for value in (recorded, again)]
    found = diverged(name, *shown)
    hint = hint or (Hint.TESTS if "tests_status" in name or name in ("resolved", "outcome") else None)
    return found.model_copy(update={"hint": hint}) if hint else found


def _sorted(value: Any) -> Any:
    """The order in which tests are listed says nothing."""
    if isinstance(value, Mapping):
        return {key: _sorted(item) for key, item in value.items()}  # pyright: ignore
    return sorted(value, key=str) if isinstance(value, list | tuple) else value  # pyright: ignore


def _state(report: Mapping[str, Any]) -> Any:
    canaries: Mapping[str, Any] = report.get("canaries") or {}
    return canaries.get("state")


def _read(trajectory: Trajectory, name: str) -> str | None:
    path = None if trajectory.folder is None else trajectory.folder / name
    return path.read_text("utf-8", "surrogateescape") if path is not None and path.exists() else None


def _part(found: list[Difference]) -> PartReplay:
    return PartReplay(match=worst(item.match for item in found), differences=tuple(found))
