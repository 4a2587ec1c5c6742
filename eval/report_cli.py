"""`trajhub report`."""

from pathlib import Path
from typing import Annotated

import typer

from .. import console

__all__ = ["report"]


def report(
    experiment: Annotated[Path, typer.Argument(help="Folder of an experiment (`trajhub experiment`).")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for report.md, report.html and figures/.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Gained and lost tasks to show for each gate.")] = 20,
    links: Annotated[
        bool, typer.Option("--links/--no-links", help="Link to runs and episodes; without links the page stands alone.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write the report of an experiment: decisions, arms, families, data, cost, examples, and how to reproduce each."""
    from .experiment.model import read_experiment
    from .report.report import write_report

    found = read_experiment(experiment)
    episodes = sum(_episodes(experiment / run) for arm in found.arms for seed in arm.seeds for run in seed.runs)
    with console.progress("Reading", episodes) as tick:
        folder = write_report(experiment, output, limit=limit, links=links, each=tick)
    decisions = [
        gate.model_dump(mode="json", include={"base", "candidate", "seed", "decision"}) for gate in found.gates
    ]
    if as_json:
        console.emit_json({"report": str(folder), "finished": found.finished, "gates": decisions})
    else:
        rows = [(gate.candidate, gate.base, gate.seed, gate.decision, f"{gate.gain:+.1%}") for gate in found.gates]
        console.table(f"Experiment {found.name}", ("candidate", "base", "seed", "decision", "gain"), rows)
    console.next_steps(folder, f"xdg-open {folder / 'report.html'}")


def _episodes(run: Path) -> int:
    from ..rollouts.run_dir import EPISODES

    return sum(1 for _ in run.glob(f"{EPISODES}/*"))
