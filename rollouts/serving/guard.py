"""Keeps a server's family of processes from outliving whoever started it.

Run as a program, with nothing but the standard library: `python guard.py GRACE COMMAND...`. It starts the command in
its own process group and waits. When the command ends, when its standard input ends (whoever holds the other end of
that pipe is gone, however it died), or on SIGTERM, it ends every descendant: politely, and by force after GRACE
seconds. As a subreaper it inherits processes whose parents died, so that none is out of reach.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

__all__ = ["Guard", "descendants"]

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_TICK = 0.1
_STOPPED_IN_VAIN = 128


class Guard:
    """One command and everything it starts."""

    def __init__(self, command: list[str], grace: float) -> None:
        self.grace = grace
        self.stopping = False
        self.status: int | None = None
        """How the command ended, as a shell tells it."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop)
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

        def die_with_the_guard() -> None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

        self._owner = os.getppid()
        self._pid = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=die_with_the_guard).pid

    def run(self) -> int:
        """Wait for the end, bring it about for all, and give the exit status."""
        while self.status is None and not self.stopping:
            readable, _, _ = select.select([0], [], [], _TICK)
            gone = os.getppid() != self._owner or (bool(readable) and not os.read(0, 1))
            self.stopping = self.stopping or gone
            self._reap()
        deadline, asked = time.monotonic() + self.grace, set[int]()
        while alive := descendants(os.getpid()):
            late = time.monotonic() >= deadline
            for pid in alive:
                if late or pid not in asked:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
            asked.update(alive)
            self._reap()
            time.sleep(_TICK / 5)
        self._reap()
        return _STOPPED_IN_VAIN if self.status is None else self.status

    def _stop(self, _signal: int, _frame: object) -> None:
        self.stopping = True

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self._pid:
                    code = os.waitstatus_to_exitcode(ended[1])
                    self.status = code if code >= 0 else 128 - code


def descendants(pid: int) -> list[int]:
    """Living processes below `pid`, nearest first; those that ended and wait to be collected do not count."""
    below = defaultdict[int, list[int]](list)
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and (stat := _stat(path)) is not None and stat[0] not in "ZX":
            below[stat[1]].append(int(path.name))
    found, left = list[int](), [pid]
    while left:
        children = below[left.pop(0)]
        found += children
        left += children
    return found


def _stat(path: Path) -> tuple[str, int] | None:
    """State and parent of a process; None when it is gone."""
    try:
        text = (path / "stat").read_text(errors="replace")
    except OSError:
        return None
    state, parent = text.rpartition(")")[2].split()[:2]
    return state, int(parent)


if __name__ == "__main__":
    sys.exit(Guard(sys.argv[2:], float(sys.argv[1])).run())
