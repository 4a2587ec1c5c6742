"""How fast the event log is written and read, and in how much memory.

    python -m trajectory_hub.benchmarks.event_log [--steps 40000] [--json FILE]

The events are those of ordinary steps: a call, its result with an observation of 1,000 characters, a reward with five
criteria, a metric. Each step is one write, as in a rollout.
"""

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..rollouts import payloads
from ..rollouts.log import EventWriter, Header, read_events

__all__ = ["main", "measure"]

HEADER = Header(
    run_id="bench",
    episode_id="task--s0--a1",
    task_id="task",
    agent="bench",
    agent_version="1",
    repo="a/b",
    commit="c" * 40,
    seed=0,
)
_RULES = ({"rule": "a_rule", "score": 0.5, "weight": 1.0, "evidence": "says what it saw and quotes it"},)
_CRITERIA = ("goal_progress", "tool_choice", "argument_correctness", "use_of_information", "non_redundancy")
_OBSERVATION = "a line of output that an agent would read\n" * 24
_ROUNDS = 5
BUDGET = {"written_per_s": 20_000, "read_per_s": 50_000}


def _step(writer: EventWriter, index: int) -> int:
    record = payloads.CriterionRecord
    criteria = tuple(record(criterion=c, score=0.5, layer="rules@1", rules=_RULES) for c in _CRITERIA)
    facts = {"command": "ls -la", "timed_out": False, "output_sha256": "a" * 64, "output_bytes": 1000}
    events = (
        writer.event(payloads.ToolCall(step=index, tool="shell", arguments={"command": "ls -la"}, action="{}")),
        writer.event(payloads.ToolResult(step=index, tool="shell", ok=True, observation=_OBSERVATION, data=facts)),
        writer.event(payloads.StepReward(step=index, reward=0.5, criteria=criteria)),
        writer.event(payloads.SandboxMetric(step=index, wall_ms=1.5, cpu_user_s=0.01, memory_peak_bytes=1 << 20)),
    )
    writer.append(*events)
    return len(events)


def _write(path: Path, steps: int) -> int:
    with EventWriter(path, HEADER, fsync="never") as writer:
        return sum(_step(writer, index) for index in range(steps))


def _read(path: Path) -> int:
    return sum(1 for _ in read_events(path))


def _rates(work: Callable[[], int]) -> tuple[float, float]:
    """Events a second of wall time, and of this process's own CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    count = work()
    return count / (time.perf_counter() - wall), count / (time.process_time() - cpu)


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(steps: int) -> dict[str, Any]:
    """Medians of interleaved rounds, events a second, and what memory grew by."""
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder) / "warm.jsonl", 100)
        _read(Path(folder) / "warm.jsonl")
        before, written, read = _peak_mib(), list[tuple[float, float]](), list[tuple[float, float]]()
        for number in range(_ROUNDS):
            path = Path(folder) / f"{number}.jsonl"
            written.append(_rates(lambda path=path: _write(path, steps // _ROUNDS)))
            read.append(_rates(lambda path=path: _read(path)))
        size = sum((Path(folder) / f"{n}.jsonl").stat().st_size for n in range(_ROUNDS))
    return {
        "events": 4 * (steps // _ROUNDS) * _ROUNDS,
        "mib": round(size / (1 << 20), 1),
        **_medians("written", written),
        **_medians("read", read),
        "peak_memory_growth_mib": round(_peak_mib() - before, 1),
    }


def _medians(name: str, rates: list[tuple[float, float]]) -> dict[str, int]:
    wall, cpu = zip(*rates, strict=True)
    return {
        f"{name}_per_s": round(statistics.median(wall)),
        f"{name}_per_cpu_s": round(statistics.median(cpu)),
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Event-log throughput.")
    parser.add_argument("--steps", type=int, default=40_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    figures = measure(options.steps)
    for name, value in figures.items():
        goal = BUDGET.get(name)
        note = "" if goal is None else f"   budget {goal:,}: {'met' if value >= goal else 'NOT met'}"
        print(f"{name:<24} {value:>12,}{note}")
    print(f"{'load average':<24} {os.getloadavg()[0]:>12.1f}   on {os.cpu_count()} cores")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
