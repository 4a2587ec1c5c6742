"""Where the kernel keeps a container's accounts, and how each figure is read from there.

Files and units: https://docs.kernel.org/admin-guide/cgroup-v1/ (memory.rst, cpuacct.rst, pids.rst) and
https://docs.kernel.org/admin-guide/cgroup-v2.html. IO is summed over `/proc/<pid>/io` where control groups v1 are
used, because `blkio` counts nothing on many of those hosts: a parent inherits the counts of the children it reaped,
so the sum over the living processes of a container is what it did so far.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

__all__ = ["Account", "CGroupV1", "CGroupV2", "Reading", "host_account", "parse_v1", "parse_v2", "whole"]

_CGROUP = Path("/sys/fs/cgroup")


@dataclass(slots=True, kw_only=True)
class Reading:
    """Counters of a container since its start; None where a figure cannot be read. Seconds, bytes, microseconds."""

    cpu_s: float | None = None
    cpu_user_s: float | None = None
    cpu_system_s: float | None = None
    memory_bytes: int | None = None
    memory_peak_bytes: int | None = None
    pids: int | None = None
    pids_denied: int | None = None
    oom_kills: int | None = None
    io_read_bytes: int | None = None
    io_write_bytes: int | None = None
    net_rx_bytes: int | None = None
    net_tx_bytes: int | None = None
    pressure_cpu_us: int | None = None
    pressure_memory_us: int | None = None
    pressure_io_us: int | None = None
    sources: Mapping[str, str] = field(default_factory=dict[str, str])


def _keyed(text: str | None, key: str) -> int | None:
    for line in text.split("\n") if text else ():
        name, _, value = line.partition(" ")
        if name == key:
            return whole(value)
    return None


def whole(text: str | None) -> int | None:
    """The figure of a file that holds one; None for `max`."""
    try:
        return int(text) if text else None
    except ValueError:
        return None


def _scaled(value: int | None, unit: float) -> float | None:
    return None if value is None else value * unit


def _stalled(text: str | None) -> int | None:
    match = re.search(r"^some .*total=(\d+)$", text, re.MULTILINE) if text else None
    return int(match[1]) if match else None


def _io_v2(text: str | None, key: str) -> int | None:
    found = re.findall(rf"\b{key}=(\d+)", text) if text is not None else []
    return sum(map(int, found)) if text is not None else None


def network(text: str | None) -> tuple[int | None, int | None]:
    """Received and sent bytes of `/proc/<pid>/net/dev`, without the loopback device."""
    if not text:
        return None, None
    received = sent = 0
    for line in text.split("\n")[2:]:
        name, _, values = line.partition(":")
        if values and name.strip() != "lo":
            fields = values.split()
            received, sent = received + int(fields[0]), sent + int(fields[8])
    return received, sent


def parse_v1(files: Mapping[str, str | None], where: str) -> Reading:
    """A reading from files of control groups v1. `where` names the reader, for example `cgroup-v1`."""
    rx, tx = network(files.get("net"))
    return Reading(
        cpu_s=_scaled(whole(files.get("cpu")), 1e-9),
        cpu_user_s=_scaled(whole(files.get("cpu_user")), 1e-9),
        cpu_system_s=_scaled(whole(files.get("cpu_system")), 1e-9),
        memory_bytes=whole(files.get("memory")),
        memory_peak_bytes=whole(files.get("memory_peak")),
        pids=whole(files.get("pids")),
        pids_denied=_keyed(files.get("pids_events"), "max"),
        oom_kills=_keyed(files.get("memory_events"), "oom_kill"),
        net_rx_bytes=rx,
        net_tx_bytes=tx,
        sources={"cpu": where, "memory": where, "pids": where, "net": "proc-net-dev"},
    )


def parse_v2(files: Mapping[str, str | None], where: str) -> Reading:
    """A reading from files of control groups v2. `where` names the reader, for example `cgroup-v2`."""
    rx, tx = network(files.get("net"))
    return Reading(
        cpu_s=_scaled(_keyed(files.get("cpu"), "usage_usec"), 1e-6),
        cpu_user_s=_scaled(_keyed(files.get("cpu"), "user_usec"), 1e-6),
        cpu_system_s=_scaled(_keyed(files.get("cpu"), "system_usec"), 1e-6),
        memory_bytes=whole(files.get("memory")),
        memory_peak_bytes=whole(files.get("memory_peak")),
        pids=whole(files.get("pids")),
        pids_denied=_keyed(files.get("pids_events"), "max"),
        oom_kills=_keyed(files.get("memory_events"), "oom_kill"),
        io_read_bytes=_io_v2(files.get("io"), "rbytes"),
        io_write_bytes=_io_v2(files.get("io"), "wbytes"),
        net_rx_bytes=rx,
        net_tx_bytes=tx,
        pressure_cpu_us=_stalled(files.get("cpu_pressure")),
        pressure_memory_us=_stalled(files.get("memory_pressure")),
        pressure_io_us=_stalled(files.get("io_pressure")),
        sources={name: where for name in ("cpu", "memory", "pids", "io", "pressure")} | {"net": "proc-net-dev"},
    )


V1_FILES = {
    "cpu": ("cpuacct", "cpuacct.usage"),
    "cpu_user": ("cpuacct", "cpuacct.usage_user"),
    "cpu_system": ("cpuacct", "cpuacct.usage_sys"),
    "memory": ("memory", "memory.usage_in_bytes"),
    "memory_peak": ("memory", "memory.max_usage_in_bytes"),
    "memory_events": ("memory", "memory.oom_control"),
    "pids": ("pids", "pids.current"),
    "pids_events": ("pids", "pids.events"),
}
"""Name of a figure's file to (controller, file) under control groups v1."""

V2_FILES = {
    "cpu": "cpu.stat",
    "memory": "memory.current",
    "memory_peak": "memory.peak",
    "memory_events": "memory.events",
    "pids": "pids.current",
    "pids_events": "pids.events",
    "io": "io.stat",
    "cpu_pressure": "cpu.pressure",
    "memory_pressure": "memory.pressure",
    "io_pressure": "io.pressure",
}
"""Name of a figure's file to its name under control groups v2."""


_LEVELS = frozenset(("memory", "memory_peak"))


class Account:
    """The open files of one container's accounts on this host. Subclasses say where they lie."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._files = {name: fd for name, path in paths.items() if (fd := _open(path)) is not None}

    def read(self) -> Reading:
        """Every figure, now."""
        return self.parse(self.texts())

    def texts(self, *, levels: bool = True) -> dict[str, str | None]:
        """What the files say now, for `parse`; without `levels` only those that count what was spent."""
        return {name: _pread(fd) for name, fd in self._files.items() if levels or name not in _LEVELS}

    def parse(self, texts: Mapping[str, str | None]) -> Reading:
        """The figures that the files gave."""
        raise NotImplementedError

    def reset_peak(self) -> bool:
        """Begin a new measurement of the memory peak; False where the kernel does not allow it."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the files; idempotent."""
        for fd in self._files.values():
            os.close(fd)
        self._files.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class CGroupV1(Account):
    """Accounts under control groups v1."""

    def __init__(self, groups: Mapping[str, str], pid: int) -> None:
        paths = {
            name: _CGROUP / controller / groups[controller].lstrip("/") / file
            for name, (controller, file) in V1_FILES.items()
            if controller in groups
        }
        self._peak = _open(paths["memory_peak"], os.O_WRONLY) if "memory_peak" in paths else None
        super().__init__(paths | {"net": Path(f"/proc/{pid}/net/dev")})

    def parse(self, texts: Mapping[str, str | None]) -> Reading:
        return parse_v1(texts, "cgroup-v1")

    def reset_peak(self) -> bool:
        return self._peak is not None and _write(self._peak, b"0")

    def close(self) -> None:
        if self._peak is not None:
            os.close(self._peak)
            self._peak = None
        super().close()


class CGroupV2(Account):
    """Accounts under control groups v2."""

    def __init__(self, group: str, pid: int) -> None:
        folder = _CGROUP / group.lstrip("/")
        paths = {name: folder / file for name, file in V2_FILES.items()}
        super().__init__(paths | {"net": Path(f"/proc/{pid}/net/dev")})
        # Since Linux 6.12 a write resets the peak as seen through that descriptor only.
        peak = _open(folder / "memory.peak", os.O_RDWR)
        if peak is not None:
            if "memory_peak" in self._files:
                os.close(self._files["memory_peak"])
            self._files["memory_peak"] = peak

    def parse(self, texts: Mapping[str, str | None]) -> Reading:
        return parse_v2(texts, "cgroup-v2")

    def reset_peak(self) -> bool:
        return "memory_peak" in self._files and _write(self._files["memory_peak"], b"1")


def host_account(pid: int, container_id: str) -> Account | None:
    """The accounts of the container whose first process is `pid` on this host; None when they are not visible here
    (a remote daemon, a virtual machine, another user's namespace).
    """
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return None
    groups = {name: path for _, names, path in (line.split(":", 2) for line in lines) for name in names.split(",")}
    if not any(container_id in path for path in groups.values()):
        return None
    if "memory" in groups:
        return CGroupV1(groups, pid)
    return CGroupV2(groups[""], pid) if "" in groups else None


def _open(path: Path, flags: int = os.O_RDONLY) -> int | None:
    try:
        return os.open(path, flags | os.O_CLOEXEC)
    except OSError:
        return None


def _pread(fd: int) -> str | None:
    try:
        return os.pread(fd, 8192, 0).decode()
    except OSError:
        return None


def _write(fd: int, data: bytes) -> bool:
    try:
        os.write(fd, data)
    except OSError:
        return False
    return True
