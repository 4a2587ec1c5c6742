"""`trajhub experiment`: does this data make a model better? Every stage from tasks to gates, by one command."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import console
from ..rollouts.interrupt_cli import interruptible

if TYPE_CHECKING:
    from .experiment.config import ExperimentConfig
    from .experiment.model import Experiment

__all__ = ["experiment"]

Files = Annotated[
    list[str],
    typer.Argument(help="FILE.yaml, the name of a shipped experiment (micro, micro-ci, micro-gpu), or key=value."),
]
Out = Annotated[Path | None, typer.Option("-o", "--out", help="Folder; one that exists is resumed.")]
Items = Annotated[
    list[str] | None, typer.Option("-c", "--config", help="FILE.yaml or key=value; repeatable, later ones win.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the settings and the stages, and do nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print the record as JSON.")]
Host = Annotated[str | None, typer.Option("--docker-host", help="Address of the Docker API.")]


def experiment(
    files: Files,
    out: Out = None,
    config: Items = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    docker_host: Host = None,
) -> None:
    """Demonstrate, train, roll out, compare, train again, evaluate, decide. Run it again to resume."""
    from .experiment.config import load_experiment_config

    items = [*files, *(config or [])]
    settled = load_experiment_config(items)
    root = out or Path("experiments") / settled.name
    if dry_run:
        _show_plan(settled, root)
        return
    from shlex import join

    from .experiment.loop import run_experiment

    command = join(["trajhub", "experiment", *items, "-o", str(root)])
    with interruptible(f"stopping; the same command with -o {root} goes on"):
        done = run_experiment(root, settled, command=command, host=docker_host)
    if as_json:
        console.emit_json(done.model_dump(mode="json"))
    else:
        _show(done)
    console.next_steps(root, f"trajhub report {root}")
    missed = [gate for gate in done.gates if gate.decision != gate.expected]
    for gate in missed:
        where = "all seeds" if gate.seed is None else f"seed {gate.seed}"
        said = f"{gate.candidate} over {gate.base} ({where}): {gate.decision}, expected {gate.expected}"
        print(f"trajhub: {said}", file=sys.stderr)
    if missed:
        raise typer.Exit(1)


def _show_plan(config: "ExperimentConfig", root: Path) -> None:
    from .experiment.plan import planned

    console.emit_json({"root": str(root), **planned(config), "config": config.model_dump(mode="json")})


def _show(done: "Experiment") -> None:
    rows = [[stage.name, f"{stage.seconds:.0f}", f"{stage.cpu_seconds or 0:.0f}"] for stage in done.stages]
    console.table("Stages", ["stage", "seconds", "CPU seconds"], rows)
    rows = [
        [
            gate.candidate,
            gate.base,
            "all" if gate.seed is None else gate.seed,
            gate.decision,
            f"{100 * gate.gain:+.1f}",
            f"{100 * gate.interval[0]:+.1f} to {100 * gate.interval[1]:+.1f}",
            f"+{gate.gained} -{gate.lost}",
        ]
        for gate in done.gates
    ]
    console.table("Gates", ["candidate", "over", "seed", "decision", "points", "interval", "tasks"], rows)
