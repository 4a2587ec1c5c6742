"""`trajhub trace simulate`."""

from pathlib import Path
from typing import Annotated

import typer

from ... import console

__all__ = ["simulate"]

Sources = Annotated[list[Path], typer.Argument(help="Runs, or one .csv of rounds as TraceLab replays them.")]
Output = Annotated[Path, typer.Option("-o", "--output", help="Folder for the report.")]
Config = Annotated[
    list[str] | None, typer.Option("-c", "--config", help="FILE.yaml or key=value; repeatable, later ones win.")
]
Seed = Annotated[int | None, typer.Option("--seed", help="The first seed.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the resolved configuration.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def simulate(
    sources: Sources,
    output: Output,
    config: Config = None,
    seed: Seed = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Simulate a cluster that serves recorded sessions: caches kept during tool calls, who is served first."""
    from .report import sentence
    from .run import load_config, write_simulation

    settled = load_config([*(config or []), *([] if seed is None else [f"seed={seed}"])])
    if dry_run:
        console.emit_json(settled.model_dump(mode="json"))
        return
    with console.progress("Simulating", len(settled.policies) * settled.seeds) as tick:
        report = write_simulation(sources, output, settled, tick)
    if as_json:
        console.emit_json(report.model_dump(mode="json"))
    else:
        keys = ("completion_mean_s", "completion_p50_s", "completion_p95_s", "hit_share", "sessions_per_minute")
        rows = [(one.name, *(str(one.figures[key]) for key in keys)) for one in report.policies]
        console.table(f"{report.sessions} sessions, {report.seeds} seeds", ("policy", *keys), rows)
        for one in report.policies[1:]:
            print(console.safe(sentence(one, report.policies[0].name)))
    console.next_steps(output / "simulation.html", "-c arrivals.per_minute=…   (another load)")
