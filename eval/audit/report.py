"""The audit of a run: all five links, as data, Markdown and one HTML file."""

from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path

from ...envs.task import Task
from ...rollouts.files import sha256_of
from ...rollouts.run_dir import MANIFEST, read_manifest
from ...rollouts.run_model import RunManifest
from ..checks.run import check_run
from .evidence import Evidence
from .execution import execution_link
from .link import AuditReport, Table
from .preference import effect_link, preference_link
from .reward import reward_link
from .tasks import tasks_link

__all__ = ["audit", "to_html", "to_markdown"]

_STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h2 { border-top: 1px solid var(--line); padding-top: 1.5rem; }
.state { font-size: .8em; padding: .1em .6em; border: 1px solid; border-radius: 1em; font-weight: 600; }
.shown { color: light-dark(#0a6b2d, #5fd38a); } .contradicted { color: light-dark(#b3261e, #ff8a80); }
.partly, .not { color: light-dark(#8a5300, #ffc46b); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .85em; }
th, td { text-align: left; padding: .3em .8em; border-bottom: 1px solid var(--line); vertical-align: top; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; overflow-wrap: anywhere; }
pre { overflow-x: auto; padding: .8em; border: 1px solid var(--line); border-radius: .4em; }
"""


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
    manifest = RunManifest.model_validate(read_manifest(run))
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


def to_markdown(report: AuditReport) -> str:
    """The report as Markdown."""
    parts = [f"# Audit of {_plain(report.run_id)}", _about(report)]
    rows = [(link.name, link.question, link.state) for link in report.links]
    parts.append(_markdown_table(Table.of("", ("link", "question", "state"), rows)))
    for link in report.links:
        parts += [f"## {link.question} ({link.name}: {link.state})", "\n".join(f"- {_plain(one)}" for one in link.said)]
        parts += [f"**{table.title}**\n\n{_markdown_table(table)}" for table in link.tables]
        parts.append("Reproduce:\n\n```\n" + "\n".join(link.commands) + "\n```")
    parts.append("## Sources\n\n" + "\n".join(f"- `{source}`" for source in report.sources))
    return "\n\n".join(parts) + "\n"


def to_html(report: AuditReport) -> str:
    """The report as one file without anything from elsewhere."""
    parts = [f"<h1>Audit of {escape(report.run_id)}</h1><p>{escape(_about(report))}</p>"]
    for link in report.links:
        said = "".join(f"<li>{escape(one)}</li>" for one in link.said)
        badge = f'<span class="state {link.state.split()[0]}">{link.state}</span>'
        parts.append(f"<h2>{escape(link.question)} <small>{link.name}</small> {badge}</h2><ul>{said}</ul>")
        parts += [_html_table(table) for table in link.tables]
        parts.append(f"<p>Reproduce:</p><pre>{escape(chr(10).join(link.commands))}</pre>")
    sources = "".join(f"<li><code>{escape(source)}</code></li>" for source in report.sources)
    parts.append(f"<h2>Sources</h2><ul>{sources}</ul>")
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Audit of {escape(report.run_id)}</title><style>{_STYLE}</style></head><body>"
    )
    return head + "\n".join(parts) + "</body></html>\n"


def _about(report: AuditReport) -> str:
    return f"{report.episodes} episodes, recorded from {report.created}. Seal {report.seal}."


def _markdown_table(table: Table) -> str:
    lines = ["| " + " | ".join(table.columns) + " |", "| " + " | ".join("---" for _ in table.columns) + " |"]
    lines += ["| " + " | ".join(_plain(cell) for cell in row) + " |" for row in table.rows]
    return "\n".join(lines) + (f"\n\nand {table.omitted} more" if table.omitted else "")


def _html_table(table: Table) -> str:
    head = "".join(f"<th scope=col>{escape(column)}</th>" for column in table.columns)
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    more = f"<p>and {table.omitted} more</p>" if table.omitted else ""
    return (
        f"<h3>{escape(table.title)}</h3><div class=scroll><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>{more}"
    )


def _plain(text: str) -> str:
    """Text of an agent or a task inside Markdown: one line, nothing of it markup."""
    line = " ".join(text.split())
    for mark in "\\`*_[]<>|#":
        line = line.replace(mark, f"\\{mark}")
    return line
