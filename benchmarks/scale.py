"""What spreading episodes over Ray nodes costs, and the constants that `trajhub size` computes from.

    python -m trajectory_hub.benchmarks.scale TASKS [--nodes 4] [--workers 4] [--rounds 3] [--json FILE]

A Ray cluster of so many nodes is simulated on this machine, all on its one Docker engine, and the same runs are done on
it and by local threads in turn, so that the difference is Ray's and ours, not the machine's. One kind of run does
nothing but steps; in the other, each step waits for half a second first, as it would for a model.
"""

import argparse
import json
import os
import re
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from ..console import table
from ..envs.engine import Engine
from ..envs.sandbox import Sandbox, SandboxConfig
from ..envs.sources import load_tasks
from ..envs.step import Step
from ..envs.task import Task
from ..errors import StopReason
from ..rollouts.config import load_config
from ..rollouts.episode_log import EVENTS, EpisodeLog
from ..rollouts.log import Header
from ..rollouts.payloads import LlmRequest, LlmResponse
from ..rollouts.policies.base import Action, Context, Gave, PolicyBase, Session, TaskView
from ..rollouts.run_dir import read_episodes
from ..rollouts.scale.sizing import EpisodeProfile, episode_of, load_sizing
from ..rollouts.start import opened
from ..tools.base import Telemetry

__all__ = ["Reading", "container_cost", "image_sizes", "log_kib", "main", "measure_run"]

STEPS = 20
STORE = 80 << 20
_CHANGED = re.compile(r"^--- a/(\S+)", re.MULTILINE)
_ENGINE = ("dockerd", "containerd")
_SHIM = "containerd-shim"
_TICKS = os.sysconf("SC_CLK_TCK")


class Reading(PolicyBase):
    """Reads 40 lines again and again, after `think` seconds each time."""

    name = "reading"

    def __init__(self, think: float, files: Mapping[str, str]) -> None:
        self._think, self._files = think, files

    def start(self, task: TaskView, context: Context) -> Session:
        """Begin an episode."""
        command = f"sed -n 1,40p {self._files[task.instance_id]}"
        return _Slow([Action(call={"name": "shell", "arguments": {"command": command}})] * STEPS, self._think)


class _Slow(Gave):
    def __init__(self, actions: Sequence[Action], think: float) -> None:
        super().__init__(actions)
        self._think = think

    def act(self, observation: str, info: Mapping[str, Any]) -> Action:
        time.sleep(self._think)
        return super().act(observation, info)


def measure_run(
    tasks: Sequence[Task], folder: Path, settings: Mapping[str, Any], think: float, episodes: int
) -> dict[str, float]:
    """One run; its start, which takes an actor on each node, is told apart."""
    chosen = [tasks[n % len(tasks)].model_copy(update={"instance_id": f"bench-{n}"}) for n in range(episodes)]
    found = {task.instance_id: _CHANGED.search(task.patch) for task in chosen}
    policy = Reading(think, {name: match[1] if match else "/etc/passwd" for name, match in found.items()})
    config = load_config({"tasks": "bench", "policy": "reading", **settings})
    asked = time.perf_counter()
    with opened(folder, config, policy, chosen) as runner:
        began, cpu = time.perf_counter(), time.process_time()
        runner.run()
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    ends = [episode.end for episode in read_episodes(folder) if episode.end is not None]
    steps = sum(end.steps for end in ends)
    failed = sum(end.failure is not None for end in ends)
    return {
        "episodes_per_min": 60 * (len(ends) - failed) / seconds,
        "start_s": began - asked,
        "own_cpu_ms_per_step": 1000 * cpu / max(steps, 1),
        "failed": failed,
    }


def compare(
    tasks: Sequence[Task], address: str, workers: int, rounds: int, episodes: int, think: float
) -> dict[str, Any]:
    """Local and Ray runs in turn; medians, and the ratio of each pair."""
    here = {"workers": workers, "warm": workers}
    there = {**here, "engine": "ray", "ray": {"address": address, "resource": "sandboxes"}}
    pairs = list[tuple[dict[str, float], dict[str, float]]]()
    with tempfile.TemporaryDirectory() as place:
        for number in range(rounds):
            done: dict[str, dict[str, float]] = {}
            for name in ("local", "ray") if number % 2 == 0 else ("ray", "local"):
                settings = here if name == "local" else there
                done[name] = measure_run(tasks, Path(place) / f"{name}-{number}", settings, think, episodes)
            pairs.append((done["local"], done["ray"]))
        profile = episode_of(Path(place) / "ray-0")
    ratios = [ray["episodes_per_min"] / local["episodes_per_min"] for local, ray in pairs]
    return {
        "think_s": think,
        "workers": workers,
        "episodes": episodes,
        "local_per_min": _median([local["episodes_per_min"] for local, _ in pairs], 1),
        "ray_per_min": _median([ray["episodes_per_min"] for _, ray in pairs], 1),
        "ratio": _median(ratios, 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "ray_start_s": _median([ray["start_s"] for _, ray in pairs], 2),
        "local_cpu_ms_per_step": _median([local["own_cpu_ms_per_step"] for local, _ in pairs], 2),
        "driver_cpu_ms_per_step": _median([ray["own_cpu_ms_per_step"] for _, ray in pairs], 2),
        "failed": sum(local["failed"] + ray["failed"] for local, ray in pairs),
        "events_kib_per_episode": profile["events_kib"],
    }


def container_cost(engine: Engine, image: str, count: int = 10) -> dict[str, float | None]:
    """CPU seconds of one sandbox's start and removal: engine, runtime and shim, and this process.

    Counted by process, so that other work on the machine does not show, except other containers. None where the
    engine's processes cannot be seen from here.
    """
    config = SandboxConfig(image=image)
    Sandbox(engine, config).close()
    spent, own = list[float](), list[float]()
    for _ in range(count):
        before, mine = _cpu_of(_ENGINE), time.process_time()
        shims = set(_processes((_SHIM,)))
        box = Sandbox(engine, config)
        shim = sum(seconds for pid, seconds in _processes((_SHIM,)).items() if pid not in shims)
        box.close()
        time.sleep(0.2)  # the engine tidies up after it has answered
        spent.append(_cpu_of(_ENGINE) - before + shim)
        own.append(time.process_time() - mine)
    seen = bool(_processes(_ENGINE))
    return {"engine_cpu_s": _median(spent, 3) if seen else None, "own_cpu_s": _median(own, 4)}


def image_sizes(engine: Engine, tasks: Sequence[Task]) -> dict[str, float]:
    """Megabytes of images: what each has of its own, and what they share."""
    wanted = {task.image for task in tasks if task.image}
    told: dict[str, Any] = engine.api.df()
    mine = [image for image in told["Images"] if wanted & set(image.get("RepoTags") or ())]
    own = [image["Size"] - max(image["SharedSize"], 0) for image in mine]
    return {
        "images": len(mine),
        "own_mb_mean": round(statistics.mean(own) / 1e6, 2) if own else 0.0,
        "size_mb_mean": round(statistics.mean(image["Size"] for image in mine) / 1e6, 1) if mine else 0.0,
    }


def log_kib(profile: EpisodeProfile) -> float:
    """KiB of the event log of an episode whose model is given and gives token ids.

    The prompt grows evenly from step to step to twice its mean; what is not the model's own is an observation of four
    characters a token.
    """
    steps = round(profile.steps)
    answer = round(profile.completion_tokens)
    seen = max(1, round(2 * profile.prompt_tokens / steps) - answer)
    header = Header(
        run_id="r", episode_id="e", task_id="t", agent="a", agent_version="1", model="m", repo="r", commit="c"
    )
    call = {"name": "shell", "arguments": {"command": "x" * answer}}
    with tempfile.TemporaryDirectory() as folder:
        log = EpisodeLog(Path(folder), header, fsync="never")
        for number in range(steps):
            words, now = "word" * seen, datetime.now(UTC)
            told = {"messages": [{"role": "tool", "content": words}], "token_ids": range(10_000, 10_000 + seen)}
            log.write(LlmRequest.of(request_id=f"{number:032d}", model="m", **told))
            ids = {"completion_token_ids": range(10_000, 10_000 + answer), "logprobs": [-0.123456789] * answer}
            log.write(LlmResponse.of(request_id=f"{number:032d}", content="x" * answer, tool_calls=[call], **ids))
            log.step(_step(number, call, words, now), 0.5, {}, policy_ms=1.0)
        log.end(StopReason.SUBMITTED)
        return round((Path(folder) / EVENTS).stat().st_size / 1024, 1)


def _step(index: int, call: Mapping[str, Any], observation: str, now: datetime) -> Step:
    return Step(
        index=index,
        action=json.dumps(call),
        tool="shell",
        arguments=call["arguments"],
        observation=observation,
        ok=True,
        error=None,
        exit_code=0,
        data={},
        telemetry=Telemetry(wall_ms=1.0),
        t_start=now,
        t_end=now,
        duration_ms=1.0,
        thought=None,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description="Ray against local threads, and the constants of `trajhub size`.")
    parser.add_argument("tasks", help="task repo, dataset or file of tasks whose images are here")
    parser.add_argument("--nodes", type=int, default=4, help="nodes of the simulated cluster")
    parser.add_argument("--workers", type=int, default=4, help="episodes at once, on all nodes together")
    parser.add_argument("--rounds", type=int, default=3, help="pairs of runs")
    parser.add_argument("--episodes", type=int, default=16, help="episodes of a run")
    parser.add_argument("--limit", type=int, default=20, help="tasks to take them from")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args(arguments)
    tasks = load_tasks(options.tasks)[: options.limit]
    engine = Engine(run_id="bench-scale")
    figures: dict[str, Any] = {
        "container": container_cost(engine, str(tasks[0].image)),
        "images": image_sizes(engine, tasks),
        "log": {"events_kib": log_kib(load_sizing({}).episode)},
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
    }
    engine.close()
    with _cluster(options.nodes) as address:
        figures["runs"] = [
            compare(tasks, address, options.workers, options.rounds, options.episodes, think) for think in (0.0, 0.5)
        ]
    _print(figures, options.nodes)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


class _cluster:  # noqa: N801  # reads as a statement: `with _cluster(4) as address:`
    """Ray nodes on this machine; the head does no episodes."""

    def __init__(self, nodes: int) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        self._cluster = import_module("ray.cluster_utils").Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False},
        )
        for _ in range(nodes):
            self._cluster.add_node(num_cpus=1, object_store_memory=STORE, resources={"sandboxes": 1}, wait=False)

    def __enter__(self) -> str:
        self._cluster.wait_for_nodes()
        return str(self._cluster.address)

    def __exit__(self, *_: object) -> None:
        self._cluster.shutdown()


def _print(figures: Mapping[str, Any], nodes: int) -> None:
    columns = [name for name in figures["runs"][0] if name != "ratios"]
    rows = [[run[name] for name in columns] for run in figures["runs"]]
    table(f"Ray ({nodes} nodes on this machine) against local threads, medians", columns, rows)
    constants = [*figures["container"].items(), *figures["images"].items(), *figures["log"].items()]
    table("Constants", ("what", "measured"), constants)
    print(f"{figures['cores']} cores, load average {figures['load_average']}")


def _processes(names: Sequence[str]) -> dict[int, float]:
    """CPU seconds of the processes of these names, their ended children included, by id."""
    found: dict[int, float] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            head, _, tail = (folder / "stat").read_text().rpartition(")")
        except OSError:
            continue
        if head.partition("(")[2] in names:
            found[int(folder.name)] = sum(int(value) for value in tail.split()[11:15]) / _TICKS
    return found


def _cpu_of(names: Sequence[str]) -> float:
    return sum(_processes(names).values())


def _median(values: Sequence[float], digits: int) -> float:
    return round(statistics.median(values), digits)


if __name__ == "__main__":
    raise SystemExit(main())
