"""How many requests a second a judge makes of a real service, and what a second pass over the same steps costs.

    python -m trajectory_hub.benchmarks.judge RUN --model tiny@http://127.0.0.1:8000/v1 [--limit N] [--json FILE]

Scores a copy of a recorded run twice with structured outputs: first with an empty cache, then with the one that the
first pass filled. `client CPU ms` is what this side spends on each request (views, wrapping, schema, cache, log), apart
from the service. Exits 1 when the second pass asks anything. A server to measure: `bash scripts/local_server.sh serve`.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from ..console import table
from ..rewards.judge.asking import Judge
from ..rollouts.config import read_overrides
from ..rollouts.judge_run import JudgeRun
from ..rollouts.judging import JudgeRunConfig, load_judge_config, selected
from ..rollouts.scoring import judge_cache

__all__ = ["main", "measure"]

_COLUMNS = (
    "pass",
    "steps",
    "requests",
    "requests/s",
    "cache hits",
    "hit share",
    "steps/s",
    "p50 ms",
    "p95 ms",
    "client CPU ms",
    "failed",
)


def measure(run: Path, config: JudgeRunConfig) -> list[dict[str, Any]]:
    """Two passes over a copy of the run."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(run, Path(folder) / run.name, ignore=shutil.ignore_patterns("scores")))
        return [_pass(name, copy, config) for name in ("first", "second")]


def _pass(name: str, run: Path, config: JudgeRunConfig) -> dict[str, Any]:
    chosen = selected(run, config)
    began, worked = time.perf_counter(), time.process_time()
    with closing(Judge(config.judge, config.prices, judge_cache(run))) as judge:
        told = JudgeRun(run, config, chosen, judge).score(lambda _: None).as_dict()
    seconds, cpu = time.perf_counter() - began, time.process_time() - worked
    asked = told["requests"]
    return {
        "pass": name,
        "steps": told["steps"],
        "requests": asked,
        "requests/s": round(asked / seconds, 2),
        "cache hits": told["cache_hits"],
        "hit share": told["cache_hit_share"],
        "steps/s": round(told["steps"] / seconds, 1),
        "p50 ms": told["latency_p50_ms"],
        "p95 ms": told["latency_p95_ms"],
        "client CPU ms": round(1000 * cpu / (asked or told["steps"]), 2),
        "failed": sum(told["troubles"].values()),
    }


def _settings(chosen: argparse.Namespace) -> Mapping[str, Any]:
    values = read_overrides(chosen.config)
    judge: dict[str, Any] = {"models": chosen.model, "workers": chosen.workers, "cache": None}
    values["judge"] = {**values.get("judge", {}), **judge}
    return values | ({"limit": chosen.limit} if chosen.limit else {})


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; exit 1 when the second pass asked anybody."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--model", action="append", required=True, help="MODEL@URL; repeatable")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("-c", "--config", action="append", default=[], help="FILE.yaml or key=value")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args(arguments)
    rows = measure(chosen.run, load_judge_config(_settings(chosen)))
    table(
        f"{', '.join(chosen.model)}, {chosen.workers} at once",
        _COLUMNS,
        [[row[key] for key in _COLUMNS] for row in rows],
    )
    if chosen.json:
        chosen.json.write_text(json.dumps({"model": chosen.model, "rows": rows}, indent=2) + "\n", "utf-8")
    if rows[1]["requests"]:
        print("the second pass asked the service: the cache does not hold what it should", file=sys.stderr)
    return int(rows[1]["requests"] > 0)


if __name__ == "__main__":
    raise SystemExit(main())
