"""Goal progress: did this step bring the task nearer to being solved?"""

from ..acts import FLOOD, Edit
from ..paths import Role
from ..shell import Kind
from .base import Finding, View, rule

__all__: list[str] = []

_GOAL = "goal_progress"
_FEW_HITS = 20
_PATIENCE = 12
"""Steps without an advance after which looking around counts for nothing."""


@rule(_GOAL, Kind.EDIT, Kind.RUN, Kind.TEST, decisive=True)
def keeps_off_tests(v: View) -> Finding:
    """A change to existing tests or to test infrastructure is worth nothing, whatever else the step does."""
    for edit in v.act.edits:
        if not edit.changed:
            continue
        kind, state = v.task.role(edit.path), v.history.known(edit.path)
        new = v.history.is_new(edit)
        undone = edit.path in v.history.tampered and state is not None and edit.after == state.original
        restored = edit.after == "original" or undone
        if not restored and (kind is Role.INFRA or (kind is Role.TEST and not new)):
            return 0.0, f"changes {edit.path}, which is {_what(kind)}: {v.asked}"
    return None


def _what(kind: Role) -> str:
    return "test infrastructure" if kind is Role.INFRA else "an existing test"


@rule(_GOAL, Kind.SUBMIT, decisive=True)
def submits_ready(v: View) -> Finding:
    """Handing in is worth what is handed in: nothing without a change, all with a verified one."""
    h = v.history
    if not h.changed_sources:
        return 0.0, "submits although no existing source file differs from the start"
    if h.tampered:
        return 0.0, f"submits changed tests: {', '.join(list(h.tampered)[:3])}"
    changed = ", ".join(list(h.changed_sources)[:3])
    check = h.last_check
    if check is None or h.unverified:
        return 0.35, f"submits {changed} without a check since the change in step {h.source_edit_at}"
    if not check.ok:
        return 0.15, f"submits {changed} although step {check.index} ended with {check.quote}"
    score = 0.6 + 0.4 * check.strength
    if h.only_assumed:
        return 0.5 * score, f"submits {changed}, changed by a command; no step shows that it did change"
    return score, f"submits {changed}; step {check.index} checked it: {check.quote}"


@rule(_GOAL, Kind.READ, Kind.SEARCH, Kind.EDIT, privileged=True)
def localises(v: View) -> Finding:
    """Finding, reading and changing the files that the reference patch changes."""
    reference = v.task.reference
    if not reference or v.act.failed:
        return None
    if v.act.kind is Kind.EDIT:
        return _localised_edit(v)
    read = {span.path for span in v.act.spans}
    for path in sorted(read & reference.keys()):
        state = v.file(path)
        if state.read_at is None or _reaches_new_hunk(v, path):
            return (
                1.0,
                f"privileged: reads {path}, which the reference patch changes, where it was not read yet",
            )
        return 0.4, f"privileged: reads more of {path}, which the reference patch changes"
    fresh = [path for path in v.act.hits if path in reference and v.file(path).found_at is None]
    if fresh and len(v.act.hits) <= _FEW_HITS:
        return 0.9, f"privileged: finds {fresh[0]}, which the reference patch changes, by {v.asked}"
    known = not read and not v.act.flooded and len(v.act.hits) <= _FEW_HITS
    if known and any(path in reference for path in v.act.hits):
        return 0.4, f"privileged: {v.asked} leads again to a file the reference patch changes"
    return 0.1, f"privileged: {v.asked} does not lead to a file the reference patch changes"


def _localised_edit(v: View) -> Finding:
    edited = [edit.path for edit in v.act.repository_edits if v.task.role(edit.path) is Role.SOURCE]
    if not edited or any(v.history.times_before(edit) for edit in v.act.edits):
        return None
    right = [path for path in edited if path in v.task.reference]
    if right and v.file(right[0]).edits > len(v.task.reference[right[0]]) + 2:
        return 0.4, f"privileged: changes {right[0]} more often than the reference patch does"
    if right:
        return 1.0, f"privileged: changes {right[0]}, as the reference patch does"
    state = v.history.known(edited[0])
    if v.act.edits[0].created or (state is not None and state.created):
        return None
    return 0.2, f"privileged: changes {edited[0]}, which the reference patch leaves alone"


def _reaches_new_hunk(v: View, path: str) -> bool:
    seen = v.file(path).ever_read
    for span in v.act.spans:
        if span.path != path:
            continue
        end = span.end if span.end is not None else FLOOD
        for low, high in v.task.reference[path]:
            shown = span.start <= high and end >= low
            if shown and not any(a <= high and b >= low for a, b in seen):
                return True
    return False


@rule(_GOAL, Kind.READ, Kind.SEARCH)
def follows_the_issue(v: View) -> Finding:
    """Each code name of the statement pays once, when it is first seen in the repository."""
    issue = v.task.issue_names
    if not issue or v.act.failed:
        return None
    shown = v.act.text.words
    fresh = [name for name in issue if name in shown and name not in v.history.located]
    if fresh and v.act.flooded:
        return 0.3, f'shows "{fresh[0]}", which the issue names, in an answer too long to use'
    if fresh:
        return 1.0, f'shows "{fresh[0]}", which the issue names, for the first time'
    asked = " ".join((*v.act.paths, *v.act.patterns))
    if any(name in asked for name in issue):
        return 0.4, f"asks for a name of the issue that was seen already: {v.asked}"
    known = [name for name in issue[:8] if name in shown]
    if known:
        return 0.4, f'shows more about "{known[0]}", which the issue names'
    return 0.15, f"shows none of the names in the issue: {v.asked}"


@rule(_GOAL, Kind.TEST, Kind.RUN)
def reproduces(v: View) -> Finding:
    """Seeing the failure before the first change; it pays once."""
    if v.check is None or not v.check.before_change:
        return None
    before = v.history.reproduced
    if not v.check.ok and before < 1.0:
        return 1.0, f"reproduces a failure before any change: {v.check.quote}"
    if v.check.ok and before == 0.0:
        return 0.6, f"establishes what works before any change: {v.check.quote}"
    return 0.1, f"looks again at what step {_last_check_index(v)} showed, with no change between"


def _last_check_index(v: View) -> int:
    check = v.history.last_check
    return check.index if check else v.act.index


@rule(_GOAL, Kind.EDIT)
def changes_source(v: View) -> Finding:
    """A change that takes effect in an existing source file; less for one more change without a check."""
    edit = next((item for item in v.act.edits), None)
    if edit is None:
        return None
    if v.act.failed or not edit.changed:
        return 0.0, f"changes nothing in {edit.path}: {v.asked}"
    state, kind = v.history.known(edit.path), v.task.role(edit.path)
    if edit.path in v.task.reference and edit.created:
        return 1.0, f"privileged: creates {edit.path}, as the reference patch does"
    if edit.created or (state is not None and state.created) or kind is Role.OUTSIDE:
        return _changes_own_file(v, edit)
    if kind is not Role.SOURCE:
        return 0.2, f"changes {edit.path}, which is not source"
    if edit.cosmetic:
        return 0.1, f"changes only blanks or comments in {edit.path}"
    if v.history.times_before(edit):
        return 0.2, f"brings {edit.path} back to what it was before"
    unchecked, before = v.history.edits_since_check, state.edits if state is not None else 0
    score = 1.0 - 0.15 * max(0, unchecked - 1) - 0.1 * max(0, before - 3)
    told = f"; {before} changes to it before" if before else ""
    return max(0.2, score), f"changes {edit.path}{told}" + (f", {unchecked} unchecked" if unchecked else "")


def _changes_own_file(v: View, edit: Edit) -> Finding:
    own = sum(state.edits for state in v.history.files.values() if state.created)
    score = max(0.1, 0.6 - 0.1 * own)
    return score, f"writes {edit.path}, a file of its own; {own} such writes before"


@rule(_GOAL, Kind.TEST)
def fixes_tests(v: View) -> Finding:
    """Tests that failed in this episode and pass now, against those that passed and fail now."""
    run, h = v.act.tests, v.history
    if run is None or h.source_edit_at < 0 or not (run.passed or run.failed):
        return None
    own = {path for path, state in h.files.items() if state.edits}
    fixed = sorted(t for t in run.passed if t in h.ever_failed and t not in h.ever_passed and not _in(t, own))
    broken = sorted(t for t in run.failed if t in h.ever_passed and not _in(t, own))
    if broken:
        share = len(fixed) / (len(fixed) + len(broken))
        return (
            share,
            f'{len(broken)} tests that passed fail now, such as "{broken[0]}"; {len(fixed)} are mended',
        )
    if fixed and h.changed_sources:
        return 1.0, f'{len(fixed)} tests that failed pass now, such as "{fixed[0]}"'
    return None


def _in(test: str, files: set[str]) -> bool:
    return test.split("::", 1)[0] in files


@rule(_GOAL, Kind.TEST, Kind.RUN)
def verifies(v: View) -> Finding:
    """The first check after a change to source; a check with nothing new to check is worth little."""
    h, check = v.history, v.check
    if h.source_edit_at < 0:
        return None
    if check is None:
        return 0.15, f"proves nothing about the change in step {h.source_edit_at}: {v.asked}"
    if not h.unverified:
        again = h.last_check
        passed = again is not None and again.ok and check.ok
        return (0.2 if passed else 0.3), f"checks again what step {_last_check_index(v)} checked: {check.quote}"
    if check.ok:
        share = max(0.3, 1.0 - 0.1 * max(0, h.verified_times - 3))
        again = f" (after {h.verified_times} checked changes)" if h.verified_times else ""
        score = share * (0.5 + 0.5 * check.strength)
        return score, f"checks the change in step {h.source_edit_at}{again}: {check.quote}"
    return 0.5, f"shows that the change in step {h.source_edit_at} is not enough: {check.quote}"


@rule(_GOAL, Kind.TEST, Kind.RUN)
def gets_anywhere(v: View) -> Finding:
    """Change after change with the same failing answer leads nowhere."""
    check = v.check
    earlier = v.history.checks.get(v.act.signature)
    if check is None or earlier is None or earlier.epoch == check.epoch:
        return None
    if check.ok and (v.act.kind is Kind.TEST or not earlier.ok or earlier.answer != check.answer):
        return None
    if not check.ok and earlier.ok:
        return 0.2, f"fails, and did not in step {earlier.index}: {check.quote}"
    if earlier.answer != check.answer:
        return 0.6, f"fails otherwise than in step {earlier.index}: {check.quote}"
    times = v.history.fruitless + 1
    score = max(0.0, 0.3 - 0.1 * (times - 1))
    return score, f"says what it said in step {earlier.index}, after {times} changes: {check.quote}"


@rule(_GOAL)
def keeps_moving(v: View) -> Finding:
    """Every step costs time: without an advance, the next step is worth less, down to nothing."""
    if v.act.kind is Kind.SUBMIT:
        return None
    if v.act.kind is Kind.MALFORMED:
        return 0.0, f"does nothing: {v.asked}"
    if v.act.kind is Kind.IDLE:
        return 0.0, f"neither looks nor changes anything: {v.asked}"
    since = v.history.count - v.history.last_advance - 1
    score = max(0.0, 0.6 * (1 - since / _PATIENCE))
    return score, f"{since} steps since the work last advanced"
