"""The `trajhub` command: one sub-application a topic, one exception hook for all of them.

Modules named `*_cli.py` import nothing heavy at the top, so that `-h` answers at once.
Exit codes: 0 ok, 1 a gate or check says no, 2 usage, 3 infrastructure, 130 interrupted.
"""

import os
import sys

import typer

from . import __version__
from .envs.doctor_cli import doctor
from .envs.grade_cli import grade
from .envs.sandbox_cli import clean
from .envs.tasks_cli import app as tasks_app
from .errors import TrajHubError
from .eval.audit_cli import audit
from .eval.check_cli import check
from .eval.eval_cli import evaluate
from .eval.experiment_cli import experiment
from .eval.gate_cli import gate
from .eval.report_cli import report
from .eval.schema_cli import schema
from .eval.trace_cli import app as trace_app
from .panels import Panels, ordered, register
from .rollouts.agents.run_cli import run
from .rollouts.calibrate_cli import agreement, calibrate
from .rollouts.judge_cli import judge
from .rollouts.label_cli import app as labels_app
from .rollouts.label_cli import label
from .rollouts.replay_cli import replay
from .rollouts.rollout_cli import rollout
from .rollouts.runs_cli import app as runs_app
from .rollouts.scale.size_cli import size
from .rollouts.serve_cli import serve
from .training.branch_cli import branch
from .training.export_cli import app as export_app
from .training.pairs_cli import pairs
from .training.train_cli import app as train_app

__all__ = ["app", "main"]

_PANELS: Panels = {
    "Tasks and episodes": {
        "tasks": tasks_app,
        "rollout": rollout,
        "run": run,
        "branch": branch,
        "grade": grade,
        "runs": runs_app,
    },
    "Can the record be trusted?": {
        "check": check,
        "replay": replay,
        "judge": judge,
        "label": label,
        "labels": labels_app,
        "agreement": agreement,
        "calibrate": calibrate,
        "audit": audit,
    },
    "Data, training, evaluation": {
        "pairs": pairs,
        "export": export_app,
        "train": train_app,
        "serve": serve,
        "eval": evaluate,
        "gate": gate,
        "experiment": experiment,
        "report": report,
    },
    "Records of any agent": {"trace": trace_app},
    "Machine and formats": {"doctor": doctor, "clean": clean, "size": size, "schema": schema},
}

app = typer.Typer(
    name="trajhub",
    cls=ordered(_PANELS),
    help="Coding agents in real repositories: roll out, score, record, grade.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
register(app, _PANELS)


def _show_version(value: bool) -> None:
    if value:
        print(f"trajhub {__version__}")
        raise typer.Exit


@app.callback()
def _root(  # pyright: ignore[reportUnusedFunction]
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Print the version."),
) -> None:
    """Coding agents in real repositories: roll out, score, record, grade."""


def main() -> None:
    """Run `trajhub`; a `TrajHubError` is printed as a message and becomes its exit code."""
    try:
        app()
    except TrajHubError as error:
        print(f"trajhub: {error}", file=sys.stderr)
        if os.environ.get("TRAJHUB_TRACEBACK"):
            raise
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("trajhub: interrupted", file=sys.stderr)
        sys.exit(130)
