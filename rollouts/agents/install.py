"""An agent's install step: a script with network, as root, in a system of the agent's own (see `house`).

Where packages come from is told to this step by this host's settings, and nothing of them is kept.
"""

import os
import re
import shlex
import ssl
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from ...envs.channel import Channel
from ...errors import DiskFull, InfrastructureError
from .recipe import Recipe

__all__ = ["FOLDER", "TIMEOUT", "TOOLS", "install", "run", "version_of"]

FOLDER = "/opt/trajhub-agent"
"""Where an agent is, in the system in which it is installed and in sandboxes."""
TIMEOUT = 1800.0
"""Seconds that the step may take."""
_SCRIPTS = files("trajectory_hub.rollouts.agents")
TOOLS: Mapping[str, str] = {
    name: (_SCRIPTS / f"{name.replace('-', '_')}.sh").read_text("utf-8")
    for name in ("portable-program", "portable-python", "portable-node")
}
"""Commands that an install step finds, by name."""
_BIN = "/usr/local/bin"
_CERTIFICATES = "/tmp/.trajhub-ca.crt"
_FROM_HOST = (
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_DEFAULT_TIMEOUT", "UV_INDEX_URL", "NPM_CONFIG_REGISTRY"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)
"""Settings of this host that say where packages come from."""
_TRUST = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO")


def install(channel: Channel, recipe: Recipe, image: str) -> str:
    """Carry out the recipe's install step; the version that the agent then tells.

    Raises InfrastructureError with the end of the step's output, and DiskFull.
    """
    doing = f"installing {recipe.title} {recipe.version} in {image}"
    bundle = _certificates()
    if bundle is not None:
        channel.wait(channel.store(_CERTIFICATES.encode(), bundle), 60.0)
    for name, text in TOOLS.items():
        channel.wait(channel.store(f"{_BIN}/{name}".encode(), text.encode()), 60.0)
    run(channel, f"cd {_BIN} && chmod +x {' '.join(TOOLS)}", doing)
    settings = _settings(trusted=bundle is not None)
    script = f"set -e\n{settings}\nexport TRAJHUB_VERSION={shlex.quote(recipe.version)}\n{recipe.install}\n"
    run(channel, script, doing, "; correct the recipe's `install` or `version` (-c agent.recipe.version=...)")
    if not run(channel, f"find {FOLDER} -mindepth 1 | head -n 1", doing):
        raise InfrastructureError(
            f"{doing} left nothing in {FOLDER}, and that folder alone comes into sandboxes: let the recipe's `install` "
            "put there what the agent needs (`portable-python` and `portable-node` do; see docs/agents.md)"
        )
    return version_of(channel, recipe)


def run(channel: Channel, script: str, doing: str, advice: str = "") -> str:
    """Run a script that has to succeed; its output. Raises InfrastructureError, and DiskFull."""
    reply = channel.command(script.encode(), 20_000)
    done = channel.wait(reply, TIMEOUT)
    told = reply.output.value().decode("utf-8", "replace")
    if done and reply.status == "0":
        return told
    reply.abandon()
    if "no space left on device" in told.lower():
        raise DiskFull(
            f"no space left on the engine's disk while {doing}: make room (`trajhub clean --images` removes what runs "
            f"can make anew) and run it again. The output ends\n{told[-1000:]}"
        )
    why = f"failed with status {reply.status}" if done else f"did not end within {TIMEOUT:g} s"
    raise InfrastructureError(f"{doing} {why}{advice}. The output ends\n{told[-3000:]}")


def version_of(channel: Channel, recipe: Recipe) -> str:
    """The first thing that looks like a version in what the recipe's `version_command` prints; else the recipe's."""
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
