"""Stages: one folder each, done once. What is finished is kept; what was cut off goes on; what changed is refused."""

import json
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from ...errors import ConfigError, UsageError
from ...rollouts.files import write_json
from ...rollouts.run_dir import differences

__all__ = ["NOTE", "Stage", "Stages"]

NOTE = "stage.json"
_HERE = "EXPERIMENT"
"""Stands for the experiment's folder."""
Figures = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage that is finished."""

    name: str
    folder: Path
    id: str
    """Of this doing of it: what is built on it is out of date once it is done again."""
    seconds: float
    cpu_seconds: float
    figures: Figures


@dataclass
class Stages:
    """Does stages, and hears of each that is finished."""

    root: Path
    finished: Callable[[Stage], None]
    quiet: bool = False
    total: int | None = None
    """How many there will be, for what is shown."""
    _done: int = field(default=0, init=False)

    def do(
        self,
        name: str,
        config: Mapping[str, Any],
        work: Callable[[Path], Figures],
        after: Sequence[Stage] = (),
    ) -> Stage:
        """Do a stage in the folder of its name, unless it is finished; `work` resumes what it finds in the folder.

        Raises ConfigError when the folder was begun with another `config`, or on something that was done again since.
        """
        folder = self.root / name
        self._done += 1
        told = _placed(json.loads(json.dumps(config)), self.root)
        said = {"config": told, "after": {stage.name: stage.id for stage in after}}
        found = _read(folder)
        note: dict[str, Any]
        if found is None:
            note = {"id": uuid4().hex, **said, "seconds": 0.0, "cpu_seconds": 0.0, "finished": False, "figures": {}}
        else:
            note = found | {"config": _placed(found["config"], self.root)}
            _compare(folder, note, said)
            if note != found:
                write_json(folder / NOTE, note)  # of a version that noted whole paths: from now on it can be moved
        if not note["finished"]:
            self._say(f"[{self._done}/{self.total or '?'}] {name}")
            folder.mkdir(parents=True, exist_ok=True)
            note = self._work(folder, note, work)
            self._say(f"    {_told(note)}")
        stage = Stage(name, folder, note["id"], note["seconds"], note["cpu_seconds"], note["figures"])
        self.finished(stage)
        return stage

    def _work(self, folder: Path, note: dict[str, Any], work: Callable[[Path], Figures]) -> dict[str, Any]:
        """Do it; the time is counted whether or not it comes to an end."""
        began, used, before = time.monotonic(), _cpu(), (note["seconds"], note["cpu_seconds"])
        write_json(folder / NOTE, note)
        try:
            figures = work(folder)
            note |= {"finished": True, "figures": dict(figures)}
        finally:
            note["seconds"] = round(before[0] + time.monotonic() - began, 2)
            note["cpu_seconds"] = round(before[1] + _cpu() - used, 2)
            write_json(folder / NOTE, note)
        return note

    def _say(self, text: str) -> None:
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)


def _read(folder: Path) -> dict[str, Any] | None:
    path = folder / NOTE
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}; remove {folder} to do this stage again") from None


def _placed(value: Any, root: Path) -> Any:
    """Settings in which paths inside the experiment do not say where it lies, so that it can be moved."""
    if isinstance(value, Mapping):
        told = cast("Mapping[str, Any]", value)
        return {key: _placed(each, root) for key, each in told.items()}
    if isinstance(value, list):
        return [_placed(each, root) for each in cast("list[Any]", value)]
    inside = isinstance(value, str) and value.startswith(f"{root}/")
    return f"{_HERE}/{Path(value).relative_to(root)}" if inside else value


def _compare(folder: Path, note: Mapping[str, Any], said: Mapping[str, Any]) -> None:
    if changed := differences(note["config"], said["config"]):
        raise ConfigError(
            f"{folder} was begun with other settings; what differs: {', '.join(changed[:10])}. Give another -o, or "
            "remove the folder and those of the stages built on it to do them again"
        )
    if changed := differences(note["after"], said["after"]):
        built = ", ".join(changed)
        raise ConfigError(f"{folder} was built on {built}, done again since: remove it to do it again as well")


def _cpu() -> float:
    """CPU seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _told(note: Mapping[str, Any]) -> str:
    told = {key: value for key, value in note["figures"].items() if not isinstance(value, dict | list)}
    figures = ", ".join(f"{key} {value}" for key, value in told.items())
    return f"{note['seconds']:.1f} s" + (f": {figures}" if figures else "")
