"""Sandboxes whose CPU time is added up, so that a build can say what it cost whatever else the machine did."""

import threading
from collections.abc import Callable

from ...tools.base import CommandResult
from ..sandbox import Sandbox

__all__ = ["MeteredSandbox", "cpu_seconds"]

_lock = threading.Lock()
_spent = 0.0


class MeteredSandbox(Sandbox):
    """A sandbox that counts."""

    def run(
        self,
        command: str,
        *,
        timeout: float | None = None,
        output_limit: int | None = None,
        until: Callable[[], bool] | None = None,
    ) -> CommandResult:
        """Run a command (see `Sandbox.run`) and count its CPU time."""
        global _spent
        result = super().run(command, timeout=timeout, output_limit=output_limit, until=until)
        used = (result.telemetry.cpu_user_s or 0.0) + (result.telemetry.cpu_system_s or 0.0)
        with _lock:
            _spent += used
        return result


def cpu_seconds() -> float:
    """CPU time of all commands of this process's metered sandboxes."""
    with _lock:
        return _spent
