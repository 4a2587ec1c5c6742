"""Rules about the world of an agent: its sandbox, its tools, its repository, and who spoilt them.

What they have in common: an agent that did nothing but look, or run tests that it had not touched, has not used up or
broken anything by that. Whoever changed something may have.
"""

import re

from ...errors import StopReason
from .evidence import Evidence
from .facts import USED_UP, Done, Facts
from .finding import INFERRED, READ, TOOL_FAULTS, Finding, at_the_end, shown
from .kinds import Kind
from .messages import environment_kind, program_broken, write_refused
from .verdict_rules import hangs_by_the_patch

__all__ = [
    "crowded_sandbox",
    "exhausted_sandbox",
    "history_missing",
    "nothing_runs",
    "nothing_writable",
    "slow_world",
    "time_eaten",
    "tool_faults",
    "unusable_tests",
]

_SHELLS = frozenset(("shell", "bash", "execute_bash", "run_shell_command", "exec_command", "local_shell", "terminal"))
_TIMED_OUT = re.compile(r"\btimed? ?out\b", re.IGNORECASE)
_COMMANDS_TIMED_OUT = re.compile(r"command.?time.?out", re.IGNORECASE)
_TOOL_BROKE = re.compile(
    r"internal (tool )?error|tool (call |execution )?(failed|crashed)|tool is (not available|unavailable)|"
    r"\bMCP\b.{0,60}(error|disconnect|closed)|\bEPIPE\b|command not found: rg",
    re.IGNORECASE,
)
_RAN_OUT = {"out_of_memory": Kind.OUT_OF_MEMORY, "disk_full": Kind.DISK_FULL}
_TRIES = 2


def crowded_sandbox(facts: Facts) -> Finding | None:
    """The sandbox was out of something before the agent had done more than look: somebody else used it up."""
    first = facts.used_up
    if first is None or (facts.worked is not None and facts.worked.seq <= first.seq):
        return None
    found = [done for done in facts.lately if done.error in USED_UP]
    return at_the_end(facts, found, _RAN_OUT.get(first.error or "", Kind.ENVIRONMENT_BROKEN))


def exhausted_sandbox(facts: Facts) -> Finding | None:
    """Its own commands used up, or destroyed, the sandbox, and that is how it ended."""
    found = [d for d in facts.lately if d.error in USED_UP or (_is_timeout(d) and _is_shell(d) and not d.cut)]
    return at_the_end(facts, found, Kind.EXHAUSTED_SANDBOX)


def slow_world(facts: Facts) -> Finding | None:
    """Commands that end by themselves were cut, and were not at work meanwhile: they waited for the machine."""
    found = [d for d in facts.lately if _is_timeout(d) and _is_shell(d) and d.doing is not None and d.doing.ends]
    return at_the_end(facts, [done for done in found if done.step in facts.idle], Kind.TOOL_TIMEOUT)


def tool_faults(facts: Facts) -> Finding | None:
    """Tools failed by themselves, and that is how it ended."""
    slow = [] if hangs_by_the_patch(facts) else [d for d in facts.lately if _is_slow_tool(d)]
    broken = [d for d in facts.lately if not d.ok and d.tool is not None and _TOOL_BROKE.search(d.said)]
    broken += [d for d in facts.lately if d.error in ("no_test_command", "tool_error")]
    kind = Kind.TOOL_TIMEOUT if len(slow) >= len(broken) else Kind.TOOL_ERROR
    return at_the_end(facts, sorted({*slow, *broken}, key=lambda done: done.seq), kind)


def time_eaten(facts: Facts) -> Finding | None:
    """Time was up because tools waited for what did not come: for half of it, or in the words of the end."""
    end = facts.ended
    if end is None or end.stop_reason is not StopReason.TIME_LIMIT or hangs_by_the_patch(facts):
        return None
    if _COMMANDS_TIMED_OUT.search(end.message or ""):
        return Finding(Kind.TOOL_TIMEOUT, [facts.end_evidence()], READ)
    slow = [done for done in facts.lately if _is_slow_tool(done)]
    if not slow or 2 * sum(done.ms for done in slow) < facts.ms:
        return None
    return Finding(Kind.TOOL_TIMEOUT, [*map(shown, slow[-3:]), facts.end_evidence()], INFERRED)


def unusable_tests(facts: Facts) -> Finding | None:
    """Nothing was changed, and running the tests never gave a result: what stands in their way was there before."""
    runs = facts.untouched_runs
    if len(runs) < _TRIES or any(runs) or not facts.patch_is_empty:
        return None
    found = [done for done in facts.lately if done.results is False]
    words = "\n".join(done.said for done in found)
    kind = environment_kind(words)
    known = kind in (Kind.NETWORK, Kind.DISK_FULL, Kind.OUT_OF_MEMORY) or program_broken(words)
    return Finding(kind if known else Kind.TOOL_ERROR, [*map(shown, found[-3:]), facts.end_evidence()], INFERRED)


def nothing_runs(facts: Facts) -> Finding | None:
    """Programs cannot be run in this image, as the loader or the kernel says, and nothing was changed."""
    found = [d for d in facts.lately if d.exit_code not in (0, None) and program_broken(d.said)]
    if facts.destroyed or not facts.patch_is_empty:
        return None
    return at_the_end(facts, found, Kind.ENVIRONMENT_BROKEN)


def nothing_writable(facts: Facts) -> Finding | None:
    """The agent set out to change files, was refused each time, and had not caused that."""
    tried = [d for d in facts.lately if d.doing is not None and d.doing.edits]
    refused = [d for d in tried if d.error == "permission_denied" or (d.exit_code != 0 and write_refused(d.said))]
    if len(refused) < _TRIES or len(refused) < len(tried) or facts.destroyed or not facts.patch_is_empty:
        return None
    return Finding(Kind.ENVIRONMENT_BROKEN, [*map(shown, refused[-TOOL_FAULTS:]), facts.end_evidence()], INFERRED)


def history_missing(facts: Facts) -> Finding | None:
    """What was changed could not be told, and the agent had removed nothing, nor was the sandbox out of anything."""
    errors = [event for event in facts.errors if event.payload.kind == "NoPatch"]
    if not errors or facts.destroyed or facts.worked is None or facts.used_up is not None:
        return None
    evidence = [Evidence.of(errors[-1].seq, "error", errors[-1].payload.message)]
    return Finding(Kind.ENVIRONMENT_BROKEN, [*evidence, facts.end_evidence()], INFERRED)


def _is_slow_tool(done: Done) -> bool:
    """A time-out of a tool that the agent has no hand in, or of any that we cut ourselves."""
    return _is_timeout(done) and (done.cut or not _is_shell(done))


def _is_timeout(done: Done) -> bool:
    return done.error == "timeout" or (not done.ok and bool(_TIMED_OUT.search(done.said)))


def _is_shell(done: Done) -> bool:
    return done.tool is not None and done.tool.lower() in _SHELLS
