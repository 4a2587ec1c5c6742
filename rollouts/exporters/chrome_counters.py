"""Resources as counter tracks: figures as they were, and what was spent as a rate."""

from collections.abc import Mapping
from typing import Any

from ..events import SandboxMetricEvent
from .parts import micros
from .story import Story

__all__ = ["counters_of"]

_COUNTERS: tuple[tuple[str, str, Mapping[str, str]], ...] = (
    ("CPU", "cores", {"user": "cpu_user_s", "system": "cpu_system_s"}),
    ("CPU in all", "cores", {"used": "cpu_s"}),
    ("memory", "bytes", {"now": "memory_bytes", "peak": "memory_peak_bytes"}),
    ("disk", "bytes/s", {"read": "io_read_bytes", "written": "io_write_bytes"}),
    ("network", "bytes/s", {"received": "net_rx_bytes", "sent": "net_tx_bytes"}),
    ("processes", "number", {"processes": "pids"}),
    ("OOM kills", "number", {"kills": "oom_kills"}),
    ("GPU", "W", {"used": "energy_j"}),
    ("pressure", "us/s", {"cpu": "pressure_cpu_us", "memory": "pressure_memory_us", "io": "pressure_io_us"}),
)
"""Track, unit, and the field of each of its series."""


_TOLD = {"step", "wall_ms", *(key for _, _, series in _COUNTERS for key in series.values())}


def counters_of(story: Story, pid: int) -> list[dict[str, Any]]:
    """A point a sample and a step; what an episode spent in all has no point."""
    told, sampled = list[dict[str, Any]](), None
    for event in story.events:
        if not isinstance(event, SandboxMetricEvent) or event.payload.scope == "episode":
            continue
        sample = event.payload.scope == "sample"
        begun = sampled if sample and sampled is not None else micros(event.t_start)
        told += _points(event, begun, pid)
        sampled = micros(event.t_end) if sample else sampled
    return told


def _points(event: SandboxMetricEvent, begun: int, pid: int) -> list[dict[str, Any]]:
    over, known = micros(event.t_end), event.payload.model_dump()
    seconds = (known.get("wall_ms") or (over - begun) / 1000) / 1000
    told = list[dict[str, Any]]()
    for track, unit, series in _COUNTERS:
        found = {name: known[key] for name, key in series.items() if isinstance(known.get(key), int | float)}
        if unit.endswith("/s") or unit in ("cores", "W"):
            found = {name: value / seconds for name, value in found.items()} if seconds > 0 else {}
        if found:
            name = f"{track} ({unit})" + (" sampled" if event.payload.scope == "sample" else "")
            told.append(_counter(name, pid, over, found))
    for key in sorted(known.keys() - _TOLD):
        if isinstance(known[key], int | float) and not isinstance(known[key], bool):
            told.append(_counter(key, pid, over, {key: known[key]}))
    return told


def _counter(name: str, pid: int, at: int, found: Mapping[str, float]) -> dict[str, Any]:
    return {"ph": "C", "name": name, "pid": pid, "tid": 0, "ts": at, "args": dict(found)}
