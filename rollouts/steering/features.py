"""Features of an episode so far, and of the call that comes next: running figures, one update a step.

A figure that is not known is NaN. Nothing here says which task, repository, seed or model it is.
"""

from math import isnan, log1p, nan

from .facts import ACTIONS, CallFacts, Spending, StepFacts

__all__ = ["CALL_NAMES", "NAMES", "PROGRAMS", "History"]

PROGRAMS = tuple("python python3 pytest git grep find sed cat ls cd pip make npm go cargo bash sh rm mv".split())
"""Programs that are told apart; all others are one."""
_LIMITS = frozenset(("timeout", "out_of_memory", "disk_full", "too_many_processes"))


class _Mean:
    """Running sum, largest and latest of log(1 + x), over the values that are known."""

    __slots__ = ("count", "largest", "last", "total")

    def __init__(self) -> None:
        self.count, self.total, self.largest, self.last = 0, 0.0, nan, nan

    def add(self, value: float | None) -> None:
        if value is None:
            return
        size = log1p(max(value, 0.0))
        self.count += 1
        self.total += size
        self.last = size
        self.largest = size if self.count == 1 else max(self.largest, size)

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else nan


class _Like:
    """What earlier calls of one kind came to."""

    __slots__ = ("failed", "times")

    def __init__(self) -> None:
        self.times, self.failed = _Mean(), nan


class History:
    """An episode up to now."""

    def __init__(self) -> None:
        self.steps = 0
        self.spending = Spending()
        self._actions: dict[str, int] = dict.fromkeys(ACTIONS, 0)
        self._last: StepFacts | None = None
        self._counts = dict.fromkeys(("failed", "repeated", "limits", "edits", "tests"), 0)
        self._row = 0
        self._first_edit: float = nan
        self._since_edit = nan
        self._seen: set[str] = set()
        self._edited: set[str] = set()
        self._tests = (nan, nan)
        self._times, self._gaps, self._shown, self._said, self._thought = (_Mean() for _ in range(5))
        self._rewards = (0, 0.0)
        self._like: dict[str, _Like] = {}

    def take(self, step: StepFacts) -> None:
        """A step is over."""
        counts = self._counts
        self._actions[step.action] += 1
        counts["failed"] += bool(step.failed)
        counts["repeated"] += bool(step.repeated)
        counts["limits"] += step.error in _LIMITS
        counts["tests"] += step.action == "test"
        self._row = self._row + 1 if step.failed else 0
        self._take_files(step)
        if step.tests_passed is not None and step.tests_failed is not None:
            self._tests = float(step.tests_passed), float(step.tests_failed)
        self._times.add(step.tool_ms)
        self._gaps.add(step.gap_ms)
        self._shown.add(step.observation_chars)
        self._said.add(step.action_chars)
        self._thought.add(step.thought_chars)
        if step.reward is not None:
            self._rewards = self._rewards[0] + 1, self._rewards[1] + step.reward
        for key in _likes(step.call):
            like = self._like.setdefault(key, _Like())
            like.times.add(step.tool_ms)
            like.failed = nan if step.failed is None else float(step.failed)
        self._last = step
        self.steps += 1

    def _take_files(self, step: StepFacts) -> None:
        self._seen.update(step.paths)
        self._since_edit += 1
        if step.edited:
            self._counts["edits"] += 1
            self._edited.update(step.edited)
            self._first_edit = float(self.steps) if isnan(self._first_edit) else self._first_edit
            self._since_edit = 0.0

    def vector(self) -> list[float]:
        """Values of `NAMES`."""
        steps, counts, last, spent = max(self.steps, 1), self._counts, self._last, self.spending
        rewards = self._rewards
        return [
            float(self.steps),
            *(self._actions[name] / steps for name in ACTIONS),
            *(float(last is not None and last.action == name) for name in ACTIONS),
            counts["failed"] / steps,
            float(self._row),
            counts["repeated"] / steps,
            float(counts["limits"]),
            float(counts["edits"]),
            float(counts["tests"]),
            self._first_edit,
            self._since_edit,
            float(len(self._seen)),
            float(len(self._edited)),
            *self._tests,
            self._times.mean,
            self._times.largest,
            self._times.last,
            self._gaps.mean,
            self._shown.mean,
            self._shown.last,
            self._said.mean,
            self._said.last,
            self._thought.mean,
            rewards[1] / rewards[0] if rewards[0] else nan,
            nan if last is None or last.reward is None else last.reward,
            nan if spent.requests is None else float(spent.requests),
            _log(spent.prompt_tokens),
            _log(spent.input_tokens),
            _log(spent.output_tokens),
        ]

    def call_vector(self, call: CallFacts) -> list[float]:
        """Values of `CALL_NAMES`: of the call, of earlier ones like it, and of all before."""
        likes = [self._like.get(key) or _NEVER for key in _likes(call)]
        return [
            *(float(call.action == name) for name in ACTIONS),
            *(float(call.program == name) for name in PROGRAMS),
            log1p(call.action_chars),
            *(value for like in likes for value in _values(like)),
            *self.vector(),
        ]


_NEVER = _Like()


def _likes(call: CallFacts) -> tuple[str, str]:
    return f"action {call.action}", f"program {call.action} {call.program}"


def _values(like: _Like) -> tuple[float, ...]:
    return float(like.times.count), like.times.mean, like.times.largest, like.times.last, like.failed


def _log(value: float | None) -> float:
    return nan if value is None else log1p(value)


NAMES = (
    "steps",
    *(f"share_{name}" for name in ACTIONS),
    *(f"last_{name}" for name in ACTIONS),
    *"share_failed failed_in_a_row share_repeated limits_hit edits tests_run first_edit since_edit files_named".split(),
    *"files_edited tests_passed tests_failed".split(),
    *"tool_ms_mean tool_ms_largest tool_ms_last gap_ms_mean observation_mean observation_last".split(),
    *"action_mean action_last thought_mean reward_mean reward_last".split(),
    *"requests prompt_tokens input_tokens output_tokens".split(),
)
"""Names of an episode's features. Times, lengths and tokens are log(1 + x); means are over those logarithms."""
_LIKE = tuple("calls tool_ms_mean tool_ms_largest tool_ms_last last_failed".split())
CALL_NAMES = (
    *(f"call_{name}" for name in ACTIONS),
    *(f"call_program_{name}" for name in PROGRAMS),
    "call_chars",
    *(f"like_action_{name}" for name in _LIKE),
    *(f"like_program_{name}" for name in _LIKE),
    *NAMES,
)
"""Names of the features of a call."""
