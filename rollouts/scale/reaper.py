"""Containers do not outlive the process that owns them, even one that was killed.

A shell waits for the end of this process, of which it is no child, so that whoever kills this process's children spares
it; then it removes the containers of processes that are gone. It needs about 1 MB until then.
"""

import subprocess
import sys
from typing import IO

__all__ = ["start_reaper"]

_WAIT = """
exec 3<&0
(cat <&3; exec 3<&- "$@") </dev/null >/dev/null 2>&1 &
"""
_SWEEP = "import sys; from trajectory_hub.envs.engine import Engine; Engine(sys.argv[1] or None).sweep()"
_pipes: list[IO[bytes]] = []
"""Never written to and never closed: their end is this process's end."""


def start_reaper(engine_url: str | None) -> None:
    """Have this process's containers removed when it dies, however it dies."""
    command = ["sh", "-c", _WAIT, "trajhub-reaper", sys.executable, "-c", _SWEEP, engine_url or ""]
    starter = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    if starter.stdin is not None:
        _pipes.append(starter.stdin)
    starter.wait()
