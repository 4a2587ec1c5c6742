"""What an episode took of the machine."""

from collections.abc import Mapping, Sequence
from typing import Any

from .. import payloads
from .samples import Samples

__all__ = ["SPENT", "machine_of"]

SPENT = ("cpu_s", "io_read_bytes", "io_write_bytes", "net_rx_bytes", "net_tx_bytes")


def machine_of(
    end: payloads.EpisodeEnd | None,
    whole: payloads.SandboxMetric | None,
    samples: Samples,
    memory: Sequence[tuple[float, float]],
    steps: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """What the machine spent: as told of the whole, else by samples, else by steps."""
    found: dict[str, Any] = {}
    sampled = samples.totals()
    for name in SPENT:
        values = [row[name] for row in steps if row.get(name) is not None]
        found[name] = sampled.get(name, sum(values) if values else None)
        told = getattr(whole, name) if whole is not None else None
        found[name] = told if told is not None else found[name]
    if found["cpu_s"] is None and end is not None:
        found["cpu_s"] = end.cpu_s
    peaks = [row.get("memory_peak_bytes") for row in steps] + [row["memory_bytes"] for row in samples.rows]
    peaks += [end.memory_peak_bytes if end is not None else None]
    found["memory_peak_bytes"] = max((peak for peak in peaks if peak is not None), default=None)
    found["memory_mean_bytes"] = _mean(samples.memory() or memory)
    return found | {"energy_j": sampled.get("energy_j")}


def _mean(weighted: Sequence[tuple[float, float]]) -> float | None:
    weights = sum(weight for _, weight in weighted)
    if weights > 0:
        return sum(value * weight for value, weight in weighted) / weights
    return sum(value for value, _ in weighted) / len(weighted) if weighted else None
