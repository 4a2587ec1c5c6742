"""May two runs be compared? Everything besides who acts must be the same."""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

from ...rollouts.config import RESUMABLE
from ...rollouts.run_dir import differences
from .config import GateConfig
from .outcomes import Outcomes
from .unusable import refuse

__all__ = ["ACTORS", "check_comparable", "told_differences"]

ACTORS = (
    "policy",
    "chat.model",
    "vllm.model",
    "prices*",
    "rubric*",
    "filter",
    "limit",
    "seed",
    "seeds",
)
"""Settings that say who acts, what it costs, how steps are scored, or what the tasks and seeds themselves say."""
_WHERE_KNOWN = ("images", "graded_in")
"""Ids of images. One that was fetched only later is not known when a run begins, and an empty patch needs none."""


def check_comparable(runs: Sequence[Outcomes], config: GateConfig) -> None:
    """Raise Unusable when the runs of both sides are not all of the same tasks, seeds, environment and grader."""
    first = runs[0]
    for other in runs[1:]:
        refuse(
            f"{first.path} and {other.path} cannot be compared; they differ in",
            list(_mismatches(first, other, config)),
            "Evaluate both on the same tasks and seeds, in the same environment, with the same grader. A setting that "
            "cannot matter for the outcome may be named with --may-differ.",
        )
    refuse("a run is given twice", list(_doubled(runs)), "Each run counts once, on one side.")


def told_differences(runs: Sequence[Outcomes], config: GateConfig) -> Iterator[str]:
    """What differs although it may, in sentences."""
    first = runs[0]
    told = dict[str, None]()
    for other in runs[1:]:
        allowed = [name for name in differences(first.settings, other.settings) if _may(name, config)]
        for parts, names in (("settings", allowed), ("about", differences(first.about, other.about))):
            for name in names:
                mine, theirs = (_brief(_at(getattr(one, parts), name)) for one in (first, other))
                told[f"{name.removeprefix('config.')} differs between the runs: {mine} and {theirs}"] = None
    yield from told


def _mismatches(first: Outcomes, other: Outcomes, config: GateConfig) -> Iterator[str]:
    for name in differences(first.settings, other.settings):
        if _actor(name) or _may(name, config):
            continue
        mine, theirs = _at(first.settings, name), _at(other.settings, name)
        kind, _, rest = name.partition(".")
        if kind in _WHERE_KNOWN and None in (mine, theirs):
            continue
        if kind == "tasks" and None in (mine, theirs):
            yield f"task {rest}: only {(first if theirs is None else other).path} has it"
        elif kind == "tasks":
            yield f"task {rest}: its content is not the same (digests {mine} and {theirs})"
        else:
            yield f"{name.removeprefix('config.')}: {_brief(mine)} and {_brief(theirs)}"


def _actor(name: str) -> bool:
    """Whether a setting is one of those that say who acts and how patiently."""
    kind, _, rest = name.partition(".")
    return kind == "config" and any(fnmatchcase(rest, pattern) for pattern in (*RESUMABLE, *ACTORS))


def _may(name: str, config: GateConfig) -> bool:
    """Whether the user allows a setting to differ. Tasks, seeds and the kind of evidence never may."""
    plain = name.removeprefix("config.")
    fixed = name.split(".")[0] in ("tasks", "seeds", "kind")
    return not fixed and any(fnmatchcase(plain, pattern.removeprefix("config.")) for pattern in config.may_differ)


def _at(value: object, dotted: str) -> Any:
    """The value at a dotted name; keys may hold dots themselves."""
    if not dotted:
        return value
    if not isinstance(value, Mapping):
        return None
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        key = ".".join(parts[:end])
        if key in value:
            return _at(cast("Mapping[str, Any]", value)[key], ".".join(parts[end:]))
    return None


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _doubled(runs: Sequence[Outcomes]) -> Iterator[str]:
    known = dict[str | None, str]()
    for evidence in (one for run in runs for one in run.evidence):
        # A copy of a run has its seal. Two reports may say the same of two models, so those are told by their place.
        mark = evidence.seal if evidence.chained else evidence.run_id or str(Path(evidence.path).resolve())
        if mark in known:
            yield f"{evidence.path} holds the same as {known[mark]}"
        known.setdefault(mark, evidence.path)
