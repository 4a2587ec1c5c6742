"""The report of a measurement as a page: Markdown with drawings beside it, and one HTML file that holds everything."""

from collections.abc import Sequence
from pathlib import Path

from ...page import Block, Details, Heading, Listing, Page, Table, Text
from ...rollouts.files import write_json, write_texts
from .measure import SECTIONS, Measurements, Scope
from .section import Options, Section

__all__ = ["page_of", "write_report"]

_AT_A_GLANCE = 5
"""Figures of a section at the top of the page."""


def write_report(found: Measurements, folder: Path, options: Options | None = None) -> Page:
    """Write `report.md` with `figures/*.svg`, `report.html`, and `measurements.json`. Raises MissingExtra."""
    page = page_of(found, options or Options())
    write_texts(folder, page.texts("report"))
    write_json(folder / "measurements.json", found.model_dump(mode="json"))
    return page


def page_of(found: Measurements, options: Options) -> Page:
    """The report as data."""
    blocks: list[Block] = [Text(_lead(found), lead=True), Text(_reading()), *_glance(found)]
    for section in SECTIONS:
        if section.name in found.sections:
            blocks += _section(section, found, options)
    return Page("Traces: " + ", ".join(Path(run).name or run for run in found.runs), tuple(blocks))


def _lead(found: Measurements) -> str:
    said = f"{found.all.episodes:,} episodes of {len(found.runs):,} run{'s' if len(found.runs) != 1 else ''}."
    if found.all.outcomes_only:
        said += (
            f" {found.all.outcomes_only:,} more {_records(found.all.outcomes_only)} of what led to it: counted where "
            "outcomes are."
        )
    if found.filter:
        said += f" Only episodes where {found.filter}."
    if found.limit is not None:
        said += f" At most the first {found.limit:,}."
    if found.by is not None:
        said += f" Measured apart by {found.by}: {len(found.groups)} values."
    return said


def _glance(found: Measurements) -> list[Block]:
    """The figures that matter most, a few of each section, and which sections have nothing to tell."""
    rows, silent = list[tuple[str, str, str]](), list[str]()
    for section in SECTIONS:
        measured = getattr(found.all, section.name)
        if section.name in found.sections and measured is None:
            silent.append(f"{section.title}: {section.silent}.")
        elif measured is not None:
            shown = [(name, value) for name, value in section.headline(measured) if value != "-"][:_AT_A_GLANCE]
            rows += [(section.title if not place else "", *one) for place, one in enumerate(shown)]
    blocks: list[Block] = [Table("At a glance", ("", "figure", "all"), tuple(rows))] if rows else []
    if silent:
        blocks.append(Text("Of some things these records tell nothing, and why:"))
        blocks.append(Listing(tuple(silent)))
    return blocks


def _records(count: int) -> str:
    return "record tells an outcome and nothing" if count == 1 else "records tell an outcome and nothing"


def _reading() -> str:
    return (
        "Every figure says how many units it rests on; what a record does not tell is left out and counted as not "
        "known, never taken for zero. Intervals are 95% and take tasks for the independent units; distributions "
        "are of units, so that long episodes weigh more in figures per call. Definitions: docs/measurement.md."
    )


def _section(section: Section, found: Measurements, options: Options) -> list[Block]:
    measured = getattr(found.all, section.name)
    blocks: list[Block] = [Heading(section.title)]
    if measured is None:
        return [*blocks, Text(f"Nothing can be said: {section.silent}.")]
    groups = [one for one in found.groups if getattr(one, section.name) is not None]
    if groups:
        blocks += _comparison(section, found, groups)
    blocks += section.blocks(measured, options)
    for place, one in enumerate(groups):
        inside = _renamed(section.blocks(getattr(one, section.name), options), place)
        blocks.append(Details(f"{section.title}: {one.column} {_label(one)}", tuple(inside)))
    return blocks


def _comparison(section: Section, found: Measurements, groups: Sequence[Scope]) -> list[Block]:
    """The headline figures of all and of each group, one row a figure."""
    scopes = [found.all, *groups]
    shown = [dict(section.headline(getattr(one, section.name))) for one in scopes]
    names = list(dict.fromkeys(name for one in shown for name in one))
    rows = tuple((name, *(one.get(name, "-") for one in shown)) for name in names)
    columns = ("", "all", *(f"{_label(one)} ({one.episodes:,})" for one in groups))
    return [Table(f"By {found.by}", columns, rows)] if rows else []


def _label(one: Scope) -> str:
    return "not known" if one.value is None else one.value


def _renamed(blocks: Sequence[Block], place: int) -> list[Block]:
    """Drawings of groups need names of their own."""
    from dataclasses import replace

    from ...page import Drawing

    return [replace(one, name=f"{one.name}-by-{place}") if isinstance(one, Drawing) else one for one in blocks]
