"""Why an episode ended: every agent's own words for it, and ours.

An agent's exit status is matched against its rows in their order; the first that fits counts. `docs/adapters.md` shows
the same table.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ...errors import Failure, StopReason

__all__ = ["EXITS", "Exit", "read_exit"]


@dataclass(frozen=True, slots=True)
class Exit:
    """One way to end."""

    said: str
    """A regular expression that is searched for in the agent's words, whatever their case."""
    stop: StopReason
    failure: Failure | None
    """Who is to blame; None where the agent ended by itself, which a verdict may still find wrong."""


_MODEL, _TOOL, _ENVIRONMENT, _SERVICE = Failure.MODEL, Failure.TOOL, Failure.ENVIRONMENT, Failure.SERVICE

_SERVICES = (
    r"RateLimit|ServiceUnavailable|InternalServerError|APIConnection|APIError|APIStatus|APITimeout|Authentication"
    r"|PermissionDenied|BadGateway|NotFoundError|BadRequest|litellm\.|LLMNoResponse|LLMServiceUnavailable|RetryError"
)
_CONTEXT = r"ContextWindow|context.?length|maximum context|prompt is too long"

_SWE_AGENT = (
    Exit(r"exit_cost|total_cost|CostLimit", StopReason.COST_LIMIT, None),
    Exit(r"exit_context|exit_api_context", StopReason.TOKEN_LIMIT, _MODEL),
    Exit(r"exit_format", StopReason.POLICY_ERROR, _MODEL),
    Exit(r"exit_forfeit|exit_command$|exit_command\)", StopReason.POLICY_ERROR, _MODEL),
    Exit(r"exit_command_timeout|exit_total_execution_time", StopReason.TIME_LIMIT, None),
    Exit(r"exit_api", StopReason.POLICY_ERROR, _SERVICE),
    Exit(r"exit_environment|environment_error", StopReason.ENVIRONMENT_ERROR, _ENVIRONMENT),
    Exit(r"early_exit", StopReason.EARLY_STOPPED, None),
    Exit(r"exit_error", StopReason.POLICY_ERROR, None),
    Exit(r"skipped", StopReason.INTERRUPTED, None),
    Exit(r"submitted", StopReason.SUBMITTED, None),
)

_MINI = (
    Exit(r"^Submitted$", StopReason.SUBMITTED, None),
    Exit(r"^TimeExceeded$", StopReason.TIME_LIMIT, None),
    Exit(r"^LimitsExceeded$", StopReason.COST_LIMIT, None),
    Exit(r"^(RepeatedFormatError|FormatError)$", StopReason.POLICY_ERROR, _MODEL),
    Exit(r"^(UserInterruption|KeyboardInterrupt)$", StopReason.INTERRUPTED, None),
    Exit(_CONTEXT, StopReason.TOKEN_LIMIT, _MODEL),
    Exit(_SERVICES + r"|^Timeout$", StopReason.POLICY_ERROR, _SERVICE),
    Exit(
        r"CalledProcessError|TimeoutExpired|Docker|Container|Sandbox|OSError|ConnectionError|BrokenPipe",
        StopReason.ENVIRONMENT_ERROR,
        _ENVIRONMENT,
    ),
    Exit(r".", StopReason.POLICY_ERROR, None),
)

_OPENHANDS = (
    Exit(r"maximum iteration|max(imum)?_?iterations?|iteration limit|MaxIterations", StopReason.STEP_LIMIT, None),
    Exit(r"maximum budget|max(imum)?.?budget|BudgetExceeded|cost cap", StopReason.COST_LIMIT, None),
    Exit(r"stuck", StopReason.POLICY_ERROR, _MODEL),
    Exit(_CONTEXT, StopReason.TOKEN_LIMIT, _MODEL),
    Exit(
        r"AgentRuntime|Runtime.*(Disconnected|Unavailable|Timeout|NotFound)",
        *(StopReason.ENVIRONMENT_ERROR, _ENVIRONMENT),
    ),
    Exit(_SERVICES, StopReason.POLICY_ERROR, _SERVICE),
    Exit(r"LLMMalformedAction|FunctionCall|malformed|AgentNoInstruction", StopReason.POLICY_ERROR, _MODEL),
    Exit(r"docker|container|sandbox", StopReason.ENVIRONMENT_ERROR, _ENVIRONMENT),
    Exit(r"timed? ?out|EvalTimeout", StopReason.TIME_LIMIT, None),
    Exit(r"^reject", StopReason.POLICY_ERROR, _MODEL),
    Exit(r"^(finish(ed)?|submit(ted)?|awaiting_user_input)$", StopReason.SUBMITTED, None),
    Exit(r"^(paused|stopped|running|loading|init|idle)$|interrupt", StopReason.INTERRUPTED, None),
    Exit(r".", StopReason.POLICY_ERROR, None),
)

EXITS: Mapping[str, tuple[Exit, ...]] = {"swe-agent": _SWE_AGENT, "mini-swe-agent": _MINI, "openhands": _OPENHANDS}
"""By agent."""


def read_exit(agent: str, said: str | None) -> tuple[StopReason, Failure | None]:
    """Why an episode of `agent` ended; interrupted where its record says nothing."""
    if said:
        for row in EXITS[agent]:
            if re.search(row.said, said, re.IGNORECASE):
                return row.stop, row.failure
        return StopReason.POLICY_ERROR, None
    return StopReason.INTERRUPTED, None
