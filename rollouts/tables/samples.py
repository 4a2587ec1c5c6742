"""The samples of an episode: what the machine was at, about once a second, whatever the agent did meanwhile."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..events import SandboxMetricEvent
from .clock import micros

__all__ = ["Samples"]

_SUMS = ("cpu_s", "io_read_bytes", "io_write_bytes", "net_rx_bytes", "net_tx_bytes", "energy_j")


class Samples:
    """Follows one episode's samples."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._before: datetime | None = None

    def take(self, event: SandboxMetricEvent) -> None:
        """One sample."""
        metric, more = event.payload, event.payload.model_extra or {}
        span = metric.wall_ms / 1000 if metric.wall_ms else self._since(event.t_end)
        self._before = event.t_end
        percent, spent = _figure(more.get("cpu_percent")), metric.cpu_s
        if percent is None and spent is not None and span:
            percent = spent / span * 100
        elif spent is None and percent is not None and span:
            spent = percent / 100 * span
        self.rows.append(
            {
                "t": event.t_end,
                "step": metric.step,
                "cpu_pct": percent,
                "cpu_s": spent,
                "memory_bytes": metric.memory_bytes,
                "io_read_bytes": metric.io_read_bytes,
                "io_write_bytes": metric.io_write_bytes,
                "net_rx_bytes": metric.net_rx_bytes,
                "net_tx_bytes": metric.net_tx_bytes,
                "pids": metric.pids,
                "power_w": metric.power_w,
                "energy_j": metric.energy_j,
            }
        )

    def _since(self, now: datetime) -> float | None:
        return (now - self._before).total_seconds() if self._before is not None and now > self._before else None

    def totals(self) -> Mapping[str, Any]:
        """What was spent in all, of figures that some sample has."""
        known = {name: [row[name] for row in self.rows if row[name] is not None] for name in _SUMS}
        return {name: sum(values) for name, values in known.items() if values}

    def memory(self) -> list[tuple[float, float]]:
        """Memory in use, and for how many seconds it was taken to be that: until the next sample."""
        held = [(micros(row["t"]), row["memory_bytes"]) for row in self.rows if row["memory_bytes"] is not None]
        ends = [moment for moment, _ in (*held[1:], *held[-1:])]
        return [(float(size), (end - begin) / 1e6) for (begin, size), end in zip(held, ends, strict=True)]

    def place(self, steps: list[dict[str, Any]]) -> None:
        """Name the step during which each sample was taken, where the log does not."""
        spans = [(row["t_start"], row["t_end"], row["step"]) for row in steps if row.get("t_start") is not None]
        spans.sort()
        index = 0
        for row in sorted(self.rows, key=_moment):
            while index < len(spans) and spans[index][1] < row["t"]:
                index += 1
            if row["step"] is None and index < len(spans) and spans[index][0] <= row["t"]:
                row["step"] = spans[index][2]


def _moment(row: Mapping[str, Any]) -> datetime:
    return row["t"]


def _figure(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
