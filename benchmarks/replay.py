"""Do recorded episodes happen again? Reference and random episodes on real tasks, each replayed and compared.

    python -m trajectory_hub.benchmarks.replay TASKS [--limit 100] [-o DIR] [--json FILE]

Prints shares of identical, equivalent and diverged by episodes, steps, patches and verdicts; every class of divergence
with an example; and what a replay costs against the original run, per worker and without grading. With `-o` the runs
and their replays are kept, and the same command goes on where it stopped. Ends with status 1 when anything diverged.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..console import progress, safe, table
from ..envs.engine import Engine
from ..envs.prepare import prepared_image
from ..envs.sources import load_tasks
from ..envs.task import Task
from ..rollouts.config import load_config
from ..rollouts.replay import EpisodeReplay, replay_run, summarise_replays
from ..rollouts.replay_cli import show_summary
from ..rollouts.run_dir import read_episodes
from ..rollouts.start import run_rollout

__all__ = ["main", "measure", "spread"]

POLICIES = ("reference", "random")


def spread(tasks: Sequence[Task], limit: int) -> list[Task]:
    """`limit` tasks evenly spaced over all, so that no repository is left out because of its name."""
    if limit >= len(tasks):
        return list(tasks)
    return [tasks[number * len(tasks) // limit] for number in range(limit)]


def measure(
    policy: str, tasks: Sequence[Task], folder: Path, engine: Engine, *, workers: int, steps: int, grade: bool
) -> tuple[dict[str, Any], list[EpisodeReplay]]:
    """Roll out, replay, and the figures of both."""
    run = folder / policy
    settings = {"tasks": "benchmark", "policy": policy, "workers": workers, "warm": workers, "grade": grade}
    config = load_config({**settings, "env": {"max_steps": steps}})
    for task in tasks:  # looked at once an image, whoever comes first
        prepared_image(engine, config.env.sandbox(task))
    run_rollout(run, config, tasks=tasks)
    with progress(f"replaying {policy}", len(tasks)) as tick:

        def done(row: EpisodeReplay) -> None:
            tick(note=row.episode_id)

        rows = replay_run(run, tasks=tasks, engine=engine, workers=workers, grade=grade, on_episode=done)
    return _figures(policy, run, rows), rows


def _figures(policy: str, run: Path, rows: Sequence[EpisodeReplay]) -> dict[str, Any]:
    summary = summarise_replays(rows)
    steps = sum(len(row.steps) for row in rows)
    ends = [episode.duration_ms for episode in read_episodes(run) if episode.end is not None]
    then, again = sum(ms or 0.0 for ms in ends) / 1000, sum(row.wall_ms for row in rows) / 1000
    return {
        "policy": policy,
        "episodes": len(rows),
        "steps": steps,
        "recorded_s": round(then, 1),
        "replayed_s": round(again, 1),
        "recorded_steps_per_s": round(steps / then, 2) if then else None,
        "replayed_steps_per_s": round(steps / again, 2) if again else None,
        "overhead": round(again / then - 1, 4) if then else None,
        "tool_time_overhead": summary.overhead,
        "grading_s": round(sum(row.grading_ms or 0.0 for row in rows) / 1000, 1),
        "summary": summary.model_dump(mode="json"),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description="Replay of real episodes.")
    parser.add_argument("tasks", help="task repo, dataset or file of tasks whose images are here")
    parser.add_argument("--limit", type=int, default=100, help="tasks, evenly spaced over all")
    parser.add_argument("--max-workers", type=int, default=2, help="episodes at once")
    parser.add_argument("--steps", type=int, default=30, help="most steps of an episode")
    parser.add_argument("--no-grade", action="store_true", help="neither the runs nor their replays are graded")
    parser.add_argument("-o", "--output", type=Path, help="keep runs and replays here")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args(arguments)
    tasks = spread(load_tasks(options.tasks), options.limit)
    engine = Engine(run_id="bench-replay")
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.output or Path(temporary)
        chosen = {"workers": options.max_workers, "steps": options.steps, "grade": not options.no_grade}
        measured = [measure(policy, tasks, folder, engine, **chosen) for policy in POLICIES]
    engine.close()
    rows = [row for _, found in measured for row in found]
    figures: dict[str, Any] = {
        "tasks": len(tasks),
        "runs": [figures for figures, _ in measured],
        "all": summarise_replays(rows).model_dump(mode="json"),
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
    }
    _print(figures, rows)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 1 if summarise_replays(rows).diverged else 0


def _print(figures: dict[str, Any], rows: Sequence[EpisodeReplay]) -> None:
    summary = summarise_replays(rows)
    show_summary(f"{figures['tasks']} tasks x {', '.join(POLICIES)}", summary)
    for found in summary.classes:
        counted = f"{found.episodes} episodes, {found.chance} of them by chance"
        print(f"\n{found.where}, {found.field}, looks like {found.hint}: {counted}; {safe(found.example)}")
        print(safe(found.diff, keep_newlines=True))
    columns = [key for key in figures["runs"][0] if key != "summary"]
    table("What a replay costs", columns, [[run[key] for key in columns] for run in figures["runs"]])
    print(f"{figures['cores']} cores, load average {figures['load_average']}")


if __name__ == "__main__":
    raise SystemExit(main())
