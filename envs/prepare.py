"""Images whose repository shows no future: each is looked at once, and committed anew when something had to go."""

import hashlib
import os
import threading
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..errors import SandboxLost
from .container import Container, SandboxConfig
from .engine import Engine

__all__ = ["AGENTS", "HOUSES", "PREPARED", "prepared_image"]

PREPARED = "trajhub/prepared"
"""Repository of the images this module commits."""
AGENTS = "trajhub/agent"
"""Repository of images of tasks with an agent in them, as earlier versions made them."""
HOUSES = "trajhub.agent"
"""Label of volumes that hold an agent (see `rollouts.agents.house`)."""
_SCRIPT = (files("trajectory_hub.envs") / "history.sh").read_text()
_VERSION = hashlib.sha256(_SCRIPT.encode()).hexdigest()[:12]
_TIMEOUT = 900.0
_locks: dict[str, threading.Lock] = {}
_locks_lock = threading.Lock()


def prepared_image(engine: Engine, config: SandboxConfig) -> str:
    """The id of the image to start: the one named when its history is clean, else a cleaned copy of it.

    The finding is remembered on disk by image id, base commit and version of the check. Raises ImageMissing.
    """
    image = engine.require_image(config.image)
    if not config.sanitize_history:
        return image
    key = hashlib.sha256(f"{image} {config.workdir} {config.base_commit} {_VERSION}".encode()).hexdigest()[:32]
    with _lock(key):
        note = _notes() / key
        if note.exists():
            return image
        cleaned = engine.image_id(f"{PREPARED}:{key}")
        return cleaned or _prepare(engine, config, image, key, note)


def _prepare(engine: Engine, config: SandboxConfig, image: str, key: str, note: Path) -> str:
    changes: dict[str, Any] = {"memory_mb": max(config.memory_mb, 2048), "volumes": {}}
    container = Container(engine, config.model_copy(update=changes), image)
    try:
        channel = container.open_channel()
        script = f"set -- '{config.workdir}' '{config.base_commit or ''}'\n{_SCRIPT}"
        reply = channel.command(script.encode(), 10_000)
        if not channel.wait(reply, _TIMEOUT) or reply.status != "0":
            raise SandboxLost(f"cannot clean the history of {config.image} in {_TIMEOUT:g} s: {reply.output.value()!r}")
        channel.close()
        if reply.output.value().split()[-1:] == [b"changed"]:
            return container.commit(PREPARED, key)
    finally:
        container.remove()
    note.parent.mkdir(parents=True, exist_ok=True)
    note.touch()
    return image


def _notes() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "trajhub" / "clean-images"


def _lock(key: str) -> threading.Lock:
    with _locks_lock:
        return _locks.setdefault(key, threading.Lock())
