"""A user's mapping file: what completes tasks that lack an image, an evaluation script or a log parser.

YAML or JSON, keyed by instance id, by repository or by a glob over either. Entries are merged from the
general to the particular (globs by length, then the repository, then the id); a field fills what the task
leaves empty, and replaces what it has only with `override: true`. Texts may hold `{instance_id}`,
`{instance_id_1776}` (`__` as `_1776_`, lower case), `{instance_id_s}` (`__` as `_s_`, lower case), `{repo}`,
`{owner}`, `{name}`, `{version}`, `{base_commit}`, `{workdir}` and, for SWE-bench Pro, `{dockerhub_tag}`;
other braces are left alone.
"""

import json
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from ...errors import ConfigError
from ..task import EvalType, Task
from .eval_script import build_eval_script

__all__ = ["Mapped", "TaskMapping", "placeholders", "substitute"]


class Mapped(BaseModel):
    """What one entry of a mapping file may say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str | None = None
    eval_script: str | None = None
    """The whole script, with its output markers."""
    test_command: str | None = None
    """The command that runs the deciding tests; makes the evaluation script where none is given."""
    setup: str | None = None
    """Shell line that goes before the test command, for example to activate an environment."""
    log_parser: str | None = None
    eval_type: EvalType | None = None
    workdir: str | None = None
    network: bool | None = None
    run_scripts: str | None = None
    """SWE-bench Pro: folder that holds `run_script.sh` and `parser.py` of the instance."""
    override: bool = False


def placeholders(task: Task) -> dict[str, str]:
    """What may stand in braces, for one task."""
    owner, _, name = task.repo.rpartition("/")
    lower = task.instance_id.lower()
    return {
        "instance_id": task.instance_id,
        "instance_id_lower": lower,
        "instance_id_1776": lower.replace("__", "_1776_"),
        "instance_id_s": lower.replace("__", "_s_"),
        "repo": task.repo,
        "owner": owner,
        "name": name,
        "version": task.version,
        "base_commit": task.base_commit,
        "workdir": task.workdir,
        "dockerhub_tag": task.pro.dockerhub_tag if task.pro else "",
    }


def substitute(template: str, values: Mapping[str, str]) -> str:
    """Replace the known names in braces and leave every other brace alone."""
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), template)


class TaskMapping:
    """The entries of a mapping file."""

    def __init__(self, entries: Mapping[str, Mapped], *, folder: Path | None = None) -> None:
        self.entries = dict(entries)
        self.folder = folder or Path()

    @classmethod
    def read(cls, path: str | Path) -> "TaskMapping":
        """Read a file. Raises ConfigError that names the entry and the field that are wrong."""
        source = Path(path)
        try:
            content = source.read_text(encoding="utf-8")
            data: Any = json.loads(content) if source.suffix == ".json" else yaml.safe_load(content)
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise ConfigError(f"mapping file {source}: {error}") from None
        return cls.from_data(data, name=str(source), folder=source.parent)

    @classmethod
    def from_data(cls, data: Any, *, name: str = "mapping", folder: Path | None = None) -> "TaskMapping":
        """Validate what a file held."""
        if not isinstance(data, Mapping):
            raise ConfigError(f"{name}: must map instance ids, repositories or globs to fields")
        entries: dict[str, Mapped] = {}
        for key, value in cast(Mapping[Any, Any], data).items():
            try:
                entries[str(key)] = Mapped.model_validate(value)
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(str(part) for part in first["loc"])
                known = ", ".join(Mapped.model_fields)
                raise ConfigError(f"{name}: {key}.{where}: {first['msg']} (known fields: {known})") from None
        return cls(entries, folder=folder)

    def for_task(self, task: Task) -> Mapped:
        """All entries that speak of a task, merged."""
        names = (task.instance_id, task.repo)
        globs = [key for key in self.entries if any(sign in key for sign in "*?[")]
        fitting = [key for key in globs if any(fnmatchcase(name, key) for name in names)]
        ordered = [*sorted(fitting, key=len), task.repo, task.instance_id]
        merged: dict[str, Any] = {}
        for key in ordered:
            if key in self.entries:
                merged |= self.entries[key].model_dump(exclude_unset=True)
        return Mapped(**merged)

    def complete(self, task: Task) -> Task:
        """The task with what the mapping adds to it."""
        entry = self.for_task(task)
        given = entry.model_dump(exclude_none=True, exclude={"override", "setup", "run_scripts"})
        wanted = {key: value for key, value in given.items() if entry.override or _replaceable(task, key)}
        if "workdir" in wanted:
            task = task.model_copy(update={"workdir": wanted["workdir"]})
        values = placeholders(task)
        update = {key: _filled(value, values) for key, value in wanted.items()}
        task = task.model_copy(update=update)
        if entry.run_scripts and task.pro is not None:
            task = self._with_scripts(task, substitute(entry.run_scripts, values), override=entry.override)
        return self._with_eval_script(task, entry, values)

    def _with_scripts(self, task: Task, where: str, *, override: bool) -> Task:
        from .pro import with_run_scripts

        return with_run_scripts(task, self.folder / where, override=override)

    @staticmethod
    def _with_eval_script(task: Task, entry: Mapped, values: Mapping[str, str]) -> Task:
        if task.pro is not None or not entry.test_command or entry.eval_script:
            return task
        if task.eval_script and not entry.override:
            return task
        command = substitute(entry.test_command, values)
        setup = substitute(entry.setup, values) if entry.setup else ""
        script = build_eval_script(
            test_patch=task.test_patch,
            base_commit=task.base_commit,
            workdir=task.workdir,
            command=command,
            setup=setup,
        )
        shown = f"{setup} && {command}" if setup else command
        return task.model_copy(update={"eval_script": script, "test_command": shown})


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    return substitute(value, values) if isinstance(value, str) else value


def _replaceable(task: Task, field: str) -> bool:
    """Whether a field of a task is as good as empty: it has no value, or only its default."""
    value = getattr(task, field)
    return not value or (field in ("eval_type", "workdir") and value == Task.model_fields[field].default)
