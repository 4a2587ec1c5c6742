"""Images that hold an agent: its install step, done once for each task's image, with network, and kept.

A run itself has no network. What is installed is a function of the recipe's install step, its version and the image it
is installed upon; the image that comes of it is named after the three, labelled, and removed by `trajhub clean
--images`. An agent with a house is installed there instead, once, and carried into each task's image.
"""

import hashlib
import os
import re
import shlex
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...envs.channel import Channel
from ...envs.container import Container, SandboxConfig
from ...envs.engine import Engine, engine_errors
from ...envs.prepare import AGENTS
from ...errors import ImageMissing
from .house import PORTABLE_PYTHON, PORTABLE_PYTHON_PATH, build_house, carry
from .recipe import Recipe

__all__ = ["Installed", "ensure_installed", "image_name"]

_LABEL, _VERSION_LABEL, _BASE_LABEL = "trajhub.agent", "trajhub.agent.version", "trajhub.agent.base"
_TIMEOUT = 1800.0
_MEMORY_MB = 4096
_DISK_MB = 8192
_CERTIFICATES = "/tmp/.trajhub-ca.crt"
_FROM_HOST = (
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_DEFAULT_TIMEOUT", "UV_INDEX_URL", "NPM_CONFIG_REGISTRY"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)
"""Settings of this host that say where packages come from; none of them is left in the image."""
_TRUST = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO")
_locks: dict[str, threading.Lock] = {}
_locks_lock = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """An image that holds an agent."""

    image: str
    """Its name."""
    version: str
    """What the agent says its version is; the recipe's where it says nothing."""


def image_name(recipe: Recipe, base_id: str) -> str:
    """The name of the image that holds the agent on top of the image with that id."""
    housed = (recipe.house.model_dump_json(), PORTABLE_PYTHON) if recipe.house is not None else ()
    told = "\0".join((recipe.install, recipe.version, recipe.version_command, base_id, *housed))
    return f"{AGENTS}:{recipe.name}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def ensure_installed(engine: Engine, recipe: Recipe, image: str) -> Installed:
    """The image with the agent on top of a task's `image`, made when this engine lacks it.

    Raises ImageMissing with the end of the install step's output when that fails.
    """
    base = engine.require_image(image)
    name = image_name(recipe, base)
    with _lock(name):
        if not engine.has_image(name):
            if recipe.house is None:
                _install(engine, recipe, image, base, name)
            else:
                house = _ensure_house(engine, recipe)
                labels = {**_labels(engine, house), _BASE_LABEL: base}
                carry(engine, house, image, name, {key: labels[key] for key in (_LABEL, _VERSION_LABEL, _BASE_LABEL)})
    return Installed(image=name, version=_labels(engine, name).get(_VERSION_LABEL) or recipe.version or "unknown")


def _ensure_house(engine: Engine, recipe: Recipe) -> str:
    """The image in which the agent was installed for the images of all tasks."""
    assert recipe.house is not None
    image = build_house(engine, recipe.house)
    base = engine.require_image(image)
    name = image_name(recipe, base)
    with _lock(name):
        if not engine.has_image(name):
            _install(engine, recipe, image, base, name)
    return name


def _labels(engine: Engine, image: str) -> dict[str, str]:
    with engine_errors(f"looking up image {image}"):
        return engine.api.inspect_image(image)["Config"].get("Labels") or {}


def _install(engine: Engine, recipe: Recipe, image: str, base: str, name: str) -> None:
    config = SandboxConfig(
        image=image, workdir="/", network=bool(recipe.install), memory_mb=_MEMORY_MB, disk_mb=_DISK_MB
    )
    container = Container(engine, config, base)
    try:
        channel = container.open_channel()
        try:
            _do(channel, recipe, image)
            version = _version(channel, recipe)
        finally:
            channel.close()
        repository, _, tag = name.partition(":")
        labels = {_LABEL: recipe.name, _VERSION_LABEL: version, _BASE_LABEL: base}
        container.commit(repository, tag, labels)
    finally:
        container.remove()


def _do(channel: Channel, recipe: Recipe, image: str) -> None:
    if not recipe.install:
        return
    bundle = _certificates()
    if bundle is not None:
        channel.wait(channel.store(_CERTIFICATES.encode(), bundle), 60.0)
    if recipe.house is not None:
        channel.wait(channel.store(PORTABLE_PYTHON_PATH.encode(), PORTABLE_PYTHON.encode()), 60.0)
        channel.wait(channel.command(f"chmod +x {PORTABLE_PYTHON_PATH}".encode(), 1000), 60.0)
    script = f"set -e\n{_settings(trusted=bundle is not None)}\nexport TRAJHUB_VERSION={shlex.quote(recipe.version)}\n"
    reply = channel.command((script + recipe.install + f"\nrm -f {_CERTIFICATES}\n").encode(), 20_000)
    if not channel.wait(reply, _TIMEOUT) or reply.status != "0":
        reply.abandon()
        told = reply.output.value().decode("utf-8", "replace")[-3000:]
        why = f"failed with status {reply.status}" if reply.status else f"did not end within {_TIMEOUT:g} s"
        raise ImageMissing(
            f"installing {recipe.title} upon {image} {why}; correct the recipe's `install`. Its output ends\n{told}"
        )


def _version(channel: Channel, recipe: Recipe) -> str:
    if not recipe.version_command:
        return recipe.version
    reply = channel.command(recipe.version_command.encode(), 4000)
    channel.wait(reply, 120.0)
    found = re.search(r"\d+(\.\d+)+[\w.+-]*", reply.output.value().decode("utf-8", "replace"))
    return found[0] if found else recipe.version


def _settings(*, trusted: bool) -> str:
    known = {name: os.environ[name] for name in _FROM_HOST if name in os.environ}
    known |= dict.fromkeys(_TRUST, _CERTIFICATES) if trusted else {}
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in known.items())


def _certificates() -> bytes | None:
    """The certificates that this host trusts: a registry behind a company's proxy is trusted no further than here."""
    paths: Any = ssl.get_default_verify_paths()
    for path in (os.environ.get("SSL_CERT_FILE"), paths.cafile, "/etc/ssl/certs/ca-certificates.crt"):
        if path and Path(path).is_file():
            return Path(path).read_bytes()
    return None


def _lock(key: str) -> threading.Lock:
    with _locks_lock:
        return _locks.setdefault(key, threading.Lock())
