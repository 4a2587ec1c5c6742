"""From what a user types after `--policy` to a policy."""

from importlib import import_module
from pathlib import Path
from typing import TypeVar, cast

from ...errors import ConfigError
from ...rewards.service.config import ServiceConfig
from ..llm import ChatConfig, VllmConfig
from .base import Policy

__all__ = ["POLICIES", "make_policy", "resolve_chat", "resolve_vllm"]

Settings = TypeVar("Settings", bound=ServiceConfig)

POLICIES = (
    "reference",
    "random",
    "scripted:FILE.yaml",
    "chat:MODEL@URL",
    "vllm:MODEL@URL",
    "package.module:factory",
)
"""What `--policy` understands; a factory is called without arguments and gives a `Policy`."""


def resolve_chat(spec: str, chat: ChatConfig) -> ChatConfig:
    """`chat` with the model and URL that the policy's name holds."""
    return _addressed("chat", spec, chat)


def resolve_vllm(spec: str, vllm: VllmConfig) -> VllmConfig:
    """`vllm` with the model and URL that the policy's name holds."""
    return _addressed("vllm", spec, vllm)


def _addressed(wanted: str, spec: str, settings: Settings) -> Settings:
    kind, _, rest = spec.partition(":")
    if kind != wanted or not rest:
        return settings
    model, _, url = rest.rpartition("@")
    if not model or not url.startswith(("http://", "https://")):
        raise ConfigError(
            f"policy {spec!r} should be {kind}:MODEL@URL, for example {kind}:my-model@http://127.0.0.1:8000/v1"
        )
    return type(settings).model_validate(settings.model_dump() | {"model": model, "base_url": url})


def make_policy(spec: str, chat: ChatConfig, vllm: VllmConfig | None = None) -> Policy:
    """The policy that `spec` names. Raises ConfigError."""
    kind, _, rest = spec.partition(":")
    if kind == "reference" and not rest:
        from .reference import ReferencePolicy

        return ReferencePolicy()
    if kind == "random" and not rest:
        from .random import RandomPolicy

        return RandomPolicy()
    if kind == "scripted" and rest:
        from .scripted import ScriptedPolicy

        return ScriptedPolicy.load(Path(rest))
    if kind == "chat":
        from .chat import ChatPolicy

        return ChatPolicy(resolve_chat(spec, chat))
    if kind == "vllm":
        from .vllm import VllmPolicy

        return VllmPolicy(resolve_vllm(spec, vllm or VllmConfig()))
    if "." in kind and rest.isidentifier():
        return _imported(kind, rest)
    raise ConfigError(f"unknown policy {spec!r}; known are {', '.join(POLICIES)}")


def _imported(module: str, name: str) -> Policy:
    try:
        return cast("Policy", getattr(import_module(module), name)())
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"cannot load the policy {module}:{name}: {error}") from error
