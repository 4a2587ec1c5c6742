"""Second link: did this really happen?"""

from collections import Counter
from pathlib import Path

from ...rollouts.episode_log import EVENTS
from ...rollouts.files import sha256_of
from ...rollouts.replay.report import EpisodeReplay, Match
from ...rollouts.replay.store import read_replays
from ...rollouts.run_dir import EPISODES
from ..checks.finding import CheckReport, Severity
from .link import AuditLink, State, Table

__all__ = ["execution_link"]


def execution_link(run: Path, report: CheckReport) -> AuditLink:
    """What the record says of itself, and what replaying it said."""
    replays = [replay for replay in read_replays(run) if _current(run, replay)]
    errors = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    diverged = [replay for replay in replays if replay.match is Match.DIVERGED]
    failed = [replay for replay in replays if replay.match is None]
    said = [
        f"{report.items} episodes were checked: {report.count(Severity.ERROR)} errors, "
        f"{report.count(Severity.WARNING)} warnings. Seal: {report.seal}."
    ]
    said += [_replayed(replays, report.items)] if replays else ["Nothing was replayed yet."]
    said += [f"{finding.check}: {finding.where}: {finding.message}" for finding in errors[:5]]
    state = State.SHOWN
    if errors or any(replay.first is None or not replay.first.chance for replay in diverged):
        state = State.CONTRADICTED
    elif not replays:
        state = State.MISSING
    elif diverged or failed or len(replays) < report.items:
        state = State.PARTLY
    return AuditLink(
        name="execution",
        question="Did this really happen?",
        state=state,
        said=tuple(said),
        tables=(_checks(report), *_divergences(diverged, failed)),
        commands=(f"trajhub check {run} --seal {report.seal}", f"trajhub replay {run}"),
    )


def _current(run: Path, replay: EpisodeReplay) -> bool:
    """Whether the log is still the one that was replayed."""
    log = run / EPISODES / replay.episode_id / EVENTS
    return replay.log_sha256 is None or (log.exists() and sha256_of(log) == replay.log_sha256)


def _replayed(replays: list[EpisodeReplay], episodes: int) -> str:
    counts: Counter[Match] = Counter()
    for replay in replays:
        counts.update(replay.counts)
    total = sum(counts.values()) or 1
    shares = ", ".join(f"{100 * counts[match] / total:.1f}% {match}" for match in Match)
    return f"{len(replays)} of {episodes} episodes were executed again, {total} steps: {shares}."


def _checks(report: CheckReport) -> Table:
    rows = [(name, count or "ok") for name, count in report.checks.items()]
    return Table.of("Checks of the record", ("check", "findings"), rows)


def _divergences(diverged: list[EpisodeReplay], failed: list[EpisodeReplay]) -> list[Table]:
    rows: list[tuple[object, ...]] = [
        (one.episode_id, one.first.where, one.first.step, one.first.field, one.first.hint, one.first.chance)
        for one in diverged
        if one.first is not None
    ]
    rows += [(one.episode_id, "not replayed", None, one.problem, None, None) for one in failed]
    columns = ("episode", "where", "step", "field", "hint", "by chance")
    return [Table.of("What was not the same", columns, rows)] if rows else []
