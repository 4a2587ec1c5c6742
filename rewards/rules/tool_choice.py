"""Tool choice: was this the right kind of act, at the right moment, by the right means?"""

from ..acts import FLOOD, LIMIT_ERRORS
from ..paths import Role
from ..shell import Kind
from ..text import listed
from .base import Finding, View, rule

__all__: list[str] = []

_TOOLS = "tool_choice"
_ENOUGH_LOOKING = 10
_INSTEAD = {
    Kind.READ: ("file_read", 0.4),
    Kind.LIST: ("search", 0.6),
    Kind.SEARCH: ("search", 0.4),
    Kind.EDIT: ("file_edit or file_write", 0.2),
    Kind.TEST: ("run_tests", 0.5),
    Kind.VCS: ("git", 0.5),
}
_INTERACTIVE = listed("vi vim nano emacs less more top htop man ssh gdb ipython tmux screen watch")
_REMOTE = listed("curl wget ssh scp rsync ftp nc telnet")
_FETCHING = ("git clone", "git fetch", "git pull", "pip download")


@rule(_TOOLS)
def dedicated_tool(v: View) -> Finding:
    """A shell is for what no tool does: the tools bound their output, check their arguments and tell their facts."""
    shell = v.act.shell
    if shell is None:
        return None
    if v.act.kind is Kind.IDLE:
        return 0.0, f"uses the shell for nothing: {v.asked}"
    if v.act.kind in _INSTEAD and (v.act.kind is not Kind.TEST or v.task.tests_by_tool):
        tool, score = _INSTEAD[v.act.kind]
        return score, f"uses the shell where {tool} would do: {v.asked}"
    if shell.kinds & {Kind.EDIT}:
        return 0.7, f"writes a file by the shell on the way: {v.asked}"
    return 1.0, f"uses the shell for what it is for: {v.asked}"


@rule(_TOOLS, Kind.READ, Kind.SEARCH, Kind.LIST, Kind.VCS)
def looks_when_needed(v: View) -> Finding:
    """Looking is right before a change and after a surprise; looking on and on is not."""
    h = v.history
    last = h.last
    if last is not None and last.failed:
        return 1.0, f"looks after step {last.index} failed: {v.asked}"
    if v.act.kind is Kind.VCS:
        if h.source_edit_at >= 0:
            return 0.8, f"looks over its changes: {v.asked}"
        return 0.5, f"asks git before anything was changed: {v.asked}"
    if h.looking < _ENOUGH_LOOKING:
        return 0.9, f"gathers information ({h.looking} such steps before it in a row): {v.asked}"
    score = max(0.1, 0.9 - 0.08 * (h.looking - _ENOUGH_LOOKING + 1))
    return score, f"still only looks, after {h.looking} such steps in a row: {v.asked}"


@rule(_TOOLS, Kind.EDIT)
def edits_when_informed(v: View) -> Finding:
    """A change comes after looking; an existing file that was never seen is changed blindly."""
    edit = v.act.edits[0] if v.act.edits else None
    if edit is None:
        return 0.4, f"changes something it does not name: {v.asked}"
    state = v.history.known(edit.path)
    if edit.created or (state is not None and state.created):
        return 0.7, f"writes {edit.path}, a file of its own"
    if state is not None and state.read_at is not None:
        return 1.0, f"changes {edit.path}, first read in step {state.read_at}"
    if v.history.shown(edit.path) is not None:
        return 0.4, f"changes {edit.path}, which was named but never read"
    return 0.1, f"changes {edit.path}, which was never seen"


@rule(_TOOLS, Kind.TEST, Kind.RUN)
def runs_when_due(v: View) -> Finding:
    """A run is due before the first change, once, and after each change."""
    h = v.history
    if h.unverified:
        return 1.0, f"runs after the change in step {h.source_edit_at}: {v.asked}"
    if h.source_edit_at >= 0:
        return 0.3, f"runs although nothing changed in source since step {h.source_edit_at}: {v.asked}"
    if v.check is None:
        return 0.4, f"runs something that tells nothing about the issue: {v.asked}"
    ran = len(h.checks)
    score = max(0.2, 0.9 - 0.2 * ran)
    return score, f"runs before any change; {ran} other checks ran before: {v.asked}"


@rule(_TOOLS, Kind.SUBMIT)
def submits_when_due(v: View) -> Finding:
    """Handing in is due when a change was checked."""
    h = v.history
    if not h.changed_sources:
        return 0.0, "submits with nothing to hand in"
    if h.unverified or h.last_check is None:
        return 0.3, f"submits right after an unchecked change (step {h.source_edit_at})"
    return (1.0 if h.last_check.ok else 0.2), f"submits after step {h.last_check.index}: {h.last_check.quote}"


@rule(_TOOLS, Kind.READ, Kind.SEARCH, Kind.LIST, Kind.RUN, Kind.TEST, Kind.VCS)
def keeps_output_usable(v: View) -> Finding:
    """An answer that is cut or too long to use should have been narrowed by a range, a path or a filter."""
    size = len(v.act.observation)
    if not v.act.flooded:
        return None
    if v.act.kind is Kind.TEST and v.act.tests is not None and sum(v.act.tests.counts):
        return None
    asked = any(span.asked for span in v.act.spans)
    score = 0.5 if v.act.truncated and size <= FLOOD else 0.3
    if asked:
        return None
    return score, f"brings {size} characters{', cut' if v.act.truncated else ''}: {v.asked}"


@rule(_TOOLS)
def stays_within_limits(v: View) -> Finding:
    """A command that runs into time, memory, disk or process limits; worse when it happens again."""
    error = v.step.error
    if error not in LIMIT_ERRORS:
        return None
    before = sum(n for key, n in v.history.refusals.items() if key.endswith(f":{error}"))
    score = 0.0 if before else 0.3
    return score, f"ends by {error}" + (f", as {before} steps before it" if before else "") + f": {v.asked}"


@rule(_TOOLS)
def changes_approach(v: View) -> Finding:
    """After two failures of the same kind in a row, the same once more is no plan."""
    recent = list(v.history.recent)[-2:]
    tools = {act.step.tool for act in recent}
    if len(recent) < 2 or len(tools) != 1 or not all(act.failed and act.step.error for act in recent):
        return None
    error = recent[-1].step.error
    if v.step.tool == recent[-1].step.tool and v.step.error == error:
        return 0.0, f"a third {error} in a row by {v.step.tool or 'a malformed action'}: {v.asked}"
    return 1.0, f"does something else after two failures ({error}): {v.asked}"


@rule(_TOOLS)
def can_work_here(v: View) -> Finding:
    """There is no terminal, and mostly no network: programs that need one cannot work."""
    shell = v.act.shell
    if shell is None:
        return None
    if shell.program in _INTERACTIVE:
        return 0.0, f"starts a program that waits for a person: {v.asked}"
    fetches = shell.program in _REMOTE or any(mark in shell.normal for mark in _FETCHING)
    if not v.task.network and (fetches or (v.act.kind is Kind.SETUP and v.act.failed)):
        return 0.1, f"needs a network, and there is none: {v.asked}"
    return None


@rule(_TOOLS, Kind.EDIT)
def edits_in_place(v: View) -> Finding:
    """Rewriting a whole existing source file where a small change would do risks the rest of it."""
    if v.step.tool != "file_write" or v.act.failed or not v.act.edits:
        return None
    edit = v.act.edits[0]
    state = v.history.known(edit.path)
    if edit.created or (state is not None and state.created) or v.task.role(edit.path) is not Role.SOURCE:
        return None
    total = state.total_lines if state is not None else None
    return 0.3, f"rewrites all of {edit.path}" + (f" ({total} lines)" if total else "")
