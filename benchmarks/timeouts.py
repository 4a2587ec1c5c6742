"""Does the dynamic time-out pay where commands do hang, and does its offline replay foresee that?

    python -m trajectory_hub.benchmarks.timeouts [--per-world N] [--seeds N] [--margin M ...] [-o FOLDER] [--json FILE]

Needs a Docker engine. Small tasks are worked on by an agent whose checks wait for a network, a lock or each other (see
`benchmarks/waiting.py`). A predictor of latency learns from rollouts without a policy on other tasks; then the same
episodes are rolled out without and with the policy, side by side on the same machine, and the replay of those without
is held against what happened. Intervals (95%) are from a bootstrap over tasks.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..console import table
from ..envs.engine import Engine
from ..envs.micro import MicroConfig, build_micro
from ..envs.sources import load_tasks
from ..envs.task import Task
from ..eval.prediction.data import Trace, read_traces
from ..eval.prediction.metrics import Resamples, estimate
from ..eval.prediction.policies import ReplaySettings, replay
from ..eval.prediction.predict import PREDICTOR, PredictSettings, predict
from ..rollouts import load_config, run_rollout
from ..rollouts.config import read_overrides
from ..rollouts.steering.config import DynamicTimeout
from ..rollouts.steering.predictor import read_predictor
from .waiting import FULL, Waiting, world_of
from .waiting_check import KINDS

__all__ = ["Outcome", "balanced", "compare", "main"]

_POOL = 12
"""Tasks made for each one that is wanted in a world: which world a task is in is a matter of its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a policy brought in a world, or in all."""

    world: str
    margin: float
    episodes: int
    resolved: int
    resolved_with: int
    minutes: float
    minutes_with: float
    gain: str
    """In successes per minute."""
    replayed: str
    """The same, as the replay of the episodes without the policy has it: a second try takes as long as the first."""
    replayed_repeats: str
    """A second try takes as long as the agent's own did, where it made one."""


def balanced(tasks: Sequence[Task], each: int) -> list[Task]:
    """The first so many tasks of each world."""
    chosen = list[Task]()
    for world in KINDS:
        chosen += [task for task in tasks if world_of(task.instance_id) == world][:each]
    return chosen


def _roll(folder: Path, tasks: Sequence[Task], seeds: int, workers: int, *settings: str) -> Path:
    fixed = ["tasks=micro", "grade=true", "warm=0", f"workers={workers}", f"seeds={seeds}", "grader.canaries=false"]
    limits = [f"env.command_timeout={FULL:g}", "env.max_steps=20", "grader.reuse=true"]
    config = load_config(read_overrides([*fixed, *limits, *settings]))
    run_rollout(folder, config, policy=Waiting(), tasks=tasks)
    return folder


def _steered(predictor: Path, config: DynamicTimeout) -> str:
    told = config.model_dump(exclude={"predictor", "sha256"}, exclude_none=True) | {"predictor": str(predictor)}
    return f"steering.timeout={json.dumps(told)}"


def _gain(without: Sequence[Trace], steered: Sequence[Trace], resamples: int, seed: int = 0) -> str:
    """Successes per minute with the policy over those without, less one; tasks are resampled."""
    names = sorted({trace.task for trace in (*without, *steered)})
    place = {name: number for number, name in enumerate(names)}
    samples = Resamples(np.arange(len(names)), resamples, seed)

    def rate(traces: Sequence[Trace]) -> Any:
        won, spent = np.zeros(len(names)), np.zeros(len(names))
        for trace in traces:
            won[place[trace.task]] += bool(trace.resolved)
            spent[place[trace.task]] += (trace.wall_s or 0.0) / 60
        return samples.sums(won) / samples.sums(spent)

    with np.errstate(invalid="ignore", divide="ignore"):
        found = estimate(rate(steered) / rate(without) - 1)
    return "-" if not np.isfinite(found.value) else f"{found.value:+.0%} [{found.low:+.0%}, {found.high:+.0%}]"


def compare(
    without: Sequence[Trace], steered: Sequence[Trace], margin: float, replayed: Sequence[str], resamples: int
) -> list[Outcome]:
    """All worlds together, and each."""
    found = list[Outcome]()
    for world in ("all", *KINDS):
        a, b = ([one for one in side if world in ("all", world_of(one.task))] for side in (without, steered))
        found.append(
            Outcome(
                world=world,
                margin=margin,
                episodes=len(a),
                resolved=sum(bool(one.resolved) for one in a),
                resolved_with=sum(bool(one.resolved) for one in b),
                minutes=round(sum(one.wall_s or 0.0 for one in a) / 60, 2),
                minutes_with=round(sum(one.wall_s or 0.0 for one in b) / 60, 2),
                gain=_gain(a, b, resamples),
                replayed=replayed[0] if world == "all" else "",
                replayed_repeats=replayed[1] if world == "all" else "",
            )
        )
    return found


def _replayed(without: Sequence[Trace], predictor: Path, config: DynamicTimeout, resamples: int) -> list[str]:
    given, _ = read_predictor(predictor)
    settings = ReplaySettings(margins=(config.margin,), timeout=config, resamples=resamples)
    report = replay(without, ["without"], given, settings)
    said = {one.policy: one.figures.get("per_minutes_gain") for one in report.sweep}
    found = [said.get("time-out: retry"), said.get("time-out: retry, as repeated")]
    return ["-" if one is None else f"{one.value:+.0%} [{one.low:+.0%}, {one.high:+.0%}]" for one in found]


def _at_work(run: Path) -> list[Trace]:
    """The episodes of a run, timed from the end of their first step: how long a sandbox takes to start is chance."""
    return [replace(trace, wall_s=_between(trace)) for trace in read_traces([run])]


def _between(trace: Trace) -> float | None:
    first, last = trace.elapsed[0], trace.elapsed[-1]
    return None if first is None or last is None else last - first


def measure(work: Path, options: argparse.Namespace) -> list[Outcome]:
    """Make tasks, learn, roll out without and with the policy, replay."""
    engine = Engine(run_id="timeouts")
    try:
        pool = options.per_world * _POOL
        home = build_micro(work / "tasks", MicroConfig(train=pool, dev=0, eval=pool, seed=options.seed), engine)
    finally:
        engine.close()
    learn, judge = (balanced(load_tasks(str(home[split])), options.per_world) for split in ("train", "eval"))
    many = options.workers
    before = _roll(work / "learn", learn, 2, many, f"seed={options.seed}")
    made = PredictSettings(target="tool_latency", clusters=None, resamples=50, quantiles=(0.5, 0.9, options.quantile))
    predict([before], work / "predictor", made)
    predictor = work / "predictor" / PREDICTOR
    ways = [
        DynamicTimeout(predictor=str(predictor), quantile=options.quantile, margin=margin, floor=options.floor)
        for margin in options.margin
    ]
    first = f"seed={options.seed}"
    runs: list[tuple[Path, list[str]]] = [(work / "without", [first])]
    runs += [(work / f"margin-{way.margin:g}", [first, _steered(predictor, way)]) for way in ways]
    with ThreadPoolExecutor(len(runs)) as side_by_side:
        share = max(many // len(runs), 1)
        done = [side_by_side.submit(_roll, run, judge, options.seeds, share, *more) for run, more in runs]
        without, *steered = (_at_work(one.result()) for one in done)
    found = list[Outcome]()
    for way, traces in zip(ways, steered, strict=True):
        told = _replayed(without, predictor, way, options.resamples)
        found += compare(without, traces, way.margin, told, options.resamples)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--per-world", type=int, default=4, help="tasks in each world")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="of the tasks, and the first one of the episodes")
    parser.add_argument("--workers", type=int, default=12, help="episodes at once, most of which wait")
    parser.add_argument("--margin", type=float, nargs="+", default=[3.0])
    parser.add_argument("--quantile", type=float, default=0.99)
    parser.add_argument("--floor", type=float, default=1.0, help="seconds that every command is given")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("-o", "--output", type=Path, help="keep the runs in this folder")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(options.output or Path(folder), options)
    columns = tuple(Outcome.__dataclass_fields__)
    table("Dynamic time-out, without and with", columns, [[getattr(one, name) for name in columns] for one in found])
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in found], indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
