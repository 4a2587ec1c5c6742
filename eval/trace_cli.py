"""`trajhub trace`: records of any agent, read, tabulated, measured, predicted, exported."""

import typer

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

app = typer.Typer(help="Read, tabulate, measure and export records of any agent.", no_args_is_help=True)
app.command("ingest")(ingest)
app.command("formats")(formats)
app.command("rounds")(rounds)
app.command("report")(report)
app.command("export")(export)
app.command("predict")(predict)
app.command("policies")(policies)
app.command("simulate")(simulate)
app.command("receive")(receive)
app.command("telemetry")(telemetry)
app.command("proxy")(proxy)
app.command("build")(build)
app.command("sql")(sql)
app.command("columns")(columns)
app.command("score")(score)
app.command("attribute")(attribute)
