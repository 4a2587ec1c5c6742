"""What it was worth: evaluation runs, the gate, checks and audits of records, and measurement of traces.

`evaluation` makes graded runs, `gate` compares them, `experiment` runs the closed loop and `report` shows its result;
`checks` and `audit` examine a record; `traces`, `prediction` and `simulator` measure, predict and replay episodes of
any agent. `*_cli` are the commands. Names are imported on first use.
"""

from typing import TYPE_CHECKING

from ..lazy import lazy

if TYPE_CHECKING:
    from .checks.run import check_run
    from .evaluation import EvalConfig, Evaluation, evaluate, load_eval_config, subject_of
    from .gate import GateConfig, GateReport, compare
    from .traces.measure import measure

__all__ = [
    "EvalConfig",
    "Evaluation",
    "GateConfig",
    "GateReport",
    "check_run",
    "compare",
    "evaluate",
    "load_eval_config",
    "measure",
    "subject_of",
]

__getattr__ = lazy(
    __name__,
    {
        "checks.run": ["check_run"],
        "evaluation": ["EvalConfig", "Evaluation", "evaluate", "load_eval_config", "subject_of"],
        "gate": ["GateConfig", "GateReport", "compare"],
        "traces.measure": ["measure"],
    },
)
