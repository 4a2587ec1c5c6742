"""Why an agent's episode ended, and who is to blame."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...errors import ConfigError, Failure, SandboxLost, StopReason
from ...tools.base import CommandResult
from ..budget import Ledger
from ..proxy import Exchange

__all__ = ["Ending", "ending_of"]

_NOT_FOUND = (126, 127)
_LOST = ("restarted", "replaced")
_SAID = 300
"""Characters of its output that are told with a failure."""
_TOO_OLD = re.compile(r"version `(GLIBC(?:XX)?_[\d.]+)' not found")
"""What the loader says when a program was made for newer libraries than the image has."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How it ended."""

    reason: StopReason
    failure: Failure | None = None
    message: str | None = None
    crashed: bool = False
    """The agent itself failed, for a reason that may lie elsewhere."""

    def blamed(self, exchanges: Sequence[Exchange]) -> "Ending":
        """The same, with the blame on the model's service where that explains a crash: it was asked and never, or at
        last no more, answered.
        """
        told = [one for one in exchanges if one.fault not in ("denied", "unauthorized", "budget", "bad_request")]
        if not self.crashed or not told or not _service_failed(told[-1]):
            return self
        why = told[-1].error or f"status {told[-1].status}"
        return replace(self, failure=Failure.SERVICE, message=f"{self.message}; the model's service failed: {why}")


def _service_failed(exchange: Exchange) -> bool:
    if exchange.fault in ("unreachable", "timeout", "cut"):
        return True
    return exchange.status is not None and (exchange.status == 429 or exchange.status >= 500)


def ending_of(
    result: CommandResult, ledger: Ledger, stop: tuple[StopReason, str] | None, *, late: bool = False
) -> Ending:
    """What the end of the agent's command says; `late`: its time was up by then.

    Raises SandboxLost when its sandbox died, and ConfigError when its command cannot be run at all.
    """
    if result.recovered in _LOST:
        raise SandboxLost(f"the agent's container died and was {result.recovered}")
    if stop is not None:
        return Ending(stop[0], None, stop[1])
    if (over := ledger.exceeded()) is not None:
        return Ending(over[0], None, over[1])
    if result.timed_out or (late and result.exit_code is None):
        return Ending(StopReason.TIME_LIMIT, None, "the agent's time was up")
    if result.exit_code == 0:
        return Ending(StopReason.SUBMITTED, None, "the agent ended with status 0")
    if ledger.requests == 0 and (lacking := _TOO_OLD.search(result.text)) is not None:
        why = (
            f"the agent cannot run in this task's image, which is older than {lacking[1]}: have its recipe install it "
            "with the libraries that it needs (`portable-python`, `portable-node` or `portable-program`)"
        )
        return Ending(StopReason.ENVIRONMENT_ERROR, Failure.ENVIRONMENT, why)
    if result.exit_code in _NOT_FOUND and ledger.requests == 0:
        raise ConfigError(
            f"the agent's command cannot be run (status {result.exit_code}): {result.text.strip()[-500:]!r}; correct "
            "the recipe's `install` and `command` (a program that is there and `not found` was made for another C "
            "library than the image's: see `portable-program`)"
        )
    return Ending(StopReason.POLICY_ERROR, Failure.MODEL, _why(result), crashed=True)


def _why(result: CommandResult) -> str:
    if result.oom_killed:
        return "the agent used up the sandbox's memory"
    if result.disk_limited:
        return "the agent used up the sandbox's disk"
    if result.pids_limited:
        return "the agent started more processes than the sandbox allows"
    said = result.text.strip()[-_SAID:]
    return f"the agent ended with status {result.exit_code}" + (f"; its output ends {said!r}" if said else "")
