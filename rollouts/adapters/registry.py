"""Which adapters there are: ours, and those that installed packages declare under `trajectory_hub.adapters`.

One that cannot be loaded is named and left out; it takes nothing else down.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from ...errors import TrajHubError, UsageError
from .base import Adapter, Sample

__all__ = ["BUILTIN", "FAULTS", "GROUP", "Registry", "adapters", "companions_of", "sample_of"]

GROUP = "trajectory_hub.adapters"
"""The entry-point group."""

_HERE = "trajectory_hub.rollouts.adapters"
BUILTIN: Mapping[str, str] = {
    "agent-trace": f"{_HERE}.agent_trace:ADAPTER",
    "agentcgroup": f"{_HERE}.agentcgroup:ADAPTER",
    "atif": f"{_HERE}.atif:ADAPTER",
    "claude-code": f"{_HERE}.claude_code:ADAPTER",
    "codex": f"{_HERE}.codex:ADAPTER",
    "mini-swe-agent": f"{_HERE}.mini_swe_agent:ADAPTER",
    "nebius-openhands": f"{_HERE}.nebius_openhands:ADAPTER",
    "nebius-swe-agent": f"{_HERE}.nebius_swe_agent:ADAPTER",
    "openhands": f"{_HERE}.openhands:ADAPTER",
    "openhands-sdk": f"{_HERE}.openhands_sdk:ADAPTER",
    "swe-agent": f"{_HERE}.swe_agent:ADAPTER",
    "swe-bench": f"{_HERE}.swe_bench:ADAPTER",
    "tracelab": f"{_HERE}.tracelab:ADAPTER",
}
"""Ours, as `pyproject.toml` declares them: a checkout that is not installed has no entry points."""

FAULTS = (
    TrajHubError,
    ImportError,
    AttributeError,
    NameError,
    TypeError,
    ValueError,
    LookupError,
    ArithmeticError,
    AssertionError,
    OSError,
    RuntimeError,
    SyntaxError,
)
"""What code of others raises when it does not work."""

_HEAD = 1 << 16
_SURE = 0.5
_MARGIN = 0.1


@dataclass(frozen=True, slots=True)
class Registry:
    """The adapters that can be used."""

    adapters: Mapping[str, Adapter]
    """By name."""
    broken: Mapping[str, str] = field(default_factory=dict[str, str])
    """Why one cannot be used, by the name of its entry point."""

    def get(self, name: str) -> Adapter:
        """The adapter of that name. Raises UsageError that names those there are."""
        if name in self.adapters:
            return self.adapters[name]
        if name in self.broken:
            raise UsageError(f"the adapter {name} cannot be used: {self.broken[name]}")
        raise UsageError(f"there is no format {name!r}; there are {', '.join(sorted(self.adapters))}")

    def scores(self, sample: Sample) -> dict[str, float]:
        """How sure each adapter is that it knows a source; those that do not know it are left out."""
        found = {name: _score(adapter, sample) for name, adapter in sorted(self.adapters.items())}
        return {name: score for name, score in found.items() if score > 0}

    def recognise(self, sample: Sample) -> list[str]:
        """The formats that a source may be of: none, the one it is, or those that cannot be told apart."""
        scores = {name: score for name, score in self.scores(sample).items() if score >= _SURE}
        best = max(scores.values(), default=0.0)
        return [name for name, score in scores.items() if score > best - _MARGIN]


@cache
def adapters() -> Registry:
    """All adapters, loaded once a process."""
    found = dict[str, Adapter]()
    broken = dict[str, str]()
    for name, value in BUILTIN.items():
        _take(name, lambda value=value: _load(value), found, broken)
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        if BUILTIN.get(entry.name) == entry.value:
            continue
        if entry.name in found:
            broken[f"{entry.name} ({entry.value})"] = "another adapter has that name already"
            continue
        _take(entry.name, entry.load, found, broken)
    return Registry(found, broken)


def _load(value: str) -> Any:
    module, _, attribute = value.partition(":")
    own = __name__.removesuffix(".rollouts.adapters.registry")
    return getattr(import_module(module.replace("trajectory_hub", own, 1)), attribute)


def _take(name: str, load: Callable[[], Any], found: dict[str, Adapter], broken: dict[str, str]) -> None:
    try:
        adapter = load()
    except FAULTS as error:
        broken[name] = f"{type(error).__name__}: {error}"
        return
    if isinstance(adapter, type):
        broken[name] = "its entry point names a class; it must name an instance"
    elif not isinstance(adapter, Adapter):
        wanted = ("name", "version", "title", "recognise", "episodes")
        lacks = ", ".join(part for part in wanted if not hasattr(adapter, part))
        broken[name] = f"it is no adapter: it lacks {lacks}"
    elif adapter.name != name:
        broken[name] = f"it calls itself {adapter.name!r}; the entry point must have the same name"
    else:
        found[name] = adapter


def _score(adapter: Adapter, sample: Sample) -> float:
    try:
        return float(adapter.recognise(sample))
    except FAULTS:
        return 0.0


def sample_of(path: Path) -> Sample:
    """What adapters see of a file or folder. Raises UsageError when it cannot be read."""
    try:
        if path.is_dir():
            return Sample(path=path, head=b"", names=frozenset(child.name for child in path.iterdir()))
        with path.open("rb") as file:
            return Sample(path=path, head=file.read(_HEAD))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None


def companions_of(adapter: Adapter, path: Path) -> list[Path]:
    """Files that an adapter reads along with a source."""
    method: Callable[[Path], Iterable[Path]] | None = getattr(adapter, "companions", None)
    return sorted(method(path)) if method is not None else []
