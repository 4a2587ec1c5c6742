"""Live telemetry: a container's control group read once a second while something runs in it.

A sample holds levels (memory, processes) at its moment and what was spent since the sample before. Where control groups
v1 are used, IO is summed over the container's processes, as `envs.cgroup` explains.
"""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Self

from ...envs.cgroup import Account, Reading, host_account
from ..adapters.base import Timed
from ..events import now
from ..payloads import SandboxMetric

__all__ = ["SAMPLES", "Sampler", "Sampling", "read_samples"]

SAMPLES = "samples.jsonl"
_SPENT = ("cpu_s", "cpu_user_s", "cpu_system_s", "net_rx_bytes", "net_tx_bytes", "oom_kills")
_PRESSURE = ("pressure_cpu_us", "pressure_memory_us", "pressure_io_us")


@dataclass(slots=True)
class Sampling:
    """What sampling an episode cost."""

    samples: int = 0
    seconds: float = 0.0
    """Time spent reading and writing samples."""
    span_s: float = 0.0
    """From the first sample to the last."""

    def as_dict(self) -> dict[str, float | int | None]:
        """For the log: milliseconds a sample, and the share of the time that went by."""
        mean = self.seconds / self.samples * 1e3 if self.samples else None
        share = self.seconds / self.span_s if self.span_s else None
        return {
            "samples": self.samples,
            "ms_per_sample": None if mean is None else round(mean, 4),
            "share_of_time": None if share is None else round(share, 8),
        }


@dataclass(slots=True)
class _State:
    moment: float
    reading: Reading
    io: tuple[int | None, int | None]


@dataclass(slots=True)
class Sampler:
    """Samples one container in a thread of its own, between `start` and `stop`; each sample is on disk at once."""

    pid: int
    container_id: str
    folder: Path
    every: float = 1.0
    cost: Sampling = field(default_factory=Sampling)
    samples: list[Timed] = field(default_factory=list[Timed])
    """What was sampled, as events."""
    _account: Account | None = None
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> Self:
        """Begin; without an account on this host (a remote engine) there are no samples."""
        self._account = host_account(self.pid, self.container_id)
        if self._account is not None:
            self._thread = threading.Thread(target=self._work, daemon=True, name="trajhub-sampler")
            self._thread.start()
        return self

    def stop(self) -> None:
        """Take a last sample and end; may be called again."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._account is not None:
            self._account.close()
            self._account = None

    def _work(self) -> None:
        account, procs = self._account, _processes(self.pid)
        if account is None:
            return
        with (self.folder / SAMPLES).open("a", encoding="utf-8") as out:
            began = time.monotonic()
            before = _State(began, account.read(), _io(procs))
            due, over = began + self.every, False
            while not over:
                over = self._over.wait(max(due - time.monotonic(), 0.0))
                due += self.every
                woke = time.perf_counter()
                after = _State(time.monotonic(), account.read(), _io(procs))
                sample = _sample(before, after)
                self.samples.append(Timed(payload=sample, t_start=(moment := now()), t_end=moment))
                line = {"t": moment.isoformat(timespec="microseconds"), **sample.model_dump(exclude_none=True)}
                out.write(json.dumps(line) + "\n")
                out.flush()
                before = after
                self.cost.samples += 1
                self.cost.seconds += time.perf_counter() - woke
            self.cost.span_s = time.monotonic() - began


def _sample(before: _State, after: _State) -> SandboxMetric:
    old, new = before.reading, after.reading
    names = (*_SPENT, *_PRESSURE)
    spent = {name: _minus(getattr(new, name), getattr(old, name)) for name in names}
    read, written = (_minus(b, a) for a, b in zip(before.io, after.io, strict=True))
    sources = dict(new.sources)
    if new.io_read_bytes is not None or new.io_write_bytes is not None:
        read = _minus(new.io_read_bytes, old.io_read_bytes)
        written = _minus(new.io_write_bytes, old.io_write_bytes)
    elif read is not None:
        sources["io"] = "proc-pid-io"
    return SandboxMetric.of(
        scope="sample",
        wall_ms=round((after.moment - before.moment) * 1e3, 3),
        memory_bytes=new.memory_bytes,
        pids=new.pids,
        io_read_bytes=read,
        io_write_bytes=written,
        sources=sources,
        **spent,
    )


def _minus(after: float | None, before: float | None) -> float | None:
    """The difference; never negative (a process that ended unseen takes its counts along)."""
    return None if after is None or before is None else max(round(after - before, 9), 0)


def _processes(pid: int) -> Path | None:
    """The file that names the processes of the control group (v1) that `pid` is in."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return None
    paths = {name: path for _, names, path in (line.split(":", 2) for line in lines) for name in names.split(",")}
    folder = paths.get("pids")
    return None if folder is None else Path("/sys/fs/cgroup/pids") / folder.lstrip("/") / "cgroup.procs"


def _io(procs: Path | None) -> tuple[int | None, int | None]:
    """Bytes read and written so far by the living processes and those they buried; None where it cannot be read."""
    if procs is None:
        return None, None
    read = written = 0
    try:
        pids = procs.read_text().split()
    except OSError:
        return None, None
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/io").read_text()
        except OSError:
            continue  # it has just ended
        counts = dict(line.split(": ") for line in text.splitlines())
        read += int(counts["read_bytes"])
        written += int(counts["write_bytes"])
    return read, written


def read_samples(path: Path) -> Iterator[Timed]:
    """Samples as they were written; a torn last line is left out."""
    if not path.exists():
        return
    for line in path.read_bytes().splitlines(keepends=True):
        if not line.endswith(b"\n"):
            return
        told = json.loads(line)
        moment = datetime.fromisoformat(told.pop("t"))
        yield Timed(payload=SandboxMetric.of(**told), t_start=moment, t_end=moment)
