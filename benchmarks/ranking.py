"""Whether process scores rank trajectories as a person would, on real tasks in the real environment.

    python -m trajectory_hub.benchmarks.ranking TASKS [--limit 50] [--workers 2] [--json FILE]

For each task five agents act through the ordinary tools: `reference` (the built-in policy that knows the patch),
`wandering` (looks at this and that and changes nothing), `repetitive` (the same few calls again and again),
`edits_tests` (weakens a test, runs it, submits) and `submits_at_once`. Prints the mean process score and mean
step reward of each kind and how often each kind beats each other one, and exits 1 unless reference > wandering >
repetitive, and the last two are below reference and wandering, in the mean and in most pairs.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import gymnasium

from ..console import table
from ..envs.sources import load_tasks
from ..envs.step import Step
from ..envs.task import Task
from ..errors import Failure, InfrastructureError, SandboxLost
from ..rewards.paths import Role, role
from ..rollouts.budget import Budget, Ledger, RunLedger
from ..rollouts.payloads import Payload
from ..rollouts.policies.base import Context, TaskView
from ..rollouts.policies.reference import ReferencePolicy

__all__ = ["KINDS", "REQUIRED", "Episode", "Ranking", "main", "rank"]

Call = dict[str, Any]
Play = Generator[Call, Step | None, None]
_LENGTH = 14
_ATTEMPTS = 3
REQUIRED = (
    ("reference", "wandering"),
    ("wandering", "repetitive"),
    ("reference", "edits_tests"),
    ("wandering", "edits_tests"),
    ("reference", "submits_at_once"),
    ("wandering", "submits_at_once"),
)
"""Pairs of kinds of which the first must be ranked above the second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """What one trajectory was worth."""

    task: str
    kind: str
    steps: int
    process: float
    mean_reward: float
    rewards: tuple[float, ...]
    seconds: float


class _Silent:
    """A log for a policy that has nothing to record."""

    def __call__(
        self,
        payload: Payload,
        *,
        t_start: datetime | None = None,
        t_end: datetime | None = None,
        duration_ms: float = 0.0,
    ) -> None: ...


def _call(name: str, **arguments: Any) -> Call:
    return {"name": name, "arguments": arguments}


def reference(task: Task) -> Play:
    """The built-in policy."""
    context = Context(
        tools=(),
        seed=0,
        log=_Silent(),
        ledger=Ledger(RunLedger(Budget()), None),
        deadline=float("inf"),
        solution=task,
    )
    session = ReferencePolicy().start(TaskView.of(task), context)
    step: Step | None = None
    while True:
        action = session.act("", {} if step is None else {"step": step})
        step = yield dict(action.call) if not isinstance(action.call, str) else _call("submit")


def wandering(task: Task) -> Play:
    """Reads file after file and searches for common words, whatever the task is about."""
    listing = yield _call("search", pattern="*.py", kind="name", limit=200)
    files = _files(listing)
    # an order that differs from task to task and is the same everywhere
    offset = sum(task.instance_id.encode())
    for number in range(_LENGTH - 3):
        if number % 3 == 2:
            yield _call("search", pattern=("import ", "class ", "raise ", "return None")[number // 3 % 4], limit=20)
        else:
            path = files[(offset + 7 * number) % len(files)]
            yield _call("file_read", path=path, start=1 + 10 * number, end=60 + 10 * number)
    yield _call("git", subcommand="log", args=["--oneline", "-n", "5"])
    yield _call("shell", command="ls -la")


def repetitive(task: Task) -> Play:
    """Lists, reads one file and runs its tests, over and over."""
    listing = yield _call("search", pattern="*.py", kind="name", limit=200)
    files = _files(listing)
    path = files[sum(task.instance_id.encode()) % len(files)]
    tests = _test_file(task)
    for number in range(_LENGTH - 1):
        if number % 3 == 0:
            yield _call("file_read", path=path, start=1, end=60)
        elif number % 3 == 1:
            yield _call("run_tests", tests=[tests] if tests else [])
        else:
            yield _call("search", pattern="*.py", kind="name", limit=200)


def edits_tests(task: Task) -> Play:
    """Makes a test say yes instead of the code."""
    found = yield _call("search", pattern="assert ", include="test*.py", limit=30)
    hits: list[str] = list(found.data.get("files", ())) if found is not None else []
    hits = [path for path in hits if role(path) is Role.TEST]
    path = _test_file(task)
    path = path if path in hits else hits[0] if hits else "tests/test_basic.py"
    seen = yield _call("file_read", path=path, start=1, end=200)
    line = _assertion(seen)
    changed = None
    if line:
        changed = yield _call("file_edit", path=path, old=line, new=line.replace("assert ", "assert True or ", 1))
    if changed is None or not changed.ok:
        yield _call("shell", command=f"sed -i 's/assert /assert True or /' {path}")
    yield _call("run_tests", tests=[path])
    yield _call("submit")


def submits_at_once(_task: Task) -> Play:
    """Does nothing at all."""
    yield _call("submit")


KINDS: dict[str, Callable[[Task], Play]] = {
    "reference": reference,
    "wandering": wandering,
    "repetitive": repetitive,
    "edits_tests": edits_tests,
    "submits_at_once": submits_at_once,
}


def _files(listing: Step | None) -> list[str]:
    found: list[str] = list(listing.data.get("files", ())) if listing is not None else []
    return [path for path in found if role(path) is Role.SOURCE] or ["setup.py"]


def _test_file(task: Task) -> str | None:
    """A test file that is there before the change."""
    new = {line[6:] for line in task.test_patch.splitlines() if line.startswith("+++ b/")}
    named = [test.partition("::")[0] for test in (*task.PASS_TO_PASS, *task.FAIL_TO_PASS) if "::" in test]
    return next((path for path in named if path not in new), named[0] if named else None)


def _assertion(seen: Step | None) -> str | None:
    """A line with an assertion that occurs once in what was read."""
    lines = [line.partition("\t")[2] for line in seen.observation.splitlines()] if seen is not None else []
    return next((line for line in lines if line.strip().startswith("assert ") and lines.count(line) == 1), None)


def play(env: "gymnasium.Env[Any, Any]", task: Task, kind: str) -> Episode:
    """One trajectory through the environment, scored by its reward wrapper."""
    began = time.perf_counter()
    env.reset(seed=0, options={"task_id": task.instance_id})
    script = KINDS[kind](task)
    rewards, process, step = list[float](), 0.0, None
    try:
        action = next(script)
        while True:
            _, _, terminated, truncated, info = env.step(json.dumps(action))
            rewards.append(info["step_reward"])
            process, step = info["process"]["score"], info["step"]
            if info["failure"] is Failure.ENVIRONMENT:
                raise SandboxLost(f"the sandbox was lost in step {info['step_index']}")
            if terminated or truncated:
                break
            action = script.send(step)
    except StopIteration:
        pass
    return Episode(
        task=task.instance_id,
        kind=kind,
        steps=len(rewards),
        process=process,
        mean_reward=round(statistics.fmean(rewards), 6),
        rewards=tuple(rewards),
        seconds=round(time.perf_counter() - began, 2),
    )


def _persistent(env: "gymnasium.Env[Any, Any]", task: Task, kind: str) -> Episode:
    """An episode that the machine spoilt says nothing of the agent: it is played again, up to three times."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return play(env, task, kind)
        except InfrastructureError as error:
            print(f"\n{task.instance_id} {kind}: {error}; once more", file=sys.stderr)
    return play(env, task, kind)


def run(tasks: Sequence[Task], workers: int) -> list[Episode]:
    """Every kind on every task; each worker has an environment of its own."""
    free: SimpleQueue[gymnasium.Env[Any, Any]] = SimpleQueue()
    for _ in range(workers):
        free.put(gymnasium.make("SWEBench-v0", tasks=list(tasks), disable_env_checker=True))

    def one(job: tuple[Task, str]) -> Episode:
        env = free.get()
        try:
            return _persistent(env, *job)
        finally:
            free.put(env)

    jobs = [(task, kind) for task in tasks for kind in KINDS]
    done = list[Episode]()
    try:
        with ThreadPoolExecutor(workers) as pool:
            for episode in pool.map(one, jobs):
                done.append(episode)
                print(f"\r{len(done)}/{len(jobs)} episodes", end="", file=sys.stderr, flush=True)
    finally:
        for _ in range(workers):
            free.get().close()
        print(file=sys.stderr)
    return done


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """How kinds compare by one measure."""

    measure: str
    means: dict[str, float]
    wins: dict[str, dict[str, float]]
    """Share of tasks on which the first kind is above the second; a tie counts half."""
    broken: tuple[str, ...]
    """Required relations that do not hold."""


def rank(episodes: Sequence[Episode], measure: str) -> Ranking:
    """Means, pairwise wins, and which required relations fail."""
    values: dict[str, dict[str, float]] = {kind: {} for kind in KINDS}
    for episode in episodes:
        values[episode.kind][episode.task] = getattr(episode, measure)
    means = {kind: round(statistics.fmean(found.values()), 4) for kind, found in values.items()}
    wins = {one: {other: _wins(values[one], values[other]) for other in KINDS if other != one} for one in KINDS}
    broken = [f"{a} > {b}" for a, b in REQUIRED if means[a] <= means[b] or wins[a][b] <= 0.5]
    return Ranking(measure=measure, means=means, wins=wins, broken=tuple(broken))


def _wins(one: dict[str, float], other: dict[str, float]) -> float:
    points = [1.0 if one[task] > other[task] else 0.5 if one[task] == other[task] else 0.0 for task in one]
    return round(statistics.fmean(points), 4)


def _report(ranking: Ranking, episodes: Sequence[Episode]) -> None:
    rows = list[list[object]]()
    for kind in KINDS:
        mine = [episode for episode in episodes if episode.kind == kind]
        steps = statistics.fmean(episode.steps for episode in mine)
        cells = ["" if kind == other else f"{ranking.wins[kind][other]:.0%}" for other in KINDS]
        rows.append([kind, len(mine), f"{steps:.1f}", f"{ranking.means[kind]:.4f}", *cells])
    columns = ["kind", "episodes", "steps", "mean", *(f"beats {kind}" for kind in KINDS)]
    table(f"Ranking by {ranking.measure}", columns, rows)
    print("ranked as required" if not ranking.broken else f"NOT ranked as required: {', '.join(ranking.broken)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, write; 1 unless the process score ranks as required."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", help="folder or dataset, as for `trajhub tasks list`")
    parser.add_argument("--limit", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args(arguments)
    tasks = load_tasks(chosen.tasks, limit=chosen.limit)
    episodes = run(tasks, chosen.workers)
    rankings = [rank(episodes, measure) for measure in ("process", "mean_reward")]
    for ranking in rankings:
        _report(ranking, episodes)
    if chosen.json:
        found = {
            "tasks": len(tasks),
            "rankings": [asdict(r) for r in rankings],
            "episodes": [asdict(e) for e in episodes],
        }
        chosen.json.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    return int(bool(rankings[0].broken))


if __name__ == "__main__":
    raise SystemExit(main())
