"""How long a report takes, and how much memory: by default on 1,000,000 synthetic steps.

    python -m trajectory_hub.benchmarks.trace_report [--steps 1000000] [--by COLUMN] [-o DIR] [--keep RUN]

Prints the rows of each table, seconds by section, the whole wall and CPU time, and the peak of resident memory of this
process, which does not make the tables (another one does). Wall time is only comparable on a quiet machine.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..console import emit_json, table
from ..eval.traces.measure import Measurements, measure
from ..eval.traces.report import write_report
from .synthetic_tables import synthetic_run

__all__ = ["main"]


def main() -> None:
    """Make a run, measure it, write its report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--by", help="column of episodes whose values are measured apart as well")
    parser.add_argument("-o", "--output", type=Path, help="folder for the report")
    parser.add_argument("--keep", type=Path, help="folder of the synthetic run, made once")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run = arguments.keep or Path(scratch) / "synthetic"
        if not (run / "samples.parquet").exists():
            _made(run, arguments.steps)
        found = _timed(run, arguments.by, arguments.output or Path(scratch) / "report")
    if arguments.json:
        emit_json(found)
    else:
        table("Report", ("", "figure"), [(name, value) for name, value in found.items()])


def _made(run: Path, steps: int) -> None:
    """In a process of its own, so that its memory is not counted."""
    process = multiprocessing.get_context("spawn").Process(target=synthetic_run, args=(run, steps))
    process.start()
    process.join()


def _timed(run: Path, by: str | None, output: Path) -> dict[str, Any]:
    marks = [("reading", time.perf_counter())]
    begun, worked = time.perf_counter(), time.process_time()
    found = measure([run], by=by, each=lambda name: marks.append((name, time.perf_counter())))
    marks.append(("page", time.perf_counter()))
    write_report(found, output)
    marks.append(("", time.perf_counter()))
    spans = {f"seconds: {name}": round(later - at, 2) for (name, at), (_, later) in pairwise(marks)}
    return {
        **_sizes(found),
        **spans,
        "wall seconds": round(time.perf_counter() - begun, 1),
        "CPU seconds": round(time.process_time() - worked, 1),
        "peak MiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "report.html MiB": round((output / "report.html").stat().st_size / 2**20, 2),
    }


def _sizes(found: Measurements) -> dict[str, int]:
    scope = found.all
    return {
        "episodes": scope.episodes,
        "steps": 0 if scope.workload is None else scope.workload.tool_calls,
        "requests": 0 if scope.workload is None else scope.workload.rounds,
        "samples": 0 if scope.resources is None else scope.resources.samples,
    }


if __name__ == "__main__":
    main()
