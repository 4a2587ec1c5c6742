"""`trajhub trace`: records of any agent, read, tabulated, measured, predicted, exported."""

import typer

from ..panels import Panels, ordered, register
from ..rollouts.adapters.formats_cli import formats
from ..rollouts.adapters.ingest_cli import ingest
from ..rollouts.adapters.rounds_cli import rounds
from ..rollouts.attribution.attribute_cli import attribute
from ..rollouts.exporters.export_cli import export
from ..rollouts.otlp.receive_cli import receive, telemetry
from ..rollouts.proxy.proxy_cli import proxy
from ..rollouts.score_cli import score
from ..rollouts.tables.tables_cli import build, columns, sql
from .prediction.policies_cli import policies
from .prediction.predict_cli import predict
from .simulator.simulate_cli import simulate
from .traces.report_cli import report

__all__ = ["app"]

_PANELS: Panels = {
    "Read": {"ingest": ingest, "formats": formats, "receive": receive, "telemetry": telemetry, "proxy": proxy},
    "Ask": {"build": build, "sql": sql, "columns": columns},
    "Measure": {
        "report": report,
        "score": score,
        "attribute": attribute,
        "predict": predict,
        "policies": policies,
        "simulate": simulate,
    },
    "Write": {"export": export, "rounds": rounds},
}

app = typer.Typer(
    cls=ordered(_PANELS), help="Read, tabulate, measure and export records of any agent.", no_args_is_help=True
)
register(app, _PANELS)
