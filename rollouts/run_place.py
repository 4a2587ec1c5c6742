"""Where the episodes of a run are kept: a run directory of this machine, or somebody elsewhere who has one."""

from pathlib import Path
from typing import Protocol, Self

from .episode_place import EpisodeFolder, EpisodePlace
from .run_dir import EPISODES, claim_episode, ensure_run

__all__ = ["RunFolder", "RunPlace"]


class RunPlace(Protocol):
    """Where the episodes of a run are kept."""

    @property
    def run_id(self) -> str:
        """The run's id."""
        ...

    def episode(self, name: str) -> EpisodePlace:
        """The place of an episode."""
        ...

    def claim(self, task_id: str, seed: int | None) -> str:
        """A new episode id of that task and seed."""
        ...


class RunFolder:
    """A run directory of this machine; it is made a run if it is none."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self._run_id = ensure_run(run)

    def __deepcopy__(self, _: object) -> Self:
        return self  # gymnasium copies the arguments of wrappers

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self._run_id

    def episode(self, name: str) -> EpisodeFolder:
        """The folder of an episode."""
        return EpisodeFolder(self.run / EPISODES / name)

    def claim(self, task_id: str, seed: int | None) -> str:
        """A new episode id of that task and seed, its folder made."""
        return claim_episode(self.run, task_id, seed)
