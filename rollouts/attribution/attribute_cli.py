"""`trajhub trace attribute`: who is to blame for the episodes of a run that did not succeed."""

from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ... import console
from ...errors import UsageError

if TYPE_CHECKING:
    from .attribute import Attribution

__all__ = ["attribute"]

Row = tuple[Path, str, str, "Attribution"]


def attribute(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, recorded here or ingested.")],
    pattern: Annotated[
        str | None, typer.Option("--filter", help="Only tasks whose id matches this glob, such as `django__*`.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most this many episodes of each run.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Also list episodes with nobody to blame.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say who is to blame for each failed episode, by which rule, with the evidence."""
    rows = _rows(runs, pattern, limit)
    if not rows:
        raise UsageError("no episode fits; look at `trajhub runs show RUN`")
    if as_json:
        told = ({"run": str(r), "episode_id": e, "task_id": t, **a.model_dump(mode="json")} for r, e, t, a in rows)
        console.emit_json(list(told))
        return
    shown = [row for row in rows if every or row[3].failure is not None]
    columns = ("episode", "failure", "kind", "rule", "confidence", "evidence")
    console.table("Who is to blame", columns, [_cells(row) for row in shown])
    print(_sums([row[3] for row in rows]))
    console.next_steps(runs[0], f"trajhub runs show {runs[0]} --episode {shown[0][1] if shown else rows[0][1]}")


def _rows(runs: Sequence[Path], pattern: str | None, limit: int | None) -> list[Row]:
    from itertools import islice

    from .attribute import attribute_run

    rows = list[Row]()
    for run in runs:
        fitting = ((run, *row) for row in attribute_run(run) if pattern is None or fnmatchcase(row[1], pattern))
        rows += islice(fitting, limit)
    return rows


def _cells(row: Row) -> Sequence[object]:
    _, episode, _, found = row
    told = found.evidence[0].told if found.evidence else found.why_none
    return (episode, found.failure, found.kind, found.rule, found.confidence, (told or "")[:100])


def _sums(found: Sequence["Attribution"]) -> str:
    kinds = Counter(f"{one.failure}: {one.kind}" for one in found if one.failure is not None)
    resolved = sum(one.resolved is True for one in found)
    told = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
    return f"{len(found)} episodes, {resolved} resolved; {told or 'nobody to blame'}"
