"""The house of an agent: a volume that holds it with all that it needs, filled once for an engine and only read after.

An agent may need a newer Python or Node.js than a task's image has, and must not use the task's. So it is installed
in a system of its own, where the folder `FOLDER` is the volume; every sandbox then has that volume at the same place,
read-only. No image is made, whatever the number of tasks, and the grader's containers never see it. A volume counts as
filled when it holds the mark that is written last: what a killed process left half-filled is filled anew.
"""

import hashlib
import json
import shlex
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

from ...envs.channel import Channel, ChannelLost, ChannelTimeout
from ...envs.container import Container, SandboxConfig
from ...envs.engine import LABEL, Engine, Owner, engine_errors
from ...envs.images import ensure_root_image
from ...envs.prepare import HOUSES
from ...errors import InfrastructureError, SandboxLost, VolumeMissing
from .install import FOLDER, TIMEOUT, TOOLS, install, run, version_of
from .recipe import Recipe

__all__ = ["FOLDER", "INCLUDE", "Installed", "ensure_installed", "house_name"]

INCLUDE = ("ca-certificates", "git", "python3", "python3-pip", "python3-venv")
"""Packages of the system that `debootstrap` makes."""
_MARK = f"{FOLDER}/.trajhub-house.json"
_VERSION_LABEL = "trajhub.agent.version"
_MEMORY_MB = 4096
_DISK_MB = 8192
_ASK_EVERY = 0.5
_CLEAR = f"chmod -R u+rwX {FOLDER} && find {FOLDER} -mindepth 1 -delete"

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """Where an agent is."""

    volume: str | None
    """Name of its house; None when its recipe installs nothing."""
    version: str
    """What the agent says its version is; the recipe's where it says nothing."""


def house_name(recipe: Recipe) -> str | None:
    """The name of the volume that holds the agent, a function of all that it is made by; None without `install`."""
    if not recipe.install:
        return None
    tools = [text for name, text in TOOLS.items() if name in recipe.install]
    tools += [TOOLS["portable-program"]] if tools else []
    known = (recipe.install, recipe.version, recipe.version_command, recipe.house.model_dump_json(), *tools)
    return f"trajhub-agent-{recipe.name}-{hashlib.sha256(chr(0).join(known).encode()).hexdigest()[:12]}"


def ensure_installed(engine: Engine, recipe: Recipe, image: str, tell: Tell = lambda _: None) -> Installed:
    """The agent's house, filled when this engine has none; `image` is one that is there to look into it.

    `tell` hears what takes its time. Safe for several processes at once: one installs, the others wait. Raises
    InfrastructureError with the end of the install step's output when that fails, and DiskFull.
    """
    name = house_name(recipe)
    base = engine.require_image(image)
    if name is None:
        with _entered(Container(engine, _config(image, {}), base)) as channel:
            return Installed(volume=None, version=version_of(channel, recipe) or "unknown")
    told = None
    if engine.has_volume(name):
        with _entered(Container(engine, _config(image, {name: FOLDER}), base)) as channel:
            told = _marked(channel)
    told = told or _fill(engine, recipe, name, tell)
    return Installed(volume=name, version=str(told["version"]) or "unknown")


def _config(image: str, volumes: Mapping[str, str], *, network: bool = False) -> SandboxConfig:
    limits: dict[str, Any] = {"memory_mb": _MEMORY_MB, "disk_mb": _DISK_MB}
    return SandboxConfig(image=image, workdir="/", network=network, volumes=volumes, **limits)


def _fill(engine: Engine, recipe: Recipe, name: str, tell: Tell) -> dict[str, Any]:
    """Install the agent into the volume, unless somebody else does; what its mark says."""
    house = recipe.house
    tell(f"preparing {house.image}")
    image = ensure_root_image(engine, house.image, house.suite, INCLUDE, f"trajhub/debian:{house.suite}")
    base = engine.require_image(image)
    container = _alone(engine, recipe, _config(image, {name: FOLDER}, network=True), base, name, tell)
    try:
        with _entered(container) as channel:
            told = _marked(channel)  # by somebody else, meanwhile
            if told is None:
                tell(f"in {image}, once for this engine")
                told = _install(channel, recipe, name, image, base)
    except BaseException:
        with suppress(InfrastructureError):
            engine.remove_volume(name)  # half-filled; kept where somebody else has it by now
        raise
    return told


def _install(channel: Channel, recipe: Recipe, name: str, image: str, base: str) -> dict[str, Any]:
    run(channel, _CLEAR, f"emptying the volume {name}")
    version = install(channel, recipe, image)
    told = {"agent": recipe.name, "version": version, "image": image, "image_id": base}
    text = shlex.quote(json.dumps(told))
    mark = f"printf %s {text} >{_MARK}.new && sync && mv {_MARK}.new {_MARK} && sync"
    run(channel, mark, f"marking the volume {name} as filled")
    return told


def _marked(channel: Channel) -> dict[str, Any] | None:
    """What the mark of a filled volume says; None while it is not filled."""
    try:
        told: object = json.loads(run(channel, f"cat {_MARK} 2>/dev/null || :", "reading an agent's volume"))
    except ValueError:
        return None
    return cast("dict[str, Any]", told) if isinstance(told, dict) and "version" in told else None


@contextmanager
def _entered(container: Container) -> Generator[Channel]:
    """A shell in a container that is removed afterwards."""
    try:
        channel = container.open_channel()
        try:
            yield channel
        finally:
            channel.close()
    except (ChannelLost, ChannelTimeout) as error:
        raise SandboxLost(f"the container in which an agent is installed was lost: {error}") from error
    finally:
        container.remove()


def _alone(engine: Engine, recipe: Recipe, config: SandboxConfig, base: str, name: str, tell: Tell) -> Container:
    """The one container on this engine that may fill the volume. Its name is the lock, and its end the release."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            with engine_errors(f"making the volume {name}"):
                engine.api.create_volume(name, labels={HOUSES: recipe.name, _VERSION_LABEL: recipe.version})
            return Container(engine, config, base, filling=name)
        except VolumeMissing:
            continue  # whoever failed to fill it has just removed it
        except SandboxLost as error:
            if not _taken(error):
                raise
        box = _holder(engine, name)
        owner = Owner.parse(box["Labels"].get(LABEL, "")) if box is not None else None
        if box is not None and owner is not None and owner.here and not owner.alive:
            engine.remove(str(box["Id"]))
        elif time.monotonic() > deadline:
            raise InfrastructureError(
                f"somebody else ({owner}) has been installing {recipe.title} on this engine for {TIMEOUT / 60:g} "
                f"minutes; if that process is gone, remove its container: `docker rm -f {name}`, `trajhub clean --all`"
            )
        else:
            tell("another process installs it")
            time.sleep(_ASK_EVERY)


def _taken(error: SandboxLost) -> bool:
    """Whether the engine refused a container since another has its name."""
    return getattr(error.__cause__, "status_code", None) == 409 or "already in use" in str(error)


def _holder(engine: Engine, name: str) -> dict[str, Any] | None:
    return next((box for box in engine.containers() if f"/{name}" in box["Names"]), None)
