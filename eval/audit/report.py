"""The audit of a run: all five links, as data and as a page."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ...envs.task import Task
from ...page import Badge, Block, Code, Heading, Listing, Page, Table, Text
from ...rollouts.files import sha256_of
from ...rollouts.run_dir import MANIFEST, read_manifest
from ...rollouts.run_model import RunManifest
from ...validation import validated
from ..checks.run import check_run
from .evidence import Evidence
from .execution import execution_link
from .link import AuditLink, AuditReport, State
from .preference import effect_link, preference_link
from .reward import reward_link
from .tasks import tasks_link

__all__ = ["audit", "audit_page"]

_GOOD = {State.SHOWN: True, State.CONTRADICTED: False}


def audit(
    run: Path,
    tasks: Mapping[str, Task] | str,
    evidence: Evidence,
    *,
    source: str | None = None,
    each: Callable[[], None] = lambda: None,
) -> AuditReport:
    """Look at every link of a run. `tasks` as in `check_run`, from `source` if they are not from where the run had
    them; `each` is called after every episode.
    """
    manifest = validated(RunManifest, read_manifest(run), f"{run}/run.json")
    checked = check_run(run, tasks, each=each)
    return AuditReport(
        run_id=manifest.run_id,
        created=manifest.created,
        seal=str(checked.seal),
        episodes=checked.items,
        links=(
            tasks_link(manifest, tasks, source),
            execution_link(run, checked),
            reward_link(run, evidence),
            preference_link(run, manifest.run_id, evidence),
            effect_link(evidence),
        ),
        sources=(f"{run / MANIFEST} sha256:{sha256_of(run / MANIFEST)}", *evidence.sources()),
    )


def audit_page(report: AuditReport) -> Page:
    """The report as a page."""
    rows = tuple((link.name, link.question, Badge(link.state, _GOOD.get(link.state))) for link in report.links)
    blocks: list[Block] = [
        Text(f"{report.episodes} episodes, recorded from {report.created}. Seal {report.seal}."),
        Table("", ("link", "question", "state"), rows),
    ]
    for link in report.links:
        blocks += _section(link)
    return Page(f"Audit of {report.run_id}", (*blocks, Heading("Sources"), Listing(report.sources)))


def _section(link: AuditLink) -> Iterator[Block]:
    yield Heading(f"{link.question} ({link.name}: {link.state})")
    yield Listing(link.said)
    for table in link.tables:
        yield Table(table.title, table.columns, table.rows)
        if table.omitted:
            yield Text(f"and {table.omitted} more")
    yield Code("\n".join(link.commands), "Reproduce:")
