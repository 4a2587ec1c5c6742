"""A policy that plays a list of actions: a test's, a demonstration's, or a user's.

The file is YAML: a list of actions for every task, or a mapping from task ids (and `default`) to such lists.
An action is `{name: shell, arguments: {command: ls}, thought: ...}` or a string that is passed on as it is.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from ...errors import ConfigError
from .base import Action, Context, Gave, PolicyBase, Session, TaskView

__all__ = ["ScriptedPolicy"]


class ScriptedAction(BaseModel):
    """One entry of a script."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    arguments: Mapping[str, Any] = {}
    thought: str | None = None

    def action(self) -> Action:
        """The entry as an action."""
        return Action(call={"name": self.name, "arguments": dict(self.arguments)}, thought=self.thought)


Script = list[ScriptedAction | str]
_SCRIPT: TypeAdapter[dict[str, Script] | Script] = TypeAdapter(dict[str, Script] | Script)


class ScriptedPolicy(PolicyBase):
    """Plays the same actions whatever it sees, then submits."""

    name = "scripted"

    def __init__(self, scripts: Mapping[str, Sequence[Action]], version: str = "1") -> None:
        self._scripts = scripts
        self.version = version

    @classmethod
    def load(cls, path: Path) -> "ScriptedPolicy":
        """Read a script. Raises ConfigError that says what is wrong with it."""
        try:
            text = path.read_text(encoding="utf-8")
            value = _SCRIPT.validate_python(yaml.safe_load(text))
        except (OSError, yaml.YAMLError) as error:
            raise ConfigError(f"cannot read the script {path}: {error}") from error
        except ValidationError as error:
            first = error.errors(include_url=False)[-1]
            where = ".".join(map(str, first["loc"]))
            raise ConfigError(f"{path} is not a script: at {where}: {first['msg']}; see docs/rollouts.md") from None
        scripts = value if isinstance(value, dict) else {"default": value}
        actions = {task: [_action(item) for item in script] for task, script in scripts.items()}
        # A changed script is another agent: a run begun with the old one must not go on with it.
        return cls(actions, f"1+{sha256(text.encode()).hexdigest()[:8]}")

    def start(self, task: TaskView, context: Context) -> Session:
        """Begin the script of `task`, or the default one."""
        script = self._scripts.get(task.instance_id, self._scripts.get("default"))
        if script is None:
            raise ConfigError(f"the script has no entry for {task.instance_id} and no `default`")
        return Gave(script)


def _action(item: ScriptedAction | str) -> Action:
    return Action(call=item) if isinstance(item, str) else item.action()
