"""The report of an experiment, written."""

from collections.abc import Callable
from pathlib import Path

from ...page import Block, Page
from ...rollouts.files import write_texts
from . import evidence, sections
from .collect import Collected, collect
from .examples import examples
from .paths import Paths

__all__ = ["REPORT", "page_of", "write_report"]

REPORT = "report"
"""Folder of the report inside the experiment, unless another is given."""


def write_report(
    experiment: Path,
    output: Path | None = None,
    *,
    limit: int = 20,
    links: bool = True,
    each: Callable[[], None] = lambda: None,
) -> Path:
    """Write `report.md` with `figures/*.svg`, and `report.html`, which holds everything; the folder they are in.

    Raises UsageError when `experiment` is none, MissingExtra without matplotlib.
    """
    folder = output or experiment / REPORT
    page = page_of(collect(experiment, each=each), Paths(experiment, folder, links), limit=limit)
    write_texts(folder, page.texts("report"))
    return folder


def page_of(found: Collected, paths: Paths, *, limit: int = 20) -> Page:
    """The report as data."""
    blocks: list[Block] = [
        *sections.summary(found),
        *sections.decisions(found, paths),
        *sections.arms(found, paths),
        *evidence.families(found),
        *examples(found, paths, limit),
        *evidence.power(found),
        *evidence.data(found, paths),
        *evidence.cost(found, paths),
        *evidence.reproduce(found, paths),
    ]
    return Page(f"Experiment {found.experiment.name}", tuple(blocks))
