"""Comparing one recorded value, or one recorded step, with what a replay led to."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any, cast

from ...envs.step import Step
from ...tools.registry import ToolRegistry
from ..payloads import clean
from .normalise import Clock, needed, normalise, paired
from .report import Difference, Hint, Match, StepReplay, worst

__all__ = ["Comparer", "compare_step", "diverged", "judged", "settled"]

_DIFF_CHARACTERS = 4000
_MOST = 20
_FIELDS = ("tool", "arguments", "thought", "ok", "error", "exit_code", "observation")
_DIGESTS = ("output_sha256", "output_bytes")
"""Facts that say of the whole output what the observation says of the part that is shown."""
_CUT = " bytes left out ...]"
_LIMITS = ("timeout", "out_of_memory", "disk_full", "too_many_processes")
_SANDBOX = ("sandbox_lost", "sandbox_recovered")
_DIGIT = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Comparer:
    """Compares values that came about at two times."""

    then: Clock
    now: Clock
    unordered: bool = False
    """Lines come in no particular order."""

    def compare(self, field: str, recorded: Any, replayed: Any) -> Iterator[Difference]:
        """What differs, field by field; nothing when all is identical."""
        if recorded == replayed and type(recorded) is type(replayed):
            return
        if isinstance(recorded, str) and isinstance(replayed, str):
            yield self.text(field, recorded, replayed)
        elif isinstance(recorded, Mapping) and isinstance(replayed, Mapping):
            yield from self._mappings(field, cast("Mapping[str, Any]", recorded), cast("Mapping[str, Any]", replayed))
        elif isinstance(recorded, list) and isinstance(replayed, list):
            yield self._lists(field, cast("list[Any]", recorded), cast("list[Any]", replayed))
        elif recorded != replayed:
            yield diverged(field, _shown(recorded), _shown(replayed))

    def text(self, field: str, recorded: str, replayed: str) -> Difference:
        """The difference between two texts that are not identical."""
        names = needed(recorded, replayed, self.then, self.now)
        if names is not None:
            return Difference(field=field, match=Match.EQUIVALENT, normalisers=names)
        then, now = paired(recorded, replayed, self.then, self.now)
        left, right = normalise(recorded, then), normalise(replayed, now)
        if self.unordered and sorted(left.splitlines()) == sorted(right.splitlines()):
            more = self._beyond_order(recorded, replayed)
            return Difference(field=field, match=Match.EQUIVALENT, normalisers=("order", *more))
        return diverged(field, left, right)

    def _beyond_order(self, recorded: str, replayed: str) -> tuple[str, ...]:
        left, right = ("\n".join(sorted(text.splitlines())) for text in (recorded, replayed))
        return () if left == right else needed(left, right, self.then, self.now) or ()

    def _mappings(self, field: str, recorded: Mapping[str, Any], replayed: Mapping[str, Any]) -> Iterator[Difference]:
        left, right = recorded, replayed
        if recorded.keys() != replayed.keys():
            left, right = self._by_name(recorded, self.then), self._by_name(replayed, self.now)
            if left.keys() == right.keys():
                yield self.text(field, "\n".join(recorded), "\n".join(replayed))
        for key in [*left, *(key for key in right if key not in left)]:
            yield from self.compare(f"{field}.{key}", left.get(key), right.get(key))

    def _by_name(self, values: Mapping[str, Any], clock: Clock) -> dict[str, Any]:
        """Names of tests may hold addresses too."""
        return {normalise(str(key), clock): value for key, value in values.items()}

    def _lists(self, field: str, recorded: list[Any], replayed: list[Any]) -> Difference:
        left, right = _lines(recorded), _lines(replayed)
        return self.text(field, left, right) if left != right else diverged(field, _shown(recorded), _shown(replayed))


def diverged(field: str, recorded: str, replayed: str) -> Difference:
    """A divergence, with its diff."""
    return Difference(field=field, match=Match.DIVERGED, diff=_diff(recorded, replayed), hint=_hint(recorded, replayed))


def compare_step(recorded: Step, replayed: Step, began: tuple[Any, Any], tools: ToolRegistry) -> StepReplay:
    """One step against its replay; `began` is when the recorded episode and its replay did."""
    facts = settled(recorded.data)
    tool = tools[recorded.tool] if recorded.tool in tools.names else None
    comparer = Comparer(
        Clock.around(began[0], recorded.t_end),
        Clock.around(began[1], replayed.t_end),
        unordered=tool is not None and tool.unordered(facts),
    )
    found = list(_differences(recorded, replayed, comparer, facts))[:_MOST]
    if _circumstance(recorded, replayed) is None and any(map(_is_test, found)):
        found = [_with_hint(item, Hint.TESTS) for item in found]
    return judged(recorded, found, replayed_ms=replayed.duration_ms)


def judged(recorded: Step, found: Sequence[Difference], *, replayed_ms: float | None) -> StepReplay:
    """The verdict on a step of which these differences are known, the first cause first."""
    cause = next((item for item in found if item.match is Match.DIVERGED), None)
    return StepReplay(
        step=recorded.index,
        tool=recorded.tool,
        match=worst(item.match for item in found),
        cause=cause.field if cause else None,
        hint=cause.hint if cause else None,
        differences=tuple(found),
        recorded_ms=round(recorded.duration_ms, 3),
        replayed_ms=None if replayed_ms is None else round(replayed_ms, 3),
    )


def _differences(recorded: Step, replayed: Step, comparer: Comparer, facts: Mapping[str, Any]) -> Iterator[Difference]:
    hint = _circumstance(recorded, replayed)
    seen: Difference | None = None
    for name in _FIELDS:
        left, right = settled(getattr(recorded, name)), settled(getattr(replayed, name))
        for item in comparer.compare(name, left, right):
            found = _killed(recorded, replayed, comparer) if name == "observation" else None
            seen = found or item
            yield _with_hint(seen, hint)
    observed = seen if seen is not None and seen.field == "observation" else None
    for item in comparer.compare("data", facts, settled(replayed.data)):
        digest = item.field.partition(".")[2] in _DIGESTS
        found = _digest(item, observed, recorded.observation) if digest else item
        if found is not None:
            yield _with_hint(found, hint)


def _digest(item: Difference, observed: Difference | None, observation: str) -> Difference | None:
    """A digest of the output differs: as the observation does, or in what the observation leaves out."""
    if observed is not None:
        return observed.model_copy(update={"field": item.field}) if observed.match is Match.EQUIVALENT else None
    if _CUT in observation:
        return Difference(field=item.field, match=Match.EQUIVALENT, normalisers=("unseen_output",))
    return item


def _killed(recorded: Step, replayed: Step, comparer: Comparer) -> Difference | None:
    """Of a command that was killed for its time, more or less had been written by then."""
    if not recorded.error == replayed.error == "timeout":
        return None
    left, right = (
        normalise(step.observation, clock).partition("[timed out after")[0].rstrip().removesuffix("(no output)")
        for step, clock in ((recorded, comparer.then), (replayed, comparer.now))
    )
    if left == right or not (left.startswith(right) or right.startswith(left)):
        return None
    return Difference(field="observation", match=Match.EQUIVALENT, normalisers=("killed_output",))


def _circumstance(recorded: Step, replayed: Step) -> Hint | None:
    errors = {recorded.error, replayed.error}
    if errors & set(_SANDBOX):
        return Hint.SANDBOX
    return Hint.LIMIT if len(errors) > 1 and errors & set(_LIMITS) else None


def _is_test(item: Difference) -> bool:
    return item.field.startswith("data.tests.") and item.match is Match.DIVERGED


def _with_hint(item: Difference, hint: Hint | None) -> Difference:
    if hint is None or item.match is not Match.DIVERGED:
        return item
    return item.model_copy(update={"hint": hint})


def _hint(recorded: str, replayed: str) -> Hint:
    if sorted(recorded.splitlines()) == sorted(replayed.splitlines()):
        return Hint.ORDER
    if _DIGIT.sub("0", recorded) == _DIGIT.sub("0", replayed) and _DIGIT.search(recorded):
        return Hint.NUMBERS
    return Hint.CONTENT


def settled(value: Any) -> Any:
    """A value as it comes back from the log."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return json.loads(json.dumps(clean(value), default=str))


def _lines(values: Iterable[Any]) -> str:
    return "\n".join(value if isinstance(value, str) else _shown(value) for value in values)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _diff(recorded: str, replayed: str) -> str:
    lines = unified_diff(recorded.split("\n"), replayed.split("\n"), "recorded", "replayed", n=1, lineterm="")
    text = "\n".join(lines)
    if len(text) <= _DIFF_CHARACTERS:
        return text
    return f"{text[:_DIFF_CHARACTERS]}\n[... {len(text) - _DIFF_CHARACTERS} characters left out]"
