"""Alternatives at a state: a recorded episode is taken up after its first steps, several times, and played to its end.

First several episodes branch off at the state. Each different thing that was done there, the recorded one included, is
an alternative; then further episodes branch off after it, until each has as many continuations as asked for. All are
ordinary episodes of an ordinary run, whose preferences `trajhub pairs` finds.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...envs.engine import Engine
from ...envs.sources import load_tasks
from ...envs.task import Task
from ...errors import UsageError
from ...rollouts.config import RolloutConfig, check_budget, resolve
from ...rollouts.manifest import make_manifest, open_run
from ...rollouts.plan import Plan, latest
from ...rollouts.play import Job
from ...rollouts.policies.base import Policy
from ...rollouts.policies.choose import make_policy
from ...rollouts.run_dir import MANIFEST, RunLock, read_episodes
from ...rollouts.start import make_runner
from ..trajectories.conversation import Conversation, conversation_of
from ..trajectories.messages import Message, render_call
from ..trajectories.records import Outline, Record, Source, open_sources, read_record

__all__ = ["Alternatives", "branch_and_score", "recorded_tasks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternatives:
    """The actions tried at one state, and the episodes that show where they led."""

    run: Path
    state: int
    """Steps before it."""
    episodes: dict[str, tuple[str, ...]]
    """For each action, the episodes that took it and went on from there, as `run/episode`; the recorded one first."""


def branch_and_score(
    episode: Path,
    until: int,
    run: Path,
    config: RolloutConfig,
    *,
    alternatives: int = 4,
    rollouts: int = 1,
    policy: Policy | None = None,
    tasks: Sequence[Task] | None = None,
    host: str | None = None,
) -> Alternatives:
    """Sample `alternatives` actions at the state of `episode` after `until` steps, and score each by `rollouts`.

    The run is one as `trajhub rollout` makes, and the same call resumes it. A policy that remembers conversations goes
    on with the recorded one. Raises UsageError when there is no such state, ReplayDiverged when it cannot be reached
    again, ConfigError, TaskError and EngineUnavailable.
    """
    settled = resolve(config)
    parent = _record(_source(episode), episode.resolve())
    found = load_tasks(settled.tasks, ids=[parent.trajectory.header.task_id]) if tasks is None else list(tasks)
    actor = policy or make_policy(settled.policy, settled.chat, settled.vllm)
    settled = settled.model_copy(update={"seeds": alternatives})
    try:
        check_budget(settled, actor.model)
        tree = _Tree(run, settled, actor, found, host)
        tree.play([_job(parent, until, found, seed) for seed in range(alternatives)], settled)
        seeds = iter(range(alternatives, alternatives * (rollouts + 1)))
        taken = _taken(run, parent, until)
        tree.play(list(_more(taken, until, rollouts, found, seeds)), settled)
    finally:
        if policy is None:
            actor.close()
    return _told(run, parent, until, taken)


def recorded_tasks(episode: Path) -> str | None:
    """Where the run of an episode took its tasks from; None when that is not there any more."""
    place = str(_source(episode).config.get("tasks") or "")
    return place if place and Path(place).exists() else None


class _Tree:
    """A run whose episodes branch off."""

    def __init__(self, run: Path, config: RolloutConfig, policy: Policy, tasks: Sequence[Task], host: str | None):
        self._run, self._config, self._policy, self._tasks, self._host = run, config, policy, tasks, host

    def play(self, jobs: Sequence[Job], config: RolloutConfig) -> None:
        """Do those of the jobs that were not done before."""
        engine = Engine(self._host, run_id=self._run.resolve().name)
        try:
            engine.sweep()
            with RunLock(self._run):
                manifest = make_manifest(self._run, self._config, self._policy, self._tasks, engine)
                known = open_run(self._run, manifest)
                plan = Plan(jobs=list(self._left(jobs)))
                if plan.jobs:
                    make_runner(self._run, known.run_id, config, self._policy, self._tasks, engine, plan).run()
        finally:
            engine.close()

    def _left(self, jobs: Sequence[Job]) -> Iterator[Job]:
        done = latest(list(read_episodes(self._run)))
        for job in jobs:
            before = done.get((job.task.instance_id, job.seed))
            if before is None:
                yield job
            elif not before.finished or before.to_retry:
                yield replace(job, attempt=before.attempt + 1)


def _source(episode: Path) -> Source:
    run = episode.resolve().parent.parent
    if not (run / MANIFEST).exists():
        raise UsageError(f"{episode} is not the folder of an episode in a run")
    (source,) = open_sources([run])
    return source


def _record(source: Source, folder: Path) -> Record:
    outline = Outline(source=source, folder=folder, task_id=folder.name, resolved=None, process=None)
    return read_record(outline)


def _job(parent: Record, until: int, tasks: Sequence[Task], seed: int) -> Job:
    """An episode that branches off its parent after `until` steps."""
    task_id = parent.trajectory.header.task_id
    task = next((task for task in tasks if task.instance_id == task_id), None)
    if task is None:
        raise UsageError(f"the tasks given do not hold {task_id}, which the episode is of")
    options = {"replay": parent.outline.folder, "until": until}
    return Job(task=task, seed=seed, options=options, history=_history(parent, until))


def _history(parent: Record, until: int) -> Sequence[Message]:
    """The conversation up to the answer of step `until` - 1, with arguments as text, as services take them."""
    conversation = conversation_of(parent)
    if conversation is None or until == 0:
        return ()
    turn = next((turn for turn in conversation.turns if turn.steps[-1] == until - 1), None)
    if turn is None:
        raise UsageError(f"no answer of {parent.outline.folder.name} ends with step {until - 1}: choose another state")
    return [_sendable(message) for message in conversation.messages[: turn.message + 1]]


def _sendable(message: Message) -> Message:
    calls = [
        {**call, "function": {**call["function"], "arguments": json.dumps(call["function"]["arguments"])}}
        for call in message.get("tool_calls", ())
    ]
    return {**message, "tool_calls": calls} if calls else message


def _taken(run: Path, parent: Record, until: int) -> dict[str, list[Record]]:
    """What was done at the state: by the recorded episode first, then by those that branched off there."""
    found: dict[str, list[Record]] = {}
    action = _action(parent, until)
    if action is not None:
        found[action] = [parent]
    (source,) = open_sources([run])
    for episode in latest(list(read_episodes(run))).values():
        record = _record(source, episode.folder)
        branch = record.trajectory.start.parent
        action = _action(record, until)
        if branch is not None and branch.steps == until and action is not None and not episode.excluded:
            found.setdefault(action, []).append(record)
    return found


def _action(record: Record, until: int) -> str | None:
    """What was done by the answer that begins with step `until`."""
    conversation: Conversation | None = conversation_of(record)
    for turn in conversation.turns if conversation is not None else ():
        if turn.steps[0] == until and conversation is not None:
            return render_call(conversation.messages[turn.message])
    return None


def _more(
    taken: dict[str, list[Record]], until: int, rollouts: int, tasks: Sequence[Task], seeds: Iterator[int]
) -> Iterator[Job]:
    """The further continuations that each alternative needs; one that ended the episode has none."""
    for _, records in sorted(taken.items()):
        first = records[0]
        ends = len(first.trajectory.steps) <= until + 1
        for _ in range(0 if ends else rollouts - len(records)):
            yield _job(first, until + 1, tasks, next(seeds))


def _told(run: Path, parent: Record, until: int, taken: dict[str, list[Record]]) -> Alternatives:
    (source,) = open_sources([run])
    names = {action: [record.outline.name for record in records] for action, records in taken.items()}
    origin = {name: action for action, found in names.items() for name in found}
    for episode in latest(list(read_episodes(run))).values():
        record = _record(source, episode.folder)
        branch = record.trajectory.start.parent
        came_from = f"{branch.run_id}/{branch.episode_id}" if branch is not None else ""
        if branch is not None and branch.steps == until + 1 and came_from in origin:
            names[origin[came_from]].append(record.outline.name)
    return Alternatives(
        run=run, state=until, episodes={action: tuple(found) for action, found in sorted(names.items())}
    )
