"""Layer 2 at scale: how fast tables are built from event logs, and what telemetry costs a step.

    python -m trajectory_hub.benchmarks.trace_tables build [--steps 50000] [--max-workers 2] [--json FILE]
    python -m trajectory_hub.benchmarks.trace_tables sampling [--steps 300]
    python -m trajectory_hub.benchmarks.trace_tables synthetic FOLDER [--steps 1000000] [--seed 0]

`build` writes logs of ordinary steps (a request and its answer, a call, a result with 1,000 characters, a reward with
five criteria, a metric), 40 an episode, and tabulates them in a process of its own whose memory is measured. `sampling`
needs Docker: it times `true` in a sandbox, and what of that its telemetry is (`agent_sampling` times
the samples beside black boxes). What is `synthetic` was not measured.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from trajectory_hub.envs.cgroup import host_account
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.sandbox import Sandbox, SandboxConfig

from ..rollouts import payloads
from ..rollouts.files import write_json
from ..rollouts.log import EventWriter, Header
from ..rollouts.payloads import Usage
from .bench_image import WORKDIR, ensure_bench_image
from .synthetic_tables import synthetic_run

__all__ = ["build", "build_here", "main", "sampling", "synthetic_run", "write_logs"]

_HERE = "trajectory_hub.benchmarks.trace_tables"
_STEPS = 40
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_OBSERVATION = "a line of output that an agent would read\n" * 24
_CRITERIA = ("goal_progress", "tool_choice", "argument_correctness", "use_of_information", "non_redundancy")
_RULES = ({"rule": "a_rule", "score": 0.5, "weight": 1.0, "evidence": "says what it saw and quotes it"},)
_COMMANDS = ("cat src/a.py", "grep -rn area src", "sed -i s/a/b/ src/a.py", "python -m pytest -q tests", "git diff")


def write_logs(run: Path, steps: int) -> int:
    """A run with at least so many ordinary steps; how many bytes its logs are."""
    write_json(run / "run.json", {"run_id": run.name, "created": _EPOCH.isoformat(), "config": None})
    written = 0
    for number in range(-(-steps // _STEPS)):
        name = f"task-{number:06d}--s0--a1"
        header = Header(
            run_id=run.name, episode_id=name, task_id=f"task-{number:06d}", agent="bench", agent_version="1",
            model="gpt-5", repo="a/b", commit="c" * 40, seed=0,
        )  # fmt: skip
        log = run / "episodes" / name / "events.jsonl"
        with EventWriter(log, header, fsync="never") as writer:
            writer.append(*[event for index in range(_STEPS) for event in _step(writer, index)])
        written += log.stat().st_size
    return written


def _step(writer: EventWriter, index: int) -> list[Any]:
    begin = _EPOCH + timedelta(seconds=3 * index)
    answered, done = begin + timedelta(seconds=2), begin + timedelta(seconds=2.5)
    command = _COMMANDS[index % len(_COMMANDS)]
    arguments = {"command": f"{command} # {index % 7}"}
    usage = Usage(input_tokens=900 * (index + 1), cached_input_tokens=900 * index, output_tokens=150)
    criteria = tuple(
        payloads.CriterionRecord(criterion=name, score=0.5, layer="rules@1", rules=_RULES) for name in _CRITERIA
    )
    facts: list[tuple[payloads.Payload, datetime, datetime]] = [
        (payloads.LlmRequest(request_id=f"r{index}", model="gpt-5"), begin, begin),
        (payloads.LlmResponse(request_id=f"r{index}", content="I look.", usage=usage), begin, answered),
        (payloads.ToolCall(step=index, tool="shell", arguments=arguments, action=command), answered, answered),
        (payloads.ToolResult(step=index, tool="shell", ok=True, exit_code=0, observation=_OBSERVATION), answered, done),
        (payloads.StepReward(step=index, reward=0.5, criteria=criteria), done, done),
        (payloads.SandboxMetric(step=index, wall_ms=500.0, cpu_s=0.2, memory_peak_bytes=1 << 26), answered, done),
    ]
    return [
        writer.event(fact, t_start=one, t_end=two, duration_ms=(two - one) / timedelta(milliseconds=1))
        for fact, one, two in facts
    ]


def build(steps: int, workers: int) -> dict[str, Any]:
    """Steps tabulated in a second, the first time and when nothing is to do, and the memory that took."""
    with tempfile.TemporaryDirectory(prefix="trajhub-bench-") as folder:
        run = Path(folder) / "bench"
        run.mkdir()
        size = write_logs(run, steps)
        code = f"from {_HERE} import build_here; build_here({str(run)!r}, {workers})"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        told = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
        ).stdout
        found = json.loads(told)
    return {"steps": steps, "logs_mb": round(size / 1e6, 1), "workers": workers, **found}


def build_here(folder: str, workers: int) -> None:
    """Build the tables of a run, and print what it took."""
    from ..rollouts.tables import build_tables

    run = Path(folder)
    began = time.perf_counter()
    rows = build_tables(run, max_workers=workers).rows
    spent = time.perf_counter() - began
    began = time.perf_counter()
    build_tables(run)
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    tables = sum(path.stat().st_size for path in run.glob("*.parquet"))
    print(
        json.dumps(
            {
                "seconds": round(spent, 2),
                "steps_per_s": round(rows["steps"] / spent),
                "current_ms": round((time.perf_counter() - began) * 1000, 1),
                "peak_mib": own.ru_maxrss // 1024,
                "peak_mib_of_a_worker": others.ru_maxrss // 1024,
                "tables_mb": round(tables / 1e6, 2),
            }
        )
    )


def sampling(steps: int) -> dict[str, Any]:
    """Milliseconds that the telemetry of a step takes: the peak reset, and the control group read before and after."""
    engine = Engine(None, run_id="bench-sampling")
    image = ensure_bench_image(engine)
    whole, telemetry = list[float](), list[float]()
    with Sandbox(engine, SandboxConfig(image=image, workdir=WORKDIR)) as sandbox:
        account = host_account(sandbox.pid, sandbox.container_id)
        if account is None:
            raise SystemExit("the engine's containers are not visible on this host, so nothing can be read here")
        for _ in range(steps):
            began = time.perf_counter()
            sandbox.run("true")
            ran = time.perf_counter()
            account.reset_peak()
            account.read()
            account.read()
            whole.append((ran - began) * 1000)
            telemetry.append((time.perf_counter() - ran) * 1000)
        account.close()
    step, spent = statistics.median(whole), statistics.median(telemetry)
    return {
        "steps": steps,
        "true_p50_ms": round(step, 3),
        "telemetry_p50_ms": round(spent, 4),
        "telemetry_p95_ms": round(statistics.quantiles(telemetry, n=20)[-1], 4),
        "share_of_true": round(spent / step, 3),
    }


def main() -> None:
    """Run what the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build", help="tables from logs")
    building.add_argument("--steps", type=int, default=50_000)
    building.add_argument("--max-workers", type=int, default=2)
    building.add_argument("--json", type=Path)
    synthetic = commands.add_parser("synthetic", help="write synthetic tables")
    synthetic.add_argument("folder", type=Path)
    synthetic.add_argument("--steps", type=int, default=1_000_000)
    synthetic.add_argument("--seed", type=int, default=0)
    measuring = commands.add_parser("sampling", help="what telemetry costs a step")
    measuring.add_argument("--steps", type=int, default=300)
    given = parser.parse_args()
    if given.command == "synthetic":
        print(synthetic_run(given.folder, given.steps, given.seed))
        return
    found = sampling(given.steps) if given.command == "sampling" else build(given.steps, given.max_workers)
    for name, value in found.items():
        print(f"{name:>22}  {value}")
    if getattr(given, "json", None) is not None:
        write_json(given.json, found)


if __name__ == "__main__":
    main()
