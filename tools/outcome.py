"""How the end of a command is told to an agent."""

from .base import CommandResult

__all__ = ["error_kind", "notices"]

_RECOVERED = {
    "reopened": "The shell had died and was opened again; files are kept, running processes are gone.",
    "restarted": "The sandbox was restarted; files are kept, running processes are gone.",
    "replaced": "The sandbox was lost and replaced by a fresh copy; all earlier changes are gone.",
}


def error_kind(result: CommandResult) -> str | None:
    """None, or why the command could not run to its end."""
    if result.timed_out:
        return "timeout"
    if result.oom_killed:
        return "out_of_memory"
    if result.disk_limited:
        return "disk_full"
    if result.pids_limited:
        return "too_many_processes"
    return "sandbox_recovered" if result.recovered else None


def notices(result: CommandResult, timeout: float) -> list[str]:
    """Lines that say how the command ended and what became of the sandbox."""
    lines: list[str] = []
    if result.timed_out:
        lines.append(f"[timed out after {timeout:g} s; the command and all it started were killed]")
    if result.oom_killed:
        lines.append("[a process was killed: the sandbox is out of memory]")
    if result.pids_limited:
        lines.append("[killed: too many processes]")
    if result.disk_limited:
        lines.append("[killed: the sandbox's disk allowance is used up; delete what is not needed]")
    if result.recovered:
        lines.append(f"[{_RECOVERED.get(result.recovered, result.recovered)}]")
    if result.exit_code is not None:
        lines.append(f"[exit code {result.exit_code}]")
    elif not lines:
        lines.append("[the command was killed]")
    return lines
