"""Prompts are files with a name, a version and a hash, so that a score says by which words it came about."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import yaml

from ...errors import ConfigError

__all__ = ["SLOTS", "Prompt", "load_prompt", "shipped_prompts"]

SLOTS = ("nonce", "task", "revealed", "history", "number", "step")
"""What the user's part of a prompt must have a place for."""
_FORM = re.compile(r"---\n(.*?)\n---\n# system\n(.*?)\n# user\n(.*)", re.DOTALL)
_SHIPPED = files("trajectory_hub.rewards.judge") / "prompts"
_SLOT = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What the judge is told; `user` has a slot for everything that changes from step to step."""

    name: str
    version: str
    sha256: str
    """Of the file."""
    system: str
    user: str

    def fill(self, values: Mapping[str, str]) -> list[dict[str, str]]:
        """The messages. Text that is filled in is never searched for slots."""
        user = _SLOT.sub(lambda match: values[match[1]], self.user)
        return [{"role": "system", "content": self.system}, {"role": "user", "content": user}]


def shipped_prompts() -> list[str]:
    """Names of the prompts that come with the package."""
    return sorted(item.name.removesuffix(".md") for item in _SHIPPED.iterdir())


def load_prompt(name: str) -> Prompt:
    """A shipped prompt by its name, or one from a file. Raises ConfigError."""
    if name.endswith(".md"):
        try:
            return _parsed(Path(name).read_text(encoding="utf-8"), name)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"the prompt {name} cannot be read: {error}") from None
    if name not in shipped_prompts():
        raise ConfigError(f"there is no prompt {name!r}; there are {', '.join(shipped_prompts())}, or give a file.md")
    return _parsed((_SHIPPED / f"{name}.md").read_text("utf-8"), name)


def _parsed(text: str, source: str) -> Prompt:
    match = _FORM.fullmatch(text)
    if match is None:
        raise ConfigError(f"the prompt {source} should be a head between two lines ---, then # system, then # user")
    try:
        head = yaml.safe_load(match[1])
        name, version = str(head["name"]), str(head["version"])
    except (yaml.YAMLError, TypeError, KeyError):
        raise ConfigError(f"the head of the prompt {source} should give a name and a version") from None
    slots = set(_SLOT.findall(match[3]))
    if slots != set(SLOTS) or _SLOT.search(match[2]):
        raise ConfigError(
            f"the part # user of the prompt {source} should have the slots {', '.join(SLOTS)}, each as {{{{name}}}}, "
            f"and # system none; # user has {', '.join(sorted(slots)) or 'none'}"
        )
    digest = sha256(text.encode()).hexdigest()
    return Prompt(name=name, version=version, sha256=digest, system=match[2].strip(), user=match[3].strip())
