"""From runs to usable episodes: read, refuse and count, and turn into conversations."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from ...envs.sources import load_tasks
from ...envs.task import Task
from ...errors import TaskError
from ...rollouts.episode_log import EVENTS
from ...rollouts.events import EpisodeStartEvent
from ...rollouts.files import sha256_of
from ...rollouts.log import LogCorrupt, first_event
from ...rollouts.payloads import EpisodeStart
from ...rollouts.run_dir import EPISODES
from ...rollouts.trajectory import Trajectory
from ..config import ConversationConfig, LeakageConfig
from .conversation import Conversation, conversation_of
from .filters import EpisodeFilter
from .leakage import Leakage
from .messages import NotPortable
from .records import Outline, Record, Source, read_record
from .refusal import Refusal, Refusals

__all__ = ["Intake", "Usable", "known_tasks", "leakage_against"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usable:
    """An episode that may be used."""

    outline: Outline
    trajectory: Trajectory
    conversation: Conversation

    @property
    def inherited(self) -> int:
        """How many of its first steps are those of the episode that it branched from."""
        parent = self.trajectory.start.parent
        return parent.steps if parent is not None else 0

    def step_rewards(self, steps: Sequence[int]) -> list[float | None]:
        """The rewards of some steps; None for one that nobody scored."""
        found = [self.trajectory.rewards[step] for step in steps]
        return [reward.reward if reward is not None else None for reward in found]


@dataclass(slots=True)
class Intake:
    """Reads episodes one at a time; whatever it leaves out is counted."""

    filter: EpisodeFilter
    conversation: ConversationConfig
    leakage: Leakage | None = None
    tasks: Mapping[str, Task] = field(default_factory=dict[str, Task])
    """What is known of the training tasks, for their reference patches."""
    sources: Mapping[str, Source] = field(default_factory=dict[str, Source])
    """The runs by id, to look up what an episode branched from."""
    refusals: Refusals = field(default_factory=Refusals)
    seen: int = 0
    digests: dict[str, str] = field(default_factory=dict[str, str])
    """SHA-256 of the log of each episode used."""

    def usable(self, outlines: Sequence[Outline]) -> Iterator[Usable]:
        """Those of the episodes that may be used, in order."""
        for outline in outlines:
            self.seen += 1
            found = self._take(outline)
            if isinstance(found, Usable):
                yield found
            else:
                self.refusals.add(found, outline.name)

    def use(self, outline: Outline) -> None:
        """Remember that an episode became part of the data."""
        self.digests.setdefault(outline.name, sha256_of(outline.folder / EVENTS))

    def _take(self, outline: Outline) -> Usable | Refusal:
        try:
            record = read_record(outline)
        except LogCorrupt:
            return Refusal.DAMAGED
        return self._judge(record)

    def _judge(self, record: Record) -> Usable | Refusal:
        trajectory = record.trajectory
        if _edited(trajectory):
            return Refusal.DAMAGED
        refused = self.filter.episode(trajectory) or self._inherits(trajectory) or self._leaks(trajectory)
        if refused is not None:
            return refused
        try:
            conversation = conversation_of(record, self.conversation)
        except NotPortable:
            return Refusal.NOT_PORTABLE
        if conversation is None:
            return Refusal.NOTHING_SAID
        refused = self.filter.conversation(conversation)
        if refused is not None:
            return refused
        return Usable(outline=record.outline, trajectory=trajectory, conversation=conversation)

    def _inherits(self, trajectory: Trajectory) -> Refusal | None:
        """Whether its first steps were taken by somebody who was shown the answer, or nobody knows by whom."""
        parent, seen = trajectory.start.parent, set[tuple[str | None, str | None]]()
        while parent is not None and parent.steps and not self.filter.config.privileged:
            key = parent.run_id, parent.episode_id
            start = self.starts(*key) if key not in seen else None
            if start is None or start.privileged:
                return Refusal.PRIVILEGED
            seen.add(key)
            parent = start.parent
        return None

    def starts(self, run_id: str | None, episode_id: str | None) -> EpisodeStart | None:
        """How an episode of these runs began; None when it is in none of them."""
        source = self.sources.get(run_id or "")
        path = source.folder / EPISODES / str(episode_id) / EVENTS if source is not None else None
        first = first_event(path) if path is not None and path.exists() else None
        return first.payload if isinstance(first, EpisodeStartEvent) else None

    def _leaks(self, trajectory: Trajectory) -> Refusal | None:
        if self.leakage is None:
            return None
        task = self.tasks.get(trajectory.header.task_id)
        patches = [task.patch] if task is not None and task.patch else []
        if trajectory.patch is not None and trajectory.resolved is not False:
            patches.append(trajectory.patch.patch)
        statement = str(trajectory.start.task.get("problem_statement") or trajectory.start.observation)
        leak = self.leakage.find(trajectory.header.task_id, trajectory.header.repo, statement, patches)
        if leak is not None:
            self.refusals.leaks.setdefault(str(leak), leak.reason)
        return leak.reason if leak is not None else None


def _edited(trajectory: Trajectory) -> bool:
    """Whether the patch is not the one that was recorded, or not the one that was graded."""
    patch, verdict = trajectory.patch, trajectory.verdict
    if patch is None:
        return False
    if sha256(patch.patch.encode("utf-8", "surrogatepass")).hexdigest() != patch.sha256:
        return True
    return verdict is not None and verdict.patch_sha256 not in (None, patch.sha256)


def known_tasks(spec: str | None, sources: Sequence[Source]) -> dict[str, Task]:
    """Tasks by id: those of `spec`, else those that the runs name, where they are still there.

    Raises TaskError when `spec` cannot be read.
    """
    if spec is not None:
        return {task.instance_id: task for task in load_tasks(spec)}
    found: dict[str, Task] = {}
    for place in sorted({str(source.config.get("tasks")) for source in sources if source.config.get("tasks")}):
        if Path(place).exists():
            try:
                found.update({task.instance_id: task for task in load_tasks(place)})
            except TaskError:
                continue
    return found


def leakage_against(spec: str | None, config: LeakageConfig) -> Leakage | None:
    """A check against the tasks of `spec`; None without any. Raises TaskError."""
    return Leakage(load_tasks(spec), config) if spec is not None else None
