"""Do our figures equal those that others published or recorded of the same data?

    python -m trajectory_hub.benchmarks.trace_published DATA [--json]

DATA holds `llm-agents-study/rq1` (arXiv 2506.18824), `agentcgroup` (eunomia-bpf/agentcgroup) and
`tracelab/example_sessions/derived` (uw-syfi/TraceLab); a folder that is missing is told. Prints ours beside theirs:

- iterations by agent and outcome from the study's tables, through the same code as the report, beside what the study's
  own plotting script labels its figure with (mean and median, one decimal), and the abstract's 120 trajectories and
  2,822 interactions;
- the samples of each AgentCgroup run, ingested and summarised, beside the summary its monitor recorded;
- prompt, prefix and append tokens of TraceLab's golden rounds, ingested, beside the rounds' own fields.

Ends with status 1 when any figure differs.
"""

import argparse
import csv
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple

from ..console import emit_json, table
from ..eval.traces.behaviour import SECTION as BEHAVIOUR
from ..eval.traces.cache import SECTION as CACHE
from ..eval.traces.resources import summaries
from ..eval.traces.section import Options
from ..eval.traces.source import Source
from ..rollouts.adapters.engine import ingest
from ..rollouts.tables import TABLES, open_tables, schema
from ..rollouts.tables.columns import arrow

__all__ = ["AGENTS", "Line", "main", "rounds_of", "runs_of", "study"]

AGENTS = {"repairagent": "RepairAgent", "codeact": "OpenHands", "acr": "AutoCodeRover"}
"""Begin of the study's file names, and how the paper calls the agent."""
_TRAJECTORIES, _INTERACTIONS = 120, 2822
"""Of the paper's abstract."""


class Line(NamedTuple):
    """One figure."""

    what: str
    ours: float | None
    theirs: float | None
    tolerance: float = 0.0

    @property
    def same(self) -> bool:
        """Equal, within the tolerance."""
        if self.ours is None or self.theirs is None:
            return self.ours is self.theirs
        return abs(self.ours - self.theirs) <= self.tolerance


def study(folder: Path) -> Iterator[Line]:
    """Iterations by agent and outcome, from `rq1/`."""
    rows = {name: _rows(folder / f"{file}_iterations.csv") for file, name in AGENTS.items()}
    episodes = [
        {"run_id": name, "episode_id": row["instance_id"], "task_id": row["instance_id"], "agent": name,
         "resolved": row["is_resolved"] == "True", "requests": int(row["n_iterations"]), "timing": "none"}
        for name, listed in rows.items() for row in listed
    ]  # fmt: skip
    found = BEHAVIOUR.measure(_tables(episodes), Options())
    measured = {one.agent: one for one in found.quantities if one.quantity == "iterations"}
    yield Line("trajectories", sum(one.every.n for one in measured.values()), _TRAJECTORIES)
    yield Line("interactions", sum(one.every.total or 0 for one in measured.values()), _INTERACTIONS)
    for name, listed in rows.items():
        for side, wanted in (("resolved", "True"), ("unresolved", "False")):
            values = [int(row["n_iterations"]) for row in listed if row["is_resolved"] == wanted]
            ours = getattr(measured[name], side)
            yield Line(f"{name}, {side}: trajectories", ours.n, len(values))
            yield Line(f"{name}, {side}: mean", round(ours.mean, 1), round(mean(values), 1))
            yield Line(f"{name}, {side}: median", round(ours.median, 1), round(median(values), 1))


def runs_of(folder: Path, scratch: Path) -> Iterator[Line]:
    """Summaries of AgentCgroup's runs."""
    ingest([folder], scratch)
    found = {one.episode_id: one for one in summaries(Source.of(open_tables([scratch])))}
    for path in sorted(folder.glob("*/*/resources.json")):
        recorded = json.loads(path.read_text())["summary"]
        name = path.parent.name
        ours = next((one for key, one in found.items() if name in key or name == one.task_id), None)
        yield Line(f"{name}: samples", None if ours is None else ours.sample_count, recorded["sample_count"])
        if ours is None:
            continue
        yield Line(f"{name}: seconds", ours.duration_seconds, recorded["duration_seconds"], 2e-6)
        for kind, theirs in (("memory", recorded["memory_mb"]), ("cpu", recorded["cpu_percent"])):
            for figure in ("min", "max", "avg"):
                yield Line(f"{name}: {kind} {figure}", getattr(ours, f"{kind}_{figure}"), theirs[figure], 1e-6)


def rounds_of(folder: Path, scratch: Path) -> Iterator[Line]:
    """Tokens of TraceLab's golden rounds."""
    rounds = [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]
    ingest([folder], scratch)
    found = CACHE.measure(Source.of(open_tables([scratch])), Options())
    prefix, append = (sum(one[name] for one in rounds) for name in ("prefix_tokens", "newly_append_tokens"))
    yield Line("rounds", None if found is None else found.hits.n, len(rounds))
    if found is None:
        return
    yield Line("prompt tokens", found.hits.whole, prefix + append)
    yield Line("prefix tokens", found.hits.part, prefix)
    fresh, growth = _fresh(rounds)
    yield Line("context growth", found.prefill["all"].growth, growth)
    yield Line("fresh tokens", found.prefill["all"].fresh, fresh)


def _fresh(rounds: list[dict[str, Any]]) -> tuple[int, int]:
    """TraceLab's redundant_prefill: fresh tokens and growth of the context, over rounds with one before."""
    before, fresh, growth = dict[str, dict[str, Any]](), 0, 0
    for one in rounds:
        last = before.get(one["session_id"])
        if last is not None:
            sizes = [each["prefix_tokens"] + each["newly_append_tokens"] for each in (one, last)]
            growth += max(0, sizes[0] - sizes[1])
            fresh += max(0, sizes[0] - sizes[1]) - last["output_tokens"]
        before[one["session_id"]] = one
    return fresh, growth


def main() -> None:
    """Print ours beside theirs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        found = {name: list(lines) for name, lines in _parts(arguments.data, Path(scratch))}
    if arguments.json:
        emit_json({name: [{**one._asdict(), "same": one.same} for one in lines] for name, lines in found.items()})
    else:
        for name, lines in found.items():
            shown = [(one.what, one.ours, one.theirs, "same" if one.same else "DIFFERENT") for one in lines]
            table(name, ("figure", "ours", "theirs", ""), shown)
            print(f"{sum(one.same for one in lines)} of {len(lines)} figures are the same\n")
    sys.exit(not all(one.same for lines in found.values() for one in lines))


def _parts(data: Path, scratch: Path) -> Iterator[tuple[str, Iterator[Line]]]:
    rq1, runs, rounds = data / "llm-agents-study/rq1", data / "agentcgroup", data / "tracelab/example_sessions/derived"
    for name, folder, lines in (
        ("arXiv 2506.18824, iterations", rq1, lambda: study(rq1)),
        ("AgentCgroup, samples", runs, lambda: runs_of(runs, scratch / "runs")),
        ("TraceLab, golden rounds", rounds, lambda: rounds_of(rounds, scratch / "rounds")),
    ):
        if folder.is_dir():
            yield name, lines()
        else:
            print(f"{name}: there is no {folder}", file=sys.stderr)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _tables(episodes: list[dict[str, Any]]) -> Source:
    """Only these episodes, and three empty tables."""
    import duckdb

    connection = duckdb.connect()
    for name in TABLES:
        listed = episodes if name == "episodes" else []
        fields = schema(name)
        rows = [{field: row.get(field) for field in fields.names} for row in listed]
        connection.register(name, arrow().Table.from_pylist(rows, schema=fields))
    return Source.of(connection)


if __name__ == "__main__":
    main()
