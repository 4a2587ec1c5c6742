"""Predictions as a run: an episode for each task and file, which holds the patch and the trusted grader's verdict."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from pathlib import Path

from ...envs.engine import Engine
from ...envs.grader import Grader
from ...envs.task import Task
from ...errors import StopReason, UsageError
from ...rollouts.config import RolloutConfig
from ...rollouts.episode_log import EpisodeLog
from ...rollouts.episode_place import EpisodeFolder
from ...rollouts.log import Header
from ...rollouts.manifest import make_manifest, open_run
from ...rollouts.payloads import EpisodeStart
from ...rollouts.policies.base import Context, PolicyBase, Session, TaskView
from ...rollouts.run_dir import EPISODES, Episode, RunLock, close_abandoned, episode_name, read_episode
from ...rollouts.verdicts import append_verdict
from .predictions import name_of, predictions_of
from .subject import Subject

__all__ = ["Told", "grade_predictions"]


class Told(PolicyBase):
    """Whoever made the predictions. Its version is their checksum, so that a changed file is another run."""

    name = "predictions"

    def __init__(self, subject: Subject) -> None:
        self.model = name_of(subject.files[0])
        self.version = (subject.sha256 or "")[:12]

    def start(self, task: TaskView, context: Context) -> Session:
        """Nobody acts."""
        raise UsageError("predictions are graded, not rolled out: trajhub eval PREDICTIONS")


def grade_predictions(
    run: Path,
    subject: Subject,
    config: RolloutConfig,
    tasks: Sequence[Task],
    *,
    missing_unresolved: bool = False,
    host: str | None = None,
    each: Callable[[], None] = lambda: None,
    stopping: threading.Event | None = None,
) -> None:
    """Grade what is not graded yet. Episodes that have a verdict are kept. `stopping` ends it after those under way.

    Raises UsageError for a task without a prediction, and ConfigError when the run was begun with others.
    """
    policy, names = Told(subject), [task.instance_id for task in tasks]
    patches = predictions_of(subject.files, names, missing_unresolved=missing_unresolved)
    engine = Engine(host, run_id=run.resolve().name)
    try:
        with RunLock(run):
            known = open_run(run, make_manifest(run, config, policy, tasks, engine))
            jobs = [
                _Job(run, known.run_id, policy, task, seed, found)
                for seed, found in enumerate(patches)
                for task in tasks
            ]
            _grade(jobs, Grader(engine, config.grader), config.workers, each, stopping or threading.Event())
    finally:
        engine.close()


class _Job:
    """One prediction to be graded."""

    def __init__(
        self, run: Path, run_id: str, policy: Told, task: Task, seed: int, patches: Mapping[str, str | None]
    ) -> None:
        self.task = task
        self.patch = patches[task.instance_id]
        self._episodes = run / EPISODES
        self._header = Header(
            run_id=run_id,
            episode_id="",
            task_id=task.instance_id,
            agent=policy.name,
            agent_version=policy.version,
            model=policy.model,
            repo=task.repo,
            commit=task.base_commit,
            seed=seed,
        )

    def do(self, grader: Grader) -> None:
        """Write the episode and its verdict, unless they are there; a verdict that says nothing is asked for again."""
        header, attempt, found = self._place()
        if found is not None and found.verdict is not None and found.verdict.resolved is not None:
            return
        began = time.monotonic()
        verdict = grader.grade(self.task, self.patch)
        spent = (time.monotonic() - began) * 1000
        if found is None:
            self._write(header, attempt)
        append_verdict(EpisodeFolder(self._episodes / header.episode_id), header, verdict, duration_ms=spent)

    def _place(self) -> tuple[Header, int, Episode | None]:
        """Where the episode belongs, and what is there. One whose process died while writing is done again."""
        for attempt in count(1):
            name = episode_name(self.task.instance_id, self._header.seed, attempt)
            found = read_episode(self._episodes / name)
            if found is not None and found.end is None:
                close_abandoned(found)
            elif found is None or found.finished:
                return replace(self._header, episode_id=name), attempt, found
        raise AssertionError("unreachable")

    def _write(self, header: Header, attempt: int) -> None:
        log = EpisodeLog(self._episodes / header.episode_id, header, attempt=attempt)
        told = {"instance_id": self.task.instance_id, "repo": self.task.repo}
        log.started(EpisodeStart(task=told, attempt=attempt), reset_ms=0.0)
        if self.patch is not None:
            log.patch(self.patch)
        log.end(StopReason.SUBMITTED, None, "a prediction; nobody acted")


def _grade(
    jobs: Sequence[_Job], grader: Grader, workers: int, each: Callable[[], None], stopping: threading.Event
) -> None:
    def one(job: _Job) -> None:
        if not stopping.is_set():
            job.do(grader)
            each()

    with ThreadPoolExecutor(workers) as pool:
        try:
            list(pool.map(one, jobs))
        except BaseException:
            stopping.set()
            raise
