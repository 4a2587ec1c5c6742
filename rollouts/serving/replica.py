"""One vLLM process: started, watched, restarted with growing pauses, given up after too many deaths."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import httpx

from .config import ServeConfig
from .environment import Launch

__all__ = ["Replica", "State"]

_TICK = 0.2
_CHECK_SECONDS = 5.0
_LONGEST_PAUSE = 60.0
_GRACE = 5.0
_TAIL = 4000
_GUARD = Path(__file__).with_name("guard.py")


class State(StrEnum):
    """Where a replica stands."""

    STARTING = "starting"
    UP = "up"
    DOWN = "down"
    """Dead, about to be restarted."""
    FAILED = "failed"
    """Given up."""
    STOPPED = "stopped"


class Replica:
    """A server at `root` that is kept alive by a thread of its own. For one use."""

    def __init__(
        self, number: int, root: str, launch: Launch, log: Path, config: ServeConfig, tell: Callable[[str], None]
    ) -> None:
        self.number = number
        self.root = root
        self.log = log
        self.state = State.STARTING
        self.deaths = 0
        """Deaths that count against the limit."""
        self.starts = 0
        self.changed = threading.Event()
        """Set whenever the state changes."""
        self._launch, self._config, self._tell = launch, config, tell
        self._process: subprocess.Popen[bytes] | None = None
        self._stop = threading.Event()
        self._began = 0.0
        self._thread = threading.Thread(target=self._watch, name=f"trajhub-replica-{number}", daemon=True)

    @property
    def pid(self) -> int | None:
        """The guard's process id, which is also that of the process group; None while nothing runs."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start it, and keep it alive from now on."""
        self._thread.start()

    def stop(self) -> None:
        """End it and wait until every process of it is gone; may be called again."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def tail(self) -> str:
        """The end of its log."""
        try:
            return self.log.read_bytes()[-_TAIL:].decode(errors="replace").strip()
        except OSError:
            return ""

    def status(self) -> Mapping[str, object]:
        """For people and programs that watch."""
        facts = {"replica": self.number, "state": str(self.state), "url": f"{self.root}/v1", "starts": self.starts}
        return {**facts, "pid": self.pid, "log": str(self.log)}

    def _watch(self) -> None:
        try:
            while not self._stop.is_set() and self.state is not State.FAILED:
                self._live()
        finally:
            self._end()
            if self.state is not State.FAILED:
                self._become(State.STOPPED)

    def _live(self) -> None:
        """One life: from start to death, and the pause after it."""
        self._spawn()
        why = self._until_death()
        lived = time.monotonic() - self._began
        served = self.state is State.UP
        if not self._stop.is_set():
            self._become(State.DOWN)
        self._end()
        if self._stop.is_set():
            return
        # A server that never came up would not the second time either.
        self.deaths = 1 if served and lived >= self._config.healthy_after else self.deaths + 1
        if self.deaths > self._config.restarts or (self.starts == 1 and not served):
            self._tell(f"replica {self.number} {why}; given up")
            self._become(State.FAILED)
            return
        pause = min(_LONGEST_PAUSE, self._config.backoff * 2 ** (self.deaths - 1))
        self._tell(
            f"replica {self.number} {why}; restart {self.deaths} of {self._config.restarts} in {pause:g} s ({self.log})"
        )
        self._stop.wait(pause)

    def _spawn(self) -> None:
        command = [sys.executable, "-I", str(_GUARD), str(_GRACE), *self._launch.command]
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # its end tells the guard that we are gone
                stdout=out,
                stderr=out,
                env={**os.environ, **self._launch.variables},
                start_new_session=True,
            )
        self.starts += 1
        self._began = time.monotonic()
        self._become(State.STARTING)

    def _until_death(self) -> str:
        """Wait until the process is dead, or hangs; what happened, as the end of a sentence."""
        process, answered, checked = self._process, time.monotonic(), 0.0
        assert process is not None
        while not self._stop.wait(_TICK):
            if process.poll() is not None:
                return _ending(process.returncode)
            now = time.monotonic()
            if self.state is State.UP and now < checked + _CHECK_SECONDS:
                continue
            checked = now
            if self._healthy():
                answered = now
                if self.state is not State.UP:
                    self._become(State.UP)
            elif self.state is State.UP and now > answered + self._config.hang_timeout:
                return f"did not answer for {self._config.hang_timeout:g} s"
            elif self.state is State.STARTING and now > self._began + self._config.start_timeout:
                return f"did not come up within {self._config.start_timeout:g} s"
        return "was stopped"

    def _healthy(self) -> bool:
        try:
            return httpx.get(f"{self.root}/health", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def _end(self) -> None:
        """End what still runs: by the guard, and whatever happens to that, by force."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE + 5)
        if process.returncode is None or process.returncode < 0:  # somebody killed the guard, or nothing else helps
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._process = None

    def _become(self, state: State) -> None:
        self.state = state
        self.changed.set()


def _ending(status: int) -> str:
    # The guard tells a command that died by a signal as a shell does.
    number = -status if status < 0 else status - 128
    return f"died by signal {number}" if number > 0 else f"ended with status {status}"
