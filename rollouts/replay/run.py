"""A whole run again: the same tasks from the same source, the same limits, several episodes at once."""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

from ...envs.config import EnvConfig
from ...envs.engine import Engine
from ...envs.grader import Grader, GraderConfig
from ...envs.pool import SandboxPool
from ...envs.registration import DEFAULT_WRAPPERS
from ...envs.sources import load_tasks
from ...envs.task import Task
from ...errors import ConfigError, TaskError, TaskNotFound, UsageError
from ..episode_log import EVENTS
from ..log import first_event
from ..manifest import task_digest
from ..plan import latest
from ..run_dir import RunLock, read_episodes, read_manifest
from ..trajectory import Trajectory, episode_folders, read_trajectory
from .episode import ReplaySettings, log_digest, replay_episode
from .report import EpisodeReplay
from .store import ReplayLog

__all__ = ["ReplayJob", "RunReplay", "choose_episodes", "replay_run", "tasks_of", "unlike_recorded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayJob:
    """One episode to replay."""

    folder: Path
    task: Task


class RunReplay:
    """What is left to replay of a run, and the doing of it. For one use; holds the run's lock while it runs."""

    def __init__(
        self,
        run: Path,
        engine: Engine,
        folders: Sequence[Path],
        tasks: Mapping[str, Task],
        *,
        forced: tuple[str, ...] = (),
        grade: bool = True,
        again: bool = False,
        repeats: int = 2,
    ) -> None:
        config: Mapping[str, Any] = read_manifest(run).get("config") or {}
        self._engine = engine
        self._log = ReplayLog(run)
        self._run = run
        env = config.get("env")
        self.settings = ReplaySettings(
            config=EnvConfig.of(env) if env is not None else None,
            wrappers=tuple(config.get("wrappers") or DEFAULT_WRAPPERS),
            forced=forced,
            repeats=repeats,
        )
        self._grader = Grader(engine, GraderConfig.model_validate(config.get("grader") or {})) if grade else None
        self._chosen = [folder.name for folder in folders]
        self.jobs: list[ReplayJob] = []
        self.empty: list[str] = []
        """Episodes in which nothing happened: their reset failed."""
        for folder in folders:
            found = read_trajectory(folder)
            if not found.steps and not found.start.observation:
                self.empty.append(folder.name)
            elif again or not self._done(found):
                self.jobs.append(ReplayJob(folder=folder, task=tasks[found.header.task_id]))

    @property
    def kept(self) -> int:
        """How many of the chosen episodes had been replayed before."""
        return len(self._chosen) - len(self.jobs) - len(self.empty)

    @property
    def rows(self) -> list[EpisodeReplay]:
        """The replays of the chosen episodes, as far as they are done."""
        return [self._log.rows[name] for name in self._chosen if name in self._log.rows]

    def run(self, workers: int = 2, on_episode: Callable[[EpisodeReplay], None] = lambda row: None) -> None:
        """Replay what is left. Raises EngineUnavailable, or ConfigError while another process works on the run."""
        with RunLock(self._run), SandboxPool(self._engine, 2 * workers, workers=max(2, workers)) as pool:
            again = {job.folder.name for job in self.jobs}
            self._log.keep_only(set(self._log.rows) - again)

            def one(number: int) -> None:
                self._prefetch(pool, number + workers)
                row = self._replay(self.jobs[number], pool)
                self._log.add(row)
                on_episode(row)

            with ThreadPoolExecutor(workers, thread_name_prefix="trajhub-replay") as threads:
                try:
                    list(threads.map(one, range(len(self.jobs))))
                except BaseException:
                    threads.shutdown(wait=False, cancel_futures=True)
                    raise

    def _replay(self, job: ReplayJob, pool: SandboxPool) -> EpisodeReplay:
        trajectory = read_trajectory(job.folder)
        return replay_episode(
            trajectory, job.task, self._engine, settings=self.settings, pool=pool, grader=self._grader
        )

    def _prefetch(self, pool: SandboxPool, number: int) -> None:
        if number < len(self.jobs) and self.settings.config is not None:
            pool.prefetch(self.settings.config.sandbox(self.jobs[number].task))

    def _done(self, trajectory: Trajectory) -> bool:
        row = self._log.rows.get(trajectory.header.episode_id)
        if row is None or row.match is None or row.log_sha256 != log_digest(trajectory.folder):
            return False
        return row.verdict is not None or trajectory.verdict is None or self._grader is None


def replay_run(
    run: str | Path,
    *,
    tasks: str | Sequence[Task] | None = None,
    engine: Engine | None = None,
    episode: str | None = None,
    pattern: str | None = None,
    limit: int | None = None,
    workers: int = 2,
    grade: bool = True,
    force: bool = False,
    again: bool = False,
    repeats: int = 2,
    on_episode: Callable[[EpisodeReplay], None] = lambda row: None,
) -> list[EpisodeReplay]:
    """Replay the episodes of a run that were not replayed yet; the replays of all that were chosen.

    `tasks`: the tasks, or where to load them from instead of the run's own source. `force`: also where a task or an
    image is not the one that `run.json` recorded. `repeats`: how often at most what diverged is replayed again, to tell
    chance from another record. Raises ConfigError (naming what is not as recorded), TaskNotFound,
    UsageError and EngineUnavailable.
    """
    folder = Path(run)
    folders = choose_episodes(folder, episode, pattern, limit)
    owned = engine is None
    connection = engine or Engine(run_id=folder.resolve().name)
    try:
        known = tasks_of(folder, folders, tasks)
        unlike = unlike_recorded(folder, known.values(), connection, force=force)
        replay = RunReplay(folder, connection, folders, known, forced=unlike, grade=grade, again=again, repeats=repeats)
        replay.run(workers, on_episode)
        return replay.rows
    finally:
        if owned:
            connection.close()


def choose_episodes(
    run: Path, episode: str | None = None, pattern: str | None = None, limit: int | None = None
) -> list[Path]:
    """Folders of the episodes whose id begins with `episode` and whose task's id matches `pattern`, the first `limit`.

    Without `episode`, attempts that a later one replaced are left out, as everywhere. Raises UsageError when there are
    none, and for the episodes of a command-line agent.
    """
    config: Mapping[str, Any] | None = read_manifest(run).get("config")
    if config is not None and config.get("agent") is not None:
        raise UsageError(
            f"the episodes of {run} are those of a command-line agent, which acted by tools of its own: none of ours "
            "can repeat its actions. `trajhub check` examines its records"
        )
    folders = episode_folders(run)
    if episode is None and config is not None:
        counted = {found.folder for found in latest(list(read_episodes(run))).values()}
        folders = [folder for folder in folders if folder in counted]
    exact = [folder for folder in folders if folder.name == episode]
    kept = exact or [folder for folder in folders if episode is None or folder.name.startswith(episode)]
    if pattern is not None:
        kept = [folder for folder in kept if fnmatchcase(_task_id(folder), pattern)]
    if not kept:
        wanted = ", ".join(f"{name} {value!r}" for name, value in (("id", episode), ("task", pattern)) if value)
        raise UsageError(f"{run} has no episode{f' with {wanted}' if wanted else ''}; see `trajhub runs show {run}`")
    return kept[:limit]


def tasks_of(run: Path, folders: Sequence[Path], source: str | Sequence[Task] | None = None) -> dict[str, Task]:
    """The tasks of some episodes, from the source that the run recorded or another. Raises UsageError or TaskError."""
    wanted = list(dict.fromkeys(map(_task_id, folders)))
    if source is None:
        config: Mapping[str, Any] = read_manifest(run).get("config") or {}
        source = cast("str | None", config.get("tasks"))
        if source is None:
            raise UsageError(f"{run} does not say where its tasks are from; give them with --tasks")
    try:
        found = load_tasks(source, ids=wanted) if isinstance(source, str) else source
    except TaskError as error:
        message = f"the tasks of {run} cannot be loaded from {source!r}: {error}; give their source with --tasks"
        raise TaskNotFound(message) from error
    known = {task.instance_id: task for task in found}
    if missing := [name for name in wanted if name not in known]:
        raise TaskNotFound(f"{run} has episodes of tasks that its source lacks: {', '.join(missing[:5])}")
    return {name: known[name] for name in wanted}


def _task_id(folder: Path) -> str:
    first = first_event(folder / EVENTS)
    if first is None:
        raise UsageError(f"{folder / EVENTS} holds no event yet")
    return first.task_id


def unlike_recorded(run: Path, tasks: Collection[Task], engine: Engine, *, force: bool = False) -> tuple[str, ...]:
    """What is not as `run.json` recorded it: tasks by their digest, images by their id.

    Raises ConfigError that names it, unless `force`.
    """
    manifest = read_manifest(run)
    digests: Mapping[str, str] = manifest.get("tasks") or {}
    images: Mapping[str, str | None] = manifest.get("images") or {}
    found = list[str]()
    for task in tasks:
        then, today = digests.get(task.instance_id), task_digest(task)
        if then is not None and then != today:
            found.append(f"task {task.instance_id}: digest {then} -> {today}")
    for image in sorted({task.require_image() for task in tasks}):
        then, today = images.get(image), engine.require_image(image)
        if then is not None and then != today:
            found.append(f"image {image}: {then[:19]} -> {today[:19]}")
    if found and not force:
        more = f"\n  and {len(found) - 20} more" if len(found) > 20 else ""
        listed = "\n  ".join(found[:20])
        raise ConfigError(
            f"{run} was recorded with other tasks or images than these:\n  {listed}{more}\n"
            "Give the recorded ones (--tasks), or replay all the same with --force; the report will say so."
        )
    return tuple(found)
