"""Where faults happen: real sandboxes, a real client asking a real server, the real grader.

Each fault yields the folder of a run whose last episode is the one in which it happened. Episodes of other people's
agents are written as their records and read by the adapters.
"""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from ..envs.engine import Engine
from ..envs.micro import MicroConfig, build_micro
from ..envs.sources import load_tasks
from ..envs.task import Task
from ..rollouts import load_config, run_rollout
from ..rollouts.attribution import Kind
from ..rollouts.config import read_overrides
from ..rollouts.policies.base import Action, Context, Gave, Policy, PolicyBase, Session, TaskView
from ..rollouts.policies.scripted import ScriptedPolicy
from .fault_service import Answer, service

__all__ = ["Fault", "Sabotage", "Stage", "append", "copied", "make_stage", "read", "removed", "shell", "target"]


@dataclass(frozen=True, slots=True)
class Stage:
    """Where faults happen."""

    work: Path
    task: Task
    engine: Engine

    def run(self, policy: Policy | None, *settings: str, task: Task | None = None, folder: Path | None = None) -> Path:
        """One graded episode of a policy (None: that of the settings), or what is left to do of one."""
        folder = folder or self.work / f"run-{uuid4().hex[:8]}"
        items = ["tasks=micro", "warm=0", "grade=true", "retries=0", "env.max_steps=12", *settings]
        run_rollout(folder, load_config(read_overrides(items)), policy=policy, tasks=[task or self.task])
        return folder

    def script(self, *actions: Mapping[str, Any] | str, settings: Sequence[str] = (), task: Task | None = None) -> Path:
        """One episode that does just this, then submits."""
        told = [Action(call=dict(one) if isinstance(one, Mapping) else one) for one in actions]
        return self.run(ScriptedPolicy({"default": told}), *settings, task=task)

    def asked(self, *answers: Answer, settings: Sequence[str] = ()) -> Path:
        """One episode of a chat model whose service answers like this."""
        with service(answers) as asked:
            return self.chat(asked.url, *settings)

    def chat(self, url: str, *settings: str) -> Path:
        """One episode of a chat model at a URL."""
        return self.run(None, f"policy=chat:m@{url}", "chat.retries=1", "chat.max_wait=0.1", *settings)

    def ingested(self, name: str, content: str) -> Path:
        """A run of what another agent's record tells."""
        from ..rollouts.adapters.engine import IngestConfig, ingest

        source = self.work / f"source-{uuid4().hex[:8]}" / name
        source.parent.mkdir()
        source.write_text(content, encoding="utf-8")
        folder = self.work / f"run-{uuid4().hex[:8]}"
        ingest([source], folder, IngestConfig(max_workers=1))
        return folder


def make_stage(work: Path, engine: Engine) -> Stage:
    """A stage with a small task made on the spot."""
    home = build_micro(work / "tasks", MicroConfig(train=1, dev=0, eval=0), engine)["train"]
    return Stage(work, load_tasks(str(home))[0], engine)


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fail."""

    name: str
    expected: tuple[Kind, ...]
    """What a person would call it; the first is shown, any counts. All belong to one `Failure`. None: nobody failed."""
    inject: Callable[[Stage], Path] = field(repr=False)
    reason: str = ""
    """Why it is their fault."""


def shell(command: str, **more: Any) -> dict[str, Any]:
    """The action that runs a command."""
    return {"name": "shell", "arguments": {"command": command, **more}}


def read(stage: Stage) -> dict[str, Any]:
    """The action that shows the file which the reference patch changes."""
    return shell(f"cat {shlex.quote(target(stage))}")


def target(stage: Stage) -> str:
    """The file that the reference patch changes."""
    return next(line[6:] for line in stage.task.patch.splitlines() if line.startswith("+++ b/"))


def append(stage: Stage, line: str) -> dict[str, Any]:
    """The action that adds a line to the file which the reference patch changes."""
    return shell(f"printf '%s\\n' {shlex.quote(line)} >> {shlex.quote(target(stage))}")


class Sabotage(PolicyBase):
    """Reads a little, and meanwhile something happens to the world."""

    name = "sabotaged"

    def __init__(self, deed: Callable[[], object]) -> None:
        self._deed = deed

    def start(self, task: TaskView, context: Context) -> Session:
        """Begin."""
        return _Sabotaged(self._deed)


class _Sabotaged(Gave):
    def __init__(self, deed: Callable[[], object]) -> None:
        super().__init__([Action(call=shell("ls")) for _ in range(4)])
        self._deed = deed

    def act(self, observation: str, info: Mapping[str, Any]) -> Action:
        action = super().act(observation, info)
        self._deed()
        return action


def copied(stage: Stage) -> Task:
    """The task with an image of its own, which may be taken away."""
    container = stage.engine.client.containers.create(stage.task.require_image(), "true")
    try:
        container.commit(repository="trajhub/fault", tag=(tag := uuid4().hex[:12]), message=tag)
    finally:
        container.remove(force=True)
    return stage.task.model_copy(update={"image": f"trajhub/fault:{tag}"})


def removed(stage: Stage, image: str) -> None:
    """The containers of an image are removed, as by a person who cleans up."""
    names = (image, stage.engine.image_id(image))
    for box in stage.engine.containers():
        if box["Image"] in names:
            stage.engine.remove(box["Id"])
