"""Telemetry of a sandbox: from the host's view of its control group, else from inside through its own channel."""

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ..tools.base import Telemetry
from .cgroup import V1_FILES, V2_FILES, Account, Reading, host_account, parse_v1, parse_v2, whole
from .channel import Channel

__all__ = ["Meter", "merge"]

_INSIDE = "/sys/fs/cgroup"


class Meter:
    """Measures what happens in one sandbox between `start` and `stop`."""

    def __init__(self, pid: int, container_id: str, channel: Channel) -> None:
        self._account: Account | None = host_account(pid, container_id)
        self._channel = channel
        self._before = Reading()
        self._unread: Mapping[str, str | None] | None = None
        """What the files said when the measurement began, until `understand` is called."""
        self._peak_reset = False
        self._began = 0.0
        self.processes_denied = False
        """Whether the limit on processes was hit during the last measurement."""

    @property
    def on_host(self) -> bool:
        """Whether figures are read from this host's files and not from within the container."""
        return self._account is not None

    @property
    def pids(self) -> int | None:
        """Processes in the sandbox when the measurement began."""
        return self._before.pids if self._unread is None else whole(self._unread.get("pids"))

    def use_channel(self, channel: Channel) -> None:
        """The sandbox has a new channel."""
        self._channel = channel

    def start(self) -> None:
        """Begin a measurement."""
        self._peak_reset = self._account.reset_peak() if self._account else False
        if self._account:
            self._unread = self._account.texts(levels=False)
        else:
            self._before = self._read_inside()
        self._began = time.perf_counter()

    def understand(self) -> None:
        """Make figures of what was read at the start: best done while the command runs."""
        if self._account and self._unread is not None:
            self._before, self._unread = self._account.parse(self._unread), None

    def stop(self, io: tuple[int, int] | None = None, *, alive: bool = True) -> Telemetry:
        """End the measurement. `io` is what the command itself told of its reads and writes, used where the control
        group does not. With `alive=False` the container is gone and only the time is known.
        """
        wall_ms = (time.perf_counter() - self._began) * 1e3
        if not alive:
            return Telemetry(wall_ms=wall_ms)
        self.understand()
        after = self.read()
        self.processes_denied = bool(_minus_int(after.pids_denied, self._before.pids_denied))
        return self._difference(wall_ms, after, io)

    def read(self) -> Reading:
        """The counters, now."""
        return self._account.read() if self._account else self._read_inside()

    def close(self) -> None:
        """Release the files; idempotent."""
        if self._account:
            self._account.close()

    def _difference(self, wall_ms: float, after: Reading, io: tuple[int, int] | None) -> Telemetry:
        before, sources = self._before, dict(after.sources)
        read = _minus_int(after.io_read_bytes, before.io_read_bytes)
        written = _minus_int(after.io_write_bytes, before.io_write_bytes)
        if read is None and written is None and io is not None:
            (read, written), sources["io"] = io, "proc-self-io"
        if not self._peak_reset and after.memory_peak_bytes is not None:
            sources["memory_peak"] = f"{sources.get('memory', '')} since the sandbox began".strip()
        return Telemetry(
            wall_ms=wall_ms,
            cpu_s=_minus(after.cpu_s, before.cpu_s),
            cpu_user_s=_minus(after.cpu_user_s, before.cpu_user_s),
            cpu_system_s=_minus(after.cpu_system_s, before.cpu_system_s),
            memory_peak_bytes=after.memory_peak_bytes,
            memory_bytes=after.memory_bytes,
            io_read_bytes=read,
            io_write_bytes=written,
            net_rx_bytes=_minus_int(after.net_rx_bytes, before.net_rx_bytes),
            net_tx_bytes=_minus_int(after.net_tx_bytes, before.net_tx_bytes),
            pids=after.pids,
            oom_kills=_minus_int(after.oom_kills, before.oom_kills),
            pressure_cpu_us=_minus_int(after.pressure_cpu_us, before.pressure_cpu_us),
            pressure_memory_us=_minus_int(after.pressure_memory_us, before.pressure_memory_us),
            pressure_io_us=_minus_int(after.pressure_io_us, before.pressure_io_us),
            sources=sources,
        )

    def _read_inside(self) -> Reading:
        v1 = {name: f"{_INSIDE}/{controller}/{file}" for name, (controller, file) in V1_FILES.items()}
        v2 = {name: f"{_INSIDE}/{file}" for name, file in V2_FILES.items()}
        paths = [*v1.values(), *v2.values(), "/proc/net/dev"]
        found = _sections(self._channel.read_small_files(paths, timeout=10.0))
        net = found.get("/proc/net/dev")
        if v1["memory"] in found:
            files = {name: found.get(path) for name, path in v1.items()} | {"net": net}
            return parse_v1(files, "cgroup-v1-inside")
        files = {name: found.get(path) for name, path in v2.items()} | {"net": net}
        return parse_v2(files, "cgroup-v2-inside")


_ADDED = (
    "cpu_s cpu_user_s cpu_system_s io_read_bytes io_write_bytes net_rx_bytes net_tx_bytes oom_kills "
    "pressure_cpu_us pressure_memory_us pressure_io_us"
).split()


def merge(parts: Sequence[Telemetry]) -> Telemetry:
    """Several measurements as one: counts and times are added, the peak is the highest, levels are the last known."""
    if len(parts) == 1:
        return parts[0]
    sums = {name: _known_sum([getattr(part, name) for part in parts]) for name in _ADDED}
    peaks = [part.memory_peak_bytes for part in parts if part.memory_peak_bytes is not None]
    last = next((part for part in reversed(parts) if part.memory_bytes is not None), None)
    return Telemetry(
        wall_ms=sum(part.wall_ms for part in parts),
        memory_peak_bytes=max(peaks, default=None),
        memory_bytes=last.memory_bytes if last else None,
        pids=last.pids if last else None,
        sources=last.sources if last else {},
        **sums,
    )


def _known_sum(values: list[Any]) -> Any:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _sections(text: str) -> dict[str, str]:
    parts = re.split(r"^@(/.*)\n", text, flags=re.MULTILINE)[1:]
    return {path: body for path, body in zip(parts[::2], parts[1::2], strict=True) if body.strip()}


def _minus(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else round(max(after - before, 0.0), 9)


def _minus_int(after: int | None, before: int | None) -> int | None:
    return None if after is None or before is None else max(after - before, 0)
