"""Episodes a minute and steps a second with 1 to 32 sandboxes, and what the host pays for each.

    python -m trajectory_hub.benchmarks.rollouts TASKS [--sandboxes 1,2,4,8,16,32] [--json FILE]

Each episode is a reset (from the warm pool where the next one was foreseen), 20 commands that read 40 lines of a file,
rewarded and recorded, and a submission. The tables also give host memory per open sandbox, and the throughput of the
event log and of the rule layer, which a rollout pays for at every step.
"""

import argparse
import json
import os
import re
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..console import table
from ..envs.engine import Engine
from ..envs.env import SWEBenchEnv
from ..envs.sources import load_tasks
from ..envs.task import Task
from ..rollouts.config import load_config
from ..rollouts.policies.base import Action
from ..rollouts.policies.scripted import ScriptedPolicy
from ..rollouts.run_dir import read_episodes
from ..rollouts.start import opened
from . import event_log, rules

__all__ = ["main", "measure_memory", "measure_runs"]

STEPS = 20
BUDGET_MIB = 3.0
_CHANGED = re.compile(r"^--- a/(\S+)", re.MULTILINE)


def _policy(tasks: Sequence[Task]) -> ScriptedPolicy:
    """Reads a file of each task's own repository again and again."""
    return ScriptedPolicy({task.instance_id: [_read(task)] * STEPS for task in tasks})


def _read(task: Task) -> Action:
    found = _CHANGED.search(task.patch)
    command = f"sed -n 1,40p {found[1]}" if found else "true"
    return Action(call={"name": "shell", "arguments": {"command": command}})


def measure_runs(tasks: Sequence[Task], sandboxes: int, episodes: int, folder: Path) -> dict[str, Any]:
    """A run of so many episodes on so many sandboxes at once."""
    run = folder / f"with-{sandboxes}"
    config = load_config({"tasks": "bench", "policy": "scripted", "workers": sandboxes, "warm": min(sandboxes, 4)})
    chosen = [tasks[n % len(tasks)].model_copy(update={"instance_id": f"bench-{n}"}) for n in range(episodes)]
    with opened(run, config, _policy(chosen), chosen) as runner:
        began, cpu = time.perf_counter(), time.process_time()
        runner.run()
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    ends = [(e.end, e.duration_ms or 0.0) for e in read_episodes(run) if e.end is not None]
    steps = sum(end.steps for end, _ in ends)
    stepping = [(end.tool_ms or 0.0) / end.steps for end, _ in ends if end.steps]
    return {
        "sandboxes": sandboxes,
        "episodes": len(ends),
        "episodes_per_min": round(60 * len(ends) / seconds, 1),
        "steps_per_s": round(steps / seconds, 1),
        "episode_s_p50": round(statistics.median(duration for _, duration in ends) / 1000, 2),
        "reset_ms_p50": round(statistics.median(end.reset_ms or 0.0 for end, _ in ends), 1),
        "tool_ms_per_step_p50": round(statistics.median(stepping), 2),
        "host_cpu_ms_per_step": round(1000 * cpu / steps, 2),
        "failed": sum(end.failure is not None for end, _ in ends),
    }


def measure_memory(task: Task, sandboxes: int) -> dict[str, Any]:
    """Resident memory of this process before and after opening so many sandboxes, each used once."""
    engine = Engine(run_id="bench-memory")
    first = SWEBenchEnv([task], engine=engine, config={"warm": 0})
    first.reset(seed=0)  # whatever is loaded once for all
    first.step({"name": "shell", "arguments": {"command": "true"}})
    before = _resident_mib()
    others = [SWEBenchEnv([task], engine=engine, config={"warm": 0}) for _ in range(sandboxes)]
    try:
        for env in others:
            env.reset(seed=0)
            env.step({"name": "shell", "arguments": {"command": "true"}})
        grown = _resident_mib() - before
    finally:
        for env in (first, *others):
            env.close()
        engine.close()
    return {"sandboxes": sandboxes, "host_mib_per_sandbox": round(grown / sandboxes, 2), "host_mib": round(before, 1)}


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description="Rollout throughput.")
    parser.add_argument("tasks", help="task repo, dataset or file of tasks whose images are here")
    parser.add_argument("--sandboxes", default="1,2,4,8,16,32", help="how many at once, one run each")
    parser.add_argument("--episodes", type=int, default=3, help="episodes for each sandbox")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args(arguments)
    tasks = load_tasks(options.tasks)
    counts = [int(count) for count in options.sandboxes.split(",")]
    memory = measure_memory(tasks[0], min(16, max(counts)))
    with tempfile.TemporaryDirectory() as folder:
        runs = [measure_runs(tasks, count, max(6, count * options.episodes), Path(folder)) for count in counts]
    figures: dict[str, Any] = {
        "runs": runs,
        "memory": memory,
        "event_log": event_log.measure(20_000),
        "rules": rules.measure(length=100, episodes=4, passes=3),
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
    }
    _print(figures)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


def _print(figures: dict[str, Any]) -> None:
    columns = list(figures["runs"][0])
    table("Rollouts, reward and record included", columns, [[run[c] for c in columns] for run in figures["runs"]])
    per_box, log = figures["memory"]["host_mib_per_sandbox"], figures["event_log"]
    rows = [
        ("host memory per open sandbox, MiB", per_box, f"<= {BUDGET_MIB}"),
        ("event log, written a second", log["written_per_s"], ">= 20,000"),
        ("event log, read a second", log["read_per_s"], ">= 50,000"),
        ("rule layer, steps a second", figures["rules"]["steps_per_s"], ">= 5,000"),
    ]
    table("What a step and a sandbox cost the host", ("what", "measured", "budget"), rows)
    print(f"{figures['cores']} cores, load average {figures['load_average']}")


if __name__ == "__main__":
    raise SystemExit(main())
