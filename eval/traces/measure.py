"""Every figure of some runs as one value that can be tested, compared and kept as JSON."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from ...errors import UsageError
from .behaviour import SECTION as BEHAVIOUR
from .behaviour import Behaviour
from .cache import SECTION as CACHE
from .cache import Cache
from .cost import SECTION as COST
from .cost import Cost
from .figures import Figures
from .harnesses import SECTION as HARNESSES
from .harnesses import Harnesses
from .patterns import SECTION as PATTERNS
from .patterns import Patterns
from .repeats import SECTION as REPEATS
from .repeats import Repeats
from .resources import SECTION as RESOURCES
from .resources import Resources
from .section import Options, Section
from .sequences import SECTION as SEQUENCES
from .sequences import Sequences
from .source import Source
from .tools import SECTION as TOOLS
from .tools import Tools
from .workload import SECTION as WORKLOAD
from .workload import Workload

__all__ = ["SECTIONS", "Measurements", "Scope", "chosen", "measure", "measure_source"]

SECTIONS: tuple[Section, ...] = (
    WORKLOAD,
    CACHE,
    COST,
    TOOLS,
    BEHAVIOUR,
    SEQUENCES,
    PATTERNS,
    RESOURCES,
    REPEATS,
    HARNESSES,
)
"""In the order of the report."""


class Scope(Figures):
    """The figures of all episodes, or of those with one value of a column; null for what was not asked or not known."""

    column: str | None = None
    value: str | None = None
    episodes: int
    """Whose course is told."""
    outcomes_only: int = 0
    """Records that tell an outcome and nothing of what led to it; they count where outcomes do."""
    workload: Workload | None = None
    cache: Cache | None = None
    cost: Cost | None = None
    tools: Tools | None = None
    behaviour: Behaviour | None = None
    sequences: Sequences | None = None
    patterns: Patterns | None = None
    resources: Resources | None = None
    repeats: Repeats | None = None
    harnesses: Harnesses | None = None


class Measurements(Figures):
    """What `trajhub trace report` says, as data."""

    format: Literal["trajectory-hub/measurements"] = "trajectory-hub/measurements"
    version: Literal["1.0"] = "1.0"
    runs: tuple[str, ...]
    filter: str | None
    limit: int | None
    by: str | None
    sections: tuple[str, ...]
    all: Scope
    groups: tuple[Scope, ...] = Field(default=())
    """One for each of the twelve commonest values of `by`."""


def chosen(only: Sequence[str]) -> tuple[Section, ...]:
    """Sections by their names or families; all for none. Raises UsageError."""
    words = {word for section in SECTIONS for word in (section.name, section.family)}
    unknown = [word for word in only if word not in words]
    if unknown:
        raise UsageError(f"there is no section {unknown[0]!r}; there are {', '.join(sorted(words))}")
    return tuple(one for one in SECTIONS if not only or one.name in only or one.family in only)


def measure(
    runs: Sequence[Path],
    *,
    only: Sequence[str] = (),
    where: str | None = None,
    limit: int | None = None,
    by: str | None = None,
    options: Options | None = None,
    each: Callable[[str], None] = lambda name: None,
) -> Measurements:
    """Measure runs; tables of layer 2 are built where they are missing or old.

    `where` is a condition in SQL over the columns of episodes, `limit` the most episodes, `by` a column of episodes
    whose values are measured apart as well, `only` names or families of sections. `each` is called with what is about
    to be measured. Raises UsageError when there is nothing to measure, or a column or section does not exist.
    """
    from ...rollouts.tables import open_tables, prices_of

    sections = chosen(only)
    source = Source.of(open_tables(list(runs)), where=where, limit=limit, prices=prices_of(runs))
    found = measure_source(source, sections, options or Options(), by=by, each=each)
    return Measurements(
        runs=tuple(str(run) for run in runs),
        filter=where,
        limit=limit,
        by=by,
        sections=tuple(section.name for section in sections),
        all=found[0],
        groups=tuple(found[1:]),
    )


def measure_source(
    source: Source,
    sections: Sequence[Section] = SECTIONS,
    options: Options | None = None,
    *,
    by: str | None = None,
    each: Callable[[str], None] = lambda name: None,
) -> list[Scope]:
    """The figures of all episodes, then of each group. Raises UsageError when no episode is left."""
    options = options or Options()
    if not source.episodes:
        raise UsageError("no episode is left to measure: widen the filter, or name a run that has episodes")
    whole = _scope(source, sections, options, None, None, each)
    scopes = [whole.model_copy(update={"outcomes_only": source.outcomes_only})]
    if by is not None:
        for value in source.groups(by):
            source.scope(by, value)
            apart = [section for section in sections if section.family != "harnesses"]
            scopes.append(_scope(source, apart, options, by, value, each))
        source.scope()
    return scopes


def _scope(
    source: Source,
    sections: Sequence[Section],
    options: Options,
    column: str | None,
    value: object,
    each: Callable[[str], None],
) -> Scope:
    episodes = source.row("SELECT count(*) AS n FROM e")["n"]
    found = dict[str, Any]()
    for section in sections:
        each(section.title if column is None else f"{section.title}: {value}")
        found[section.name] = section.measure(source, options)
    return Scope(column=column, value=None if value is None else str(value), episodes=episodes, **found)
