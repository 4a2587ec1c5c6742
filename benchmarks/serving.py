"""Rollouts an hour and tokens a second against concurrency, with a real vLLM and real sandboxes.

    python -m trajectory_hub.benchmarks.serving TASKS MODEL [--concurrency 1,4,16,64] [--episodes 64] [--replicas 1]
        [--sessions 16,64,256] [--steps 8] [--max-tokens 96] [--python PYTHON] [-c vllm.KEY=VALUE] [--json FILE]

MODEL is a folder of a checkpoint; the answers of one with random weights are held to the grammar of a valid call, so
that every step is a real tool call. Each row is a run of its own on the same server, after a run that warms it up. It
tells the share of repeated prompt tokens that the prefix cache saved (the most a cache can save is 100%; blocks that
are only partly full are lost), and what share of an episode's time went into waiting for the model, for the
environment (reset and tools), and for neither (queueing, recording, scoring). A second table leaves the sandboxes out:
so many conversations at once, to see what policy, router and server do by themselves.
"""

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..console import table
from ..envs.engine import Engine
from ..envs.sources import load_tasks
from ..envs.task import Task
from ..errors import TrajHubError, UsageError
from ..rewards.service.usage import Usage
from ..rollouts import load_config, run_rollout
from ..rollouts.budget import Budget, Ledger, RunLedger
from ..rollouts.config import read_overrides, resolve
from ..rollouts.payloads import Payload
from ..rollouts.policies.base import Context, TaskView
from ..rollouts.policies.vllm import VllmPolicy
from ..rollouts.run_dir import read_episodes
from ..rollouts.serving import ModelServer, ServeConfig
from ..tools.registry import ToolRegistry

__all__ = ["main", "measure", "measure_sessions"]

COLUMNS = {
    "at once": "concurrency",
    "episodes": "episodes",
    "rollouts/h": "rollouts_per_hour",
    "steps/s": "steps_per_s",
    "tokens out/s": "output_tokens_per_s",
    "tokens in/s": "input_tokens_per_s",
    "cache hits": "prefix_cache_hit_share",
    "waits for model": "model_wait_share",
    "for environment": "environment_wait_share",
    "failed": "failed",
}

ALONE = {
    "at once": "sessions",
    "requests": "requests",
    "requests/s": "requests_per_s",
    "tokens out/s": "output_tokens_per_s",
    "tokens in/s": "input_tokens_per_s",
    "cache hits": "prefix_cache_hit_share",
    "client CPU ms/request": "client_cpu_ms_per_request",
    "failed": "failed",
}


def measure(
    run: Path, tasks: Sequence[Task], server: ModelServer, concurrency: int, episodes: int, settings: Sequence[str]
) -> dict[str, Any]:
    """One run of so many episodes, so many at once."""
    chosen = [tasks[n % len(tasks)].model_copy(update={"instance_id": f"bench-{n}"}) for n in range(episodes)]
    ours = ["tasks=bench", f"policy=vllm:{server.name}@{server.base_url}", f"workers={concurrency}"]
    config = load_config(read_overrides([*ours, f"warm={min(concurrency, 4)}", *settings]))
    before, began = server.metrics(), time.perf_counter()
    summary = run_rollout(run, config, tasks=chosen)
    seconds, now = time.perf_counter() - began, server.metrics()
    counted = {name: now[name] - before.get(name, 0.0) for name in now}
    ends = [(e.end, e.duration_ms or 0.0) for e in read_episodes(run) if e.end is not None]
    whole = sum(duration for _, duration in ends) or 1.0
    return {
        "concurrency": concurrency,
        "episodes": len(ends),
        "seconds": round(seconds, 1),
        "rollouts_per_hour": round(3600 * len(ends) / seconds),
        "steps_per_s": round(sum(end.steps for end, _ in ends) / seconds, 2),
        "output_tokens_per_s": round(counted.get("generation_tokens", 0.0) / seconds, 1),
        "input_tokens_per_s": round(counted.get("prompt_tokens", 0.0) / seconds, 1),
        "prefix_cache_hit_share": _rounded(summary.usage.repeated_hit_share),
        "server_hit_share": _rounded(_share(counted, "prefix_cache_hits", "prefix_cache_queries")),
        "model_wait_share": round(sum(end.policy_ms or 0.0 for end, _ in ends) / whole, 3),
        "environment_wait_share": round(
            sum((end.tool_ms or 0.0) + (end.reset_ms or 0.0) for end, _ in ends) / whole, 3
        ),
        "failed": sum(summary.excluded.values()),
    }


def _share(counted: dict[str, float], part: str, whole: str) -> float | None:
    return counted[part] / counted[whole] if counted.get(whole) else None


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)


class _Talker(threading.Thread):
    """One session that is told the same again and again; nothing is executed."""

    def __init__(self, policy: VllmPolicy, seed: int, steps: int) -> None:
        super().__init__()
        self._steps = steps
        self.ledger = Ledger(RunLedger(Budget()), None)
        context = Context(
            tools=ToolRegistry().schemas(),
            seed=seed,
            log=_forget,
            ledger=self.ledger,
            deadline=time.monotonic() + 3600,
        )
        view = TaskView(instance_id="t", repo="r", base_commit="c", problem_statement="", workdir="/")
        self._session = policy.start(view, context)
        self.error: TrajHubError | None = None

    def run(self) -> None:
        try:
            for _ in range(self._steps):
                self._session.act("a line of output\n" * 20, {})
        except TrajHubError as error:
            self.error = error


def _forget(payload: Payload, **_: Any) -> None:
    pass


def measure_sessions(server: ModelServer, sessions: int, steps: int, settings: Sequence[str]) -> dict[str, Any]:
    """So many conversations at once, without sandboxes: what policy and server do by themselves."""
    address = f"policy=vllm:{server.name}@{server.base_url}"
    policy = VllmPolicy(resolve(load_config(read_overrides(["tasks=bench", address, *settings]))).vllm)
    talkers = [_Talker(policy, seed, steps) for seed in range(sessions)]
    before, began, cpu = server.metrics(), time.perf_counter(), time.process_time()
    for talker in talkers:
        talker.start()
    for talker in talkers:
        talker.join()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    now = server.metrics()
    policy.close()
    usage, requests = Usage(), sum(talker.ledger.requests for talker in talkers)
    for talker in talkers:
        usage = usage.plus(talker.ledger.usage)
    return {
        "sessions": sessions,
        "requests": requests,
        "requests_per_s": round(requests / seconds, 2),
        "output_tokens_per_s": round((now["generation_tokens"] - before.get("generation_tokens", 0.0)) / seconds, 1),
        "input_tokens_per_s": round((now["prompt_tokens"] - before.get("prompt_tokens", 0.0)) / seconds, 1),
        "prefix_cache_hit_share": _rounded(usage.repeated_hit_share),
        "client_cpu_ms_per_request": round(1000 * cpu / max(requests, 1), 1),
        "failed": sum(talker.error is not None for talker in talkers),
    }


def _here(tasks: Sequence[Task]) -> list[Task]:
    """Those whose image this engine has. Raises UsageError when there is none."""
    engine = Engine()
    try:
        found = [task for task in tasks if task.image and engine.image_id(task.image)]
    finally:
        engine.close()
    if not found:
        raise UsageError("no image of these tasks is on this engine; build or pull them first")
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks")
    parser.add_argument("model")
    parser.add_argument("--concurrency", default="1,4,16,64")
    parser.add_argument("--episodes", type=int, default=64, help="at most; fewer where few run at once")
    parser.add_argument("--sessions", default="16,64,256", help="conversations at once without sandboxes")
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--max-tokens", type=int, default=96)
    parser.add_argument("--python")
    parser.add_argument("-c", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def _counts(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def main() -> None:
    """Measure and print."""
    args = _arguments()
    tasks = _here(load_tasks(args.tasks))
    steps = (f"env.max_steps={args.steps}", f"vllm.max_tokens={args.max_tokens}", "vllm.reminders=999")
    settings = [*steps, "vllm.constrain=true", "vllm.temperature=1", *args.c]
    config = ServeConfig(model=args.model, replicas=args.replicas, python=args.python)
    with tempfile.TemporaryDirectory() as folder, ModelServer(config, logs=Path(folder)) as server:
        measure(Path(folder) / "warm", tasks, server, 2, 2, settings)
        rows = [
            measure(Path(folder) / f"with-{count}", tasks, server, count, min(args.episodes, 8 * count), settings)
            for count in _counts(args.concurrency)
        ]
        alone = [measure_sessions(server, count, args.steps, settings) for count in _counts(args.sessions)]
    served = f"{config.served_name}, vLLM {server.vllm.version} ({server.vllm.build}), {args.replicas} replicas"
    table(f"Rollouts: {served}", list(COLUMNS), [[row[key] for key in COLUMNS.values()] for row in rows])
    table(
        f"Conversations without sandboxes: {served}",
        list(ALONE),
        [[row[key] for key in ALONE.values()] for row in alone],
    )
    if args.json:
        args.json.write_text(json.dumps({"rollouts": rows, "sessions": alone}, indent=2) + "\n")


if __name__ == "__main__":
    main()
