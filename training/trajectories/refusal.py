"""Why an episode, a pair or a row is not used. Every refusal is counted under one of these names."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["Refusal", "Refusals"]

_NAMED = 20


class Refusal(StrEnum):
    """The closed list of reasons."""

    DAMAGED = "damaged"
    """The log cannot be read, or its hash chain is broken."""
    UNFINISHED = "unfinished"
    """The episode still runs, or its process died."""
    INTERRUPTED = "interrupted"
    """It was stopped from outside and is to be done again."""
    INFRASTRUCTURE = "infrastructure"
    """The environment, a service, a tool of ours or the grader failed: it says nothing about the agent."""
    FORGED = "forged"
    """The verdict says that test results were forged, or that the patch reached into the test runner."""
    PRIVILEGED = "privileged"
    """The policy was shown the reference patch; or it took over steps of such a one, or of one not among the runs."""
    OUTCOME = "outcome"
    """Another outcome than asked for, or no verdict."""
    PROCESS_SCORE = "process_score"
    """The process score is too low, or there is none."""
    STEP_REWARD = "step_reward"
    """A step's reward is too low, or there is none."""
    STOP_REASON = "stop_reason"
    """It ended another way than asked for."""
    TOO_SHORT = "too_short"
    """Fewer steps than asked for."""
    TOO_LONG = "too_long"
    """More steps, characters or tokens than asked for."""
    NOTHING_SAID = "nothing_said"
    """There is no answer of an agent in it."""
    NOT_PORTABLE = "not_portable"
    """An argument is a number that JSON readers do not agree on (beyond 64 bits, not finite)."""
    NO_TOKENS = "no_tokens"
    """The tokens of its answers were not recorded; or, of a pair, they are not one sequence."""
    NEAR_DUPLICATE = "near_duplicate"
    """Nearly the same as one already used; of a pair, its two sides."""
    LEAK_INSTANCE = "leak_instance"
    """Its task is an evaluation task."""
    LEAK_REPOSITORY = "leak_repository"
    """Its repository is one of the evaluation tasks."""
    LEAK_PATCH = "leak_patch"
    """Its patch, or its task's reference patch, is nearly that of an evaluation task."""
    LEAK_STATEMENT = "leak_statement"
    """Its problem statement is nearly that of an evaluation task."""
    TIE = "tie"
    """Neither side is better by the margin."""
    NOT_COMPARABLE = "not_comparable"
    """One side has a verdict or a score and the other has none."""
    SAME_PATCH = "same_patch"
    """Both sides end with the same patch, yet with different verdicts."""
    OTHER_PROMPT = "other_prompt"
    """The two sides were told different things before they acted, or were given different tools."""
    SAME_BEGINNING = "same_beginning"
    """One side is the beginning of the other."""
    LENGTH = "length"
    """One side is too many times longer."""
    CONFIDENCE = "confidence"
    """Not sure enough."""
    MARGIN = "margin"
    """Smaller a margin than asked for."""
    FEW_ROLLOUTS = "few_rollouts"
    """Too few continuations of an alternative."""
    ENOUGH = "enough"
    """As good as others, of which there are enough (by task, by state or by episode)."""


@dataclass(slots=True)
class Refusals:
    """Counts by reason, and the first names of each."""

    counts: Counter[Refusal] = field(default_factory=Counter[Refusal])
    names: dict[Refusal, list[str]] = field(default_factory=dict[Refusal, list[str]])
    leaks: dict[str, Refusal] = field(default_factory=dict[str, Refusal])
    """Each training task that leaks, with the evaluation task it gives away."""

    def add(self, reason: Refusal, name: str = "") -> None:
        """Count one."""
        self.counts[reason] += 1
        kept = self.names.setdefault(reason, [])
        if name and len(kept) < _NAMED and name not in kept:
            kept.append(name)

    @property
    def total(self) -> int:
        """All of them."""
        return self.counts.total()

    def as_dict(self) -> Mapping[str, int]:
        """For JSON, by name."""
        return {str(reason): self.counts[reason] for reason in sorted(self.counts)}

    def named(self, *reasons: Refusal) -> Mapping[str, list[str]]:
        """The names kept of these reasons (of all, without any), by reason."""
        wanted = reasons or tuple(sorted(self.names))
        return {str(reason): self.names[reason] for reason in wanted if self.names.get(reason)}
