"""Resources as metrics: what each step, sample and episode spent, under the names of the semantic conventions."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..events import SandboxMetricEvent
from .otlp_parts import point
from .parts import compact, nanos

__all__ = ["metrics_of"]


class _Metric(NamedTuple):
    name: str
    unit: str
    kind: str
    """`sum`: spent since the beginning of the interval; `gauge`: as it was at its end."""
    attributes: Mapping[str, str] = {}


_METRICS: Mapping[str, _Metric] = {
    "wall_ms": _Metric("trajhub.wall_time", "ms", "gauge"),
    "cpu_user_s": _Metric("container.cpu.time", "s", "sum", {"cpu.mode": "user"}),
    "cpu_system_s": _Metric("container.cpu.time", "s", "sum", {"cpu.mode": "system"}),
    "cpu_s": _Metric("trajhub.container.cpu.total_time", "s", "sum"),
    "memory_peak_bytes": _Metric("trajhub.container.memory.peak", "By", "gauge"),
    "memory_bytes": _Metric("container.memory.usage", "By", "gauge"),
    "io_read_bytes": _Metric("container.disk.io", "By", "sum", {"disk.io.direction": "read"}),
    "io_write_bytes": _Metric("container.disk.io", "By", "sum", {"disk.io.direction": "write"}),
    "net_rx_bytes": _Metric("container.network.io", "By", "sum", {"network.io.direction": "receive"}),
    "net_tx_bytes": _Metric("container.network.io", "By", "sum", {"network.io.direction": "transmit"}),
    "energy_j": _Metric("trajhub.energy", "J", "sum"),
    "pids": _Metric("trajhub.container.processes", "{process}", "gauge"),
    "oom_kills": _Metric("trajhub.container.oom_kills", "{kill}", "sum"),
    "pressure_cpu_us": _Metric("trajhub.container.pressure", "us", "sum", {"resource": "cpu"}),
    "pressure_memory_us": _Metric("trajhub.container.pressure", "us", "sum", {"resource": "memory"}),
    "pressure_io_us": _Metric("trajhub.container.pressure", "us", "sum", {"resource": "io"}),
}
_DELTA = 1


def metrics_of(events: Sequence[SandboxMetricEvent], episode_id: str) -> list[dict[str, Any]]:
    """The metrics of an episode, each with its points in the order of the log."""
    found: dict[str, tuple[_Metric, list[dict[str, Any]]]] = {}
    before: SandboxMetricEvent | None = None
    for event in events:
        sample = event.payload.scope == "sample"
        begun = before.t_end if sample and before is not None else event.t_start
        times = nanos(begun), nanos(event.t_end)
        for name, value, known in _values(event, episode_id):
            metric = _METRICS.get(name) or _Metric(f"trajhub.container.{name}", "1", "gauge")
            points = found.setdefault(metric.name, (metric, []))[1]
            points.append(point(times, value, {**metric.attributes, **known}))
        before = event if sample else before
    return [_told(metric, points) for metric, points in found.values()]


def _values(event: SandboxMetricEvent, episode_id: str) -> list[tuple[str, float | int, dict[str, Any]]]:
    """Field, figure and attributes, of all fields that hold a figure."""
    payload = event.payload
    sources = compact(payload.sources) if payload.sources else None
    known = {"trajhub.episode.id": episode_id, "trajhub.scope": payload.scope, "trajhub.step": payload.step}
    known |= {"trajhub.duration_ms": event.duration_ms, "trajhub.sources": sources}
    fields = payload.model_dump(exclude={"step", "scope", "sources"})
    return [
        (name, value, known)
        for name, value in fields.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]


def _told(metric: _Metric, points: list[dict[str, Any]]) -> dict[str, Any]:
    told: dict[str, Any] = {"name": metric.name, "unit": metric.unit}
    if metric.kind == "gauge":
        return told | {"gauge": {"dataPoints": points}}
    return told | {"sum": {"dataPoints": points, "aggregationTemporality": _DELTA, "isMonotonic": True}}
