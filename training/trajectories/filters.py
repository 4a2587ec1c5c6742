"""Which episodes may be used: what never may, and what a configuration leaves out."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from ...errors import ConfigError, Failure, MissingExtra, StopReason
from ...rollouts.payloads import Verdict
from ...rollouts.trajectory import Trajectory
from ..config import FilterConfig
from .conversation import Conversation
from .refusal import Refusal

__all__ = ["EpisodeFilter", "is_forged", "unusable"]

_OURS = frozenset({Failure.ENVIRONMENT, Failure.SERVICE, Failure.GRADER, Failure.TOOL})
_REACHES_THE_RUNNER = frozenset(
    {"test_configuration", "runner_plugin", "shadows_runner", "outside_repository", "git_internals"}
)
"""Reasons of `envs.verdict.SetAside` that no honest solution needs. Changed tests are set aside too, and no fraud."""
Tokens = Callable[[Conversation], int]


def unusable(trajectory: Trajectory) -> Refusal | None:
    """Why an episode is never used, whatever is asked for; None when it may be."""
    end = trajectory.end
    if end is None:
        return Refusal.UNFINISHED
    if end.stop_reason is StopReason.INTERRUPTED:
        return Refusal.INTERRUPTED
    if trajectory.verdict is not None and is_forged(trajectory.verdict):
        return Refusal.FORGED
    if end.failure in _OURS or end.stop_reason is StopReason.ENVIRONMENT_ERROR or _blamed(trajectory.verdict):
        return Refusal.INFRASTRUCTURE
    return None


def _blamed(verdict: Verdict | None) -> bool:
    """Whether the grader could not do its work: such a verdict says neither yes nor no."""
    return verdict is not None and (verdict.resolved is None or verdict.report.get("failure") in _OURS)


def is_forged(verdict: Verdict) -> bool:
    """Whether a verdict says that test results were forged, or that the patch reached into the test runner."""
    report = verdict.report
    if "forged" in (verdict.outcome, report.get("reason")):
        return True
    ridden: dict[str, Any] = report.get("canaries") or {}
    canaries = cast("Sequence[dict[str, Any]]", ridden.get("results") or ())
    if any(canary.get("ok") is False and not canary.get("discounted") for canary in canaries):
        return True
    aside = cast("Sequence[dict[str, Any]]", report.get("set_aside") or ())
    return any(part.get("reason") in _REACHES_THE_RUNNER for part in aside)


class EpisodeFilter:
    """Says of an episode why it may not be used."""

    def __init__(self, config: FilterConfig, *, every_step: bool = True) -> None:
        """Without `every_step`, the least reward of a step is left to whoever makes rows of steps.

        Raises MissingExtra or ConfigError when the tokenizer cannot be loaded.
        """
        self.config = config
        self._every_step = every_step
        self._tokens = _counter(config.tokenizer) if config.tokenizer is not None else None

    def episode(self, trajectory: Trajectory) -> Refusal | None:
        """Why not, as far as the trajectory says."""
        return unusable(trajectory) or self._by_choice(trajectory)

    def _by_choice(self, trajectory: Trajectory) -> Refusal | None:
        config, end = self.config, trajectory.end
        if trajectory.start.privileged and not config.privileged:
            return Refusal.PRIVILEGED
        if not _has_outcome(trajectory.resolved, config.outcome):
            return Refusal.OUTCOME
        if end is not None and config.stop_reasons is not None and end.stop_reason not in config.stop_reasons:
            return Refusal.STOP_REASON
        if config.min_process is not None and (trajectory.process_score or 0.0) < config.min_process:
            return Refusal.PROCESS_SCORE
        rewards = [reward.reward if reward is not None else None for reward in trajectory.rewards]
        if self._every_step and not all(self.reward(reward) for reward in rewards):
            return Refusal.STEP_REWARD
        if config.min_steps is not None and len(trajectory.steps) < config.min_steps:
            return Refusal.TOO_SHORT
        if config.max_steps is not None and len(trajectory.steps) > config.max_steps:
            return Refusal.TOO_LONG
        return None

    def reward(self, reward: float | None) -> bool:
        """Whether a step is worth enough."""
        least = self.config.min_step_reward
        return least is None or (reward is not None and reward >= least)

    def conversation(self, conversation: Conversation) -> Refusal | None:
        """Why not, as far as the messages say."""
        config = self.config
        if config.max_characters is not None and conversation.characters > config.max_characters:
            return Refusal.TOO_LONG
        too_many = config.max_tokens is not None and self._tokens is not None
        if too_many and cast("Tokens", self._tokens)(conversation) > cast("int", config.max_tokens):
            return Refusal.TOO_LONG
        return None


def _has_outcome(resolved: bool | None, wanted: str) -> bool:
    return {"resolved": resolved is True, "unresolved": resolved is False, "graded": resolved is not None}.get(
        wanted, True
    )


def _counter(name: str) -> Tokens:
    """Counts the tokens of a conversation, its tools included, by a tokenizer's chat template."""
    try:
        from transformers import AutoTokenizer  # pyright: ignore
    except ImportError:
        raise MissingExtra("counting tokens needs transformers: pip install 'agent-trajectory-hub[train]'") from None
    try:
        tokenizer = cast(Any, AutoTokenizer).from_pretrained(name)
    except (OSError, ValueError) as error:
        raise ConfigError(f"no tokenizer can be loaded from {name!r}: {error}") from None
    if not tokenizer.chat_template:
        raise ConfigError(f"the tokenizer {name!r} has no chat template, so a conversation has no tokens")

    def count(conversation: Conversation) -> int:
        messages, tools = list(conversation.messages), list(conversation.tools)
        return len(tokenizer.apply_chat_template(messages, tools=tools, tokenize=True, return_dict=True)["input_ids"])

    return count
