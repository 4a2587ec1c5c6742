"""How fast recorded runs become a data set, and in how much memory.

    python -m trajectory_hub.benchmarks.export [--sizes 1000 10000] [--steps 12] [--kind sft|preference] [--json FILE]

For each size a run is written by `EventWriter` into a temporary folder (calls, results of about 1,500 characters,
rewards with evidence, patches, verdicts), then exported as JSONL and parquet by a process of its own, whose time and
peak memory are measured. Two episodes a task; no two are nearly the same.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any, Literal

from ..errors import StopReason
from ..rollouts import payloads
from ..rollouts.episode_log import EVENTS, patch_facts
from ..rollouts.files import write_json
from ..rollouts.log import EventWriter, Header
from ..rollouts.run_dir import EPISODES, MANIFEST
from ..tools.registry import ToolRegistry
from ..training.config import load_export_config
from ..training.data_sets.export import Request, export_preferences, export_sft

__all__ = ["export", "main", "write_run"]

Kind = Literal["sft", "preference"]
_WORDS = tuple("parse value index token stream buffer cache length offset branch merge commit order total".split())
_CRITERIA = ("goal_progress", "tool_choice", "argument_correctness", "use_of_information", "non_redundancy")
_MIB = 1 << 20


def write_run(folder: Path, episodes: int, steps: int) -> int:
    """Write a run of so many episodes; its bytes."""
    write_json(folder / MANIFEST, {"run_id": "bench", "config": None, "policy": {"name": "bench"}})
    tools = tuple(ToolRegistry().schemas())
    return sum(_write_episode(folder, number, steps, tools) for number in range(episodes))


def _write_episode(folder: Path, number: int, steps: int, tools: tuple[dict[str, Any], ...]) -> int:
    rng, solved = Random(number), number % 2 == 0
    task = f"bench-{number // 2:05d}"
    header = Header(
        run_id="bench",
        episode_id=f"{task}--s{number % 2}--a1",
        task_id=task,
        agent="bench",
        agent_version="1",
        repo=f"org/repo-{number % 50}",
        commit="c" * 40,
        seed=number % 2,
    )
    path = folder / EPISODES / header.episode_id / EVENTS
    statement = _text(Random(number // 2), 60)
    with EventWriter(path, header, fsync="never") as writer:
        writer.write(payloads.EpisodeStart(task={"problem_statement": statement}, observation=statement, tools=tools))
        for index in range(steps):
            _write_step(writer, index, rng, last=index == steps - 1)
        patch = f"diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-{_text(rng, 9)}\n+{_text(rng, 9)}\n"
        facts = patch_facts(patch)
        writer.write(payloads.FinalPatch(patch=patch, **facts))
        score = 0.8 if solved else 0.3
        writer.write(payloads.EpisodeEnd(stop_reason=StopReason.SUBMITTED, steps=steps, process_score=score))
        outcome = "resolved" if solved else "tests_failed"
        writer.write(payloads.Verdict(resolved=solved, outcome=outcome, patch_sha256=facts["sha256"]))
    return path.stat().st_size


def _write_step(writer: EventWriter, index: int, rng: Random, *, last: bool) -> None:
    tool, arguments = ("submit", {}) if last else ("search", {"pattern": _text(rng, 12)})
    action = json.dumps({"name": tool, "arguments": arguments})
    rules = ({"rule": "a_rule", "score": 0.5, "weight": 1.0, "evidence": _text(rng, 12)},)
    criteria = tuple(
        payloads.CriterionRecord(criterion=name, score=0.5, layer="rules@1", rules=rules) for name in _CRITERIA
    )
    writer.append(
        writer.event(
            payloads.ToolCall(step=index, tool=tool, arguments=arguments, action=action, thought=_text(rng, 20))
        ),
        writer.event(payloads.ToolResult(step=index, tool=tool, ok=True, observation=_text(rng, 220))),
        writer.event(payloads.StepReward(step=index, reward=0.5, criteria=criteria)),
        writer.event(payloads.SandboxMetric(step=index, wall_ms=1.5, cpu_user_s=0.01, memory_peak_bytes=1 << 20)),
    )


def _text(rng: Random, words: int) -> str:
    return " ".join(rng.choice(_WORDS) + (f"_{rng.randrange(1000)}" if n % 3 == 0 else "") for n in range(words))


def export(kind: Kind, run: Path, out: Path) -> dict[str, Any]:
    """Export a run in this process: rows, seconds, and the most memory that the process ever had."""
    began, cpu = time.perf_counter(), time.process_time()
    request = Request(sources=[run], out=out, config=load_export_config(["filter.outcome=any"]))
    done = export_sft(request) if kind == "sft" else export_preferences(request)
    return {
        "rows": done.rows,
        "seconds": round(time.perf_counter() - began, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "out_mib": round(sum(file.bytes for file in done.files) / _MIB, 1),
    }


def _measure(kind: Kind, size: int, steps: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        run, out = Path(folder) / "run", Path(folder) / "out"
        began = time.perf_counter()
        written = write_run(run, size, steps)
        took = time.perf_counter() - began
        command = [sys.executable, "-m", __spec__.name if __spec__ else __name__, "--kind", kind, "--export"]
        done = subprocess.run([*command, str(run), str(out)], stdout=subprocess.PIPE, text=True, check=True)
        figures: dict[str, Any] = json.loads(done.stdout)
    return {
        "trajectories": size,
        "log_mib": round(written / _MIB, 1),
        "written_in_s": round(took, 1),
        "per_s": round(size / figures["seconds"], 1),
        "per_cpu_s": round(size / figures["cpu_seconds"], 1),
        **figures,
    }


def _sentence(kind: Kind, found: dict[str, Any]) -> str:
    return (
        f"{kind}: {found['trajectories']:,} trajectories ({found['log_mib']} MiB of logs) -> {found['rows']:,} rows "
        f"({found['out_mib']} MiB): {found['per_s']:,.0f}/s, {found['per_cpu_s']:,.0f} per CPU second, "
        f"peak {found['peak_mib']} MiB"
    )


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Speed and memory of exports.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--kind", choices=["sft", "preference"], default="sft")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--export", type=Path, nargs=2, metavar=("RUN", "OUT"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.export:
        print(json.dumps(export(options.kind, *options.export)))
        return
    found = list[dict[str, Any]]()
    for size in options.sizes:
        found.append(_measure(options.kind, size, options.steps))
        print(_sentence(options.kind, found[-1]), flush=True)
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
