"""Which adapters there are: ours, and those that installed packages declare under `trajectory_hub.adapters`."""

import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path

from ...errors import UsageError
from ..plugins import FAULTS, Plugins, load_plugins
from .base import Adapter, Names, Sample

__all__ = ["BUILTIN", "GROUP", "Registry", "adapters", "companions_of", "sample_of"]

GROUP = "trajectory_hub.adapters"
"""The entry-point group."""

_HERE = "trajectory_hub.rollouts.adapters"
BUILTIN: Mapping[str, str] = {
    "agent-trace": f"{_HERE}.agent_trace:ADAPTER",
    "agentcgroup": f"{_HERE}.agentcgroup:ADAPTER",
    "atif": f"{_HERE}.atif:ADAPTER",
    "claude-code": f"{_HERE}.claude_code:ADAPTER",
    "codex": f"{_HERE}.codex:ADAPTER",
    "gemini-cli": f"{_HERE}.gemini_cli:ADAPTER",
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

_PARTS = ("name", "version", "title", "recognise", "episodes")
_HEAD = 1 << 16
_SURE = 0.5
_MARGIN = 0.1


class Registry(Plugins[Adapter]):
    """The adapters that can be used."""

    @property
    def adapters(self) -> Mapping[str, Adapter]:
        """By name."""
        return self.found

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
    return Registry(*load_plugins("adapter", GROUP, BUILTIN, Adapter, _PARTS))


def _score(adapter: Adapter, sample: Sample) -> float:
    try:
        return float(adapter.recognise(sample))
    except FAULTS:
        return 0.0


def sample_of(path: Path) -> Sample:
    """What adapters see of a file or folder. Raises UsageError when it cannot be read."""
    try:
        if path.is_dir():
            os.scandir(path).close()
            return Sample(path=path, head=b"", names=Names(path))
        with path.open("rb") as file:
            return Sample(path=path, head=file.read(_HEAD))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None


def companions_of(adapter: Adapter, path: Path) -> list[Path]:
    """Files that an adapter reads along with a source."""
    method: Callable[[Path], Iterable[Path]] | None = getattr(adapter, "companions", None)
    return sorted(method(path)) if method is not None else []
