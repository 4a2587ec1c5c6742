"""Containers do not outlive the process that owns them, even one that was killed.

A shell waits for the end of this process, of which it is no child, so that whoever kills this process's children spares
it; then it removes the containers of processes that are gone. It needs about 1 MB until then.
"""

import subprocess
import sys
from contextlib import suppress
from typing import IO

__all__ = ["Reaper"]

_WAIT = """
exec 3<&0
(read -r word <&3 || exec 3<&- "$@") </dev/null >/dev/null 2>&1 &
"""
_SWEEP = "import sys; from trajectory_hub.envs.engine import Engine; Engine(sys.argv[1] or None).sweep()"


class Reaper:
    """Waits beside this process until it dies, however that happens, or until it is dismissed."""

    def __init__(self, engine_url: str | None) -> None:
        command = ["sh", "-c", _WAIT, "trajhub-reaper", sys.executable, "-c", _SWEEP, engine_url or ""]
        starter = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        # As long as it is open, this process lives.
        self._pipe: IO[bytes] | None = starter.stdin
        starter.wait()

    def dismiss(self) -> None:
        """There is nothing left to remove; may be called again."""
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            with suppress(BrokenPipeError), pipe:
                pipe.write(b"done\n")
