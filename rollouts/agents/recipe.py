"""Recipes: how a command-line agent is installed, called, watched and read. Shipped ones are in `configs/agents/`."""

import re
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any, Literal, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

from ...errors import ConfigError
from ...validation import validated

__all__ = ["VARIABLES", "Api", "House", "Limits", "Recipe", "Transcript", "known_recipes", "load_recipe"]

RECIPES = Path(__file__).parents[2] / "configs" / "agents"
Api = Literal["openai", "anthropic", "gemini"]
"""Which API an agent speaks to its model: OpenAI's (chat completions or responses), Anthropic's, or Gemini's."""

VARIABLES: Mapping[str, str] = {
    "TRAJHUB_MODEL": "name of the model",
    "TRAJHUB_MODEL_URL": "root of the model's API as the agent reaches it, without a version (`/v1`)",
    "TRAJHUB_API_KEY": "what the agent must show as its key; the service's own key stays outside",
    "TRAJHUB_OTLP_URL": "where OTLP over HTTP is taken",
    "TRAJHUB_OTLP_GRPC": "where OTLP over gRPC is taken",
    "TRAJHUB_OTLP_HEADERS": "headers for both, as `OTEL_EXPORTER_OTLP_HEADERS` has them",
    "TRAJHUB_OTLP_TOKEN": "the token within those headers",
    "TRAJHUB_PROMPT_FILE": "file that holds the prompt",
    "TRAJHUB_WORKDIR": "the repository",
    "TRAJHUB_HOME": "a folder of the episode's own, outside the repository; also `HOME`",
    "TRAJHUB_SESSION": "a UUID of the episode",
    "TRAJHUB_VERSION": "the agent's version, as the recipe wants it",
    "TRAJHUB_SEED": "the episode's seed",
    "TRACEPARENT": "the trace that the agent's spans should belong to (W3C trace context)",
}
"""What the commands, variables and files of a recipe may name as `$NAME` or `${NAME}`."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Transcript(_Model):
    """Where the agent writes what it did."""

    path: str
    """Glob in the sandbox, for example `${TRAJHUB_HOME}/.claude/projects/*/*.jsonl`. A folder that matches is one
    transcript, with all files in it."""
    adapter: str | None = None
    """Name of the adapter that reads it; null: recognised by its content."""


class House(_Model):
    """The system in which an agent is installed, once for all tasks."""

    image: str = "python:3.12-slim-trixie"
    """Pulled where a registry answers; with Python 3 and its `venv`."""
    suite: str = "trixie"
    """The Debian release that `debootstrap` installs where none does."""


class Limits(_Model):
    """What the recording of one episode may take."""

    output_bytes: int = Field(default=2_000_000, ge=1000)
    """Of the agent's output that are kept, its begin and end."""
    transcript_bytes: int = Field(default=256 << 20, ge=1000)
    """Of its transcripts in all."""
    sample_seconds: float = Field(default=1.0, gt=0)
    """Between two samples of the control group."""
    flush_seconds: float = Field(default=2.0, ge=0)
    """Waited for telemetry that is still on its way when the agent has ended."""


class Recipe(_Model):
    """One agent."""

    name: str
    """Recorded as the agent."""
    title: str
    """What people call it."""
    version: str = ""
    """The version that is installed; part of the installation's identity."""
    notes: str = ""
    """What a user should know: keys, limits, what was tried."""
    api: Api = "openai"
    install: str = ""
    """Shell script that installs it into the folder `/opt/trajhub-agent`, as root, with network, in a container of its
    house; "": nothing to do. Sandboxes have that folder alone, and read-only. `portable-python FOLDER PACKAGE...` and
    `portable-node FOLDER PACKAGE...` make a Python or a Node.js that runs in the image of any task."""
    house: House = Field(default_factory=House)
    """Where `install` runs."""
    version_command: str = ""
    """Prints its version; the first thing in it that looks like one is recorded."""
    command: str
    """Shell script that runs it in the repository until the task is done."""
    prompt: str = "{problem_statement}"
    """What it is told. `{problem_statement}`, `{repo}`, `{workdir}` and `{instance_id}` are filled in."""
    stdin: bool = False
    """It reads the prompt from standard input."""
    env: Mapping[str, str] = Field(default_factory=dict[str, str])
    """Environment of the command, telemetry included."""
    files: Mapping[str, str] = Field(default_factory=dict[str, str])
    """Files it is given, by path: settings and prompt files of its own. Relative paths are in the repository; what is
    put there is taken away again before the patch is made."""
    prompt_files: tuple[str, ...] = ()
    """Globs of further files it reads by itself, such as `CLAUDE.md`: archived with the episode."""
    litter: tuple[str, ...] = ()
    """What it leaves in the repository for itself, such as `.aider*`: no part of its patch."""
    transcripts: tuple[Transcript, ...] = ()
    task_seconds: float | None = Field(default=None, gt=0)
    """Time it may take, if that is less than the environment's limit."""
    limits: Limits = Field(default_factory=Limits)

    @field_validator("name")
    @classmethod
    def _plain_name(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", value):
            raise ValueError("a name has lower-case letters, digits, dots and hyphens")
        return value

    @property
    def asks_model(self) -> bool:
        """Whether it names the run's model anywhere."""
        told = (self.command, *self.env.values(), *self.files.values())
        return any(re.search(r"\$\{?TRAJHUB_MODEL\b", text) for text in told)

    def told(self, **facts: str) -> str:
        """The prompt of a task. Raises ConfigError for a placeholder that is none."""
        known = {"problem_statement", "repo", "workdir", "instance_id"}
        found = set(re.findall(r"\{(\w+)\}", self.prompt))
        if found - known:
            raise ConfigError(f"recipe {self.name}: the prompt names {sorted(found - known)}; known: {sorted(known)}")
        return re.sub(r"\{(\w+)\}", lambda match: facts[match[1]], self.prompt)

    def environment(self, values: Mapping[str, str]) -> dict[str, str]:
        """The environment of the command, all of `values` included."""
        return {**values, "HOME": values["TRAJHUB_HOME"], **{k: expand(v, values) for k, v in self.env.items()}}


def expand(text: str, values: Mapping[str, str]) -> str:
    """`text` with the variables that `values` knows filled in; others are left for the shell."""
    return Template(text).safe_substitute(values)


def known_recipes() -> dict[str, Path]:
    """The shipped recipes, by name."""
    return {path.stem: path for path in sorted(RECIPES.glob("*.yaml"))}


def load_recipe(name: str, changes: Mapping[str, Any] | None = None) -> Recipe:
    """A recipe by its name or by the path of a YAML file, with `changes` on top. Raises ConfigError."""
    values = _read(name)
    for key, value in (changes or {}).items():
        old = values.get(key)
        both = isinstance(old, dict) and isinstance(value, Mapping)
        values[key] = {**cast("dict[str, Any]", old), **cast("Mapping[str, Any]", value)} if both else value
    return validated(Recipe, values, f"the recipe {name}")


def _read(name: str) -> dict[str, Any]:
    path = known_recipes().get(name)
    if path is None:
        path = Path(name)
        if path.suffix not in (".yaml", ".yml"):
            raise ConfigError(f"unknown agent {name!r}; known are {', '.join(known_recipes())}, or a recipe FILE.yaml")
    try:
        values: object = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the recipe {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"the recipe {path} is not YAML: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"the recipe {path} holds no mapping of settings")
    return cast("dict[str, Any]", values)
