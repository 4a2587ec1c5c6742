"""Non-redundancy: does this step bring something that no earlier step brought?"""

from ..acts import INFRASTRUCTURE_ERRORS
from ..shell import Kind
from ..text import excerpt, shared
from .base import Finding, View, rule

__all__: list[str] = []

_NEW = "non_redundancy"
_SMALL_WINDOW = 25
_SHORT_ANSWER = 60
_ENOUGH_WORDS = 6
_ALIKE, _EQUAL = 0.8, 0.95
"""Shares of common words from which two attempts are nearly, or all but, the same."""
_OTHER_CALL = 0.4
"""Share of their pieces up to which two calls have nothing to do with each other."""
_CORRECTED = 0.9
"""A call that is accepted has at least that much over one like it: most such pairs are an error and its correction."""
_OTHER_THOUGHT = 0.7
"""Share of words not in the thought before, from which on a thought is another one."""
_ENOUGH_THOUGHT = 4
"""Different words below which a thought says too little to be compared."""


@rule(_NEW, decisive=True)
def asks_something_new(v: View) -> Finding:
    """The same call with nothing changed in between brings nothing: it is worth nothing, however good it was."""
    seen = v.history.seen.get(v.act.signature)
    if seen is None and v.act.kind is Kind.IDLE:
        return None
    if seen is None:
        return 1.0, f"was not asked before: {v.asked}"
    if seen.excused or v.step.error in INFRASTRUCTURE_ERRORS:
        return None
    if seen.epoch == v.history.epoch:
        return (
            0.0,
            f"step {seen.index} asked the same with nothing changed since and got {excerpt(seen.observation)}",
        )
    if v.act.kind in (Kind.TEST, Kind.RUN, Kind.VCS, Kind.EDIT):
        return 0.9, f"asks what step {seen.index} asked, after a change"
    changed = next((p for p in v.act.paths if v.file(p).changed_at > seen.index), None)
    if changed is not None:
        return 0.8, f"asks what step {seen.index} asked; {changed} changed since"
    return (
        0.2,
        f"asks what step {seen.index} asked, and only other files changed: {excerpt(seen.observation)}",
    )


@rule(_NEW, Kind.READ)
def reads_new_lines(v: View) -> Finding:
    """Lines that were shown already, of a file that did not change, need not be shown again."""
    if not v.act.spans:
        return None
    known = total = 0
    for span in v.act.spans:
        state = v.file(span.path)
        end = span.end if span.end is not None else max(state.total_lines or 0, span.start + 99)
        total += end - span.start + 1
        known += sum(max(0, min(high, end) - max(low, span.start) + 1) for low, high in state.spans)
    if total <= 0:
        return None
    share = 1 - known / total
    first = v.act.spans[0]
    return max(0.0, share), f"{known} of {total} lines of {first.path} were shown before"


@rule(_NEW, Kind.READ)
def reads_in_one_go(v: View) -> Finding:
    """Many small windows on one file are one read, paid several times."""
    span = next(iter(v.act.spans), None)
    if span is None or span.end is None or span.end - span.start >= _SMALL_WINDOW:
        return None
    windows = [
        other
        for act in v.history.recent
        for other in act.spans
        if other.path == span.path and other.end is not None and other.end - other.start < _SMALL_WINDOW
    ]
    if len(windows) < 2:
        return None
    score = max(0.1, 0.7 - 0.2 * (len(windows) - 1))
    return score, f"opens one more small window on {span.path} after {len(windows)} of them"


@rule(_NEW, Kind.TEST, Kind.RUN)
def checks_something_new(v: View) -> Finding:
    """A run with nothing changed since the last one can only say what that said."""
    h, check = v.history, v.check
    last = h.last_check
    if check is None or last is None or last.epoch != check.epoch:
        return None
    earlier = next((act for act in reversed(h.recent) if act.index == last.index), None)
    if earlier is not None and v.act.tests is not None and earlier.tests is not None:
        wide, narrow = earlier.tests.selected, v.act.tests.selected
        if not wide or (narrow and set(narrow) <= set(wide)):
            return 0.1, f"runs a part of what step {last.index} ran, with nothing changed since: {last.quote}"
        return 0.6, f"runs other tests than step {last.index} did, with nothing changed since"
    return 0.4, f"runs once more after step {last.index}, with nothing changed since: {last.quote}"


@rule(_NEW, Kind.SEARCH)
def searches_something_new(v: View) -> Finding:
    """The same pattern in the same or a smaller place, with nothing changed."""
    pattern = next(iter(v.act.patterns), None)
    if pattern is None:
        return None
    where = v.act.paths[0] if v.act.paths else "."
    for index, epoch, place in v.history.searched.get(pattern.casefold(), ())[-8:]:
        if epoch == v.history.epoch and (place in (where, ".") or where.startswith(f"{place}/")):
            return 0.2, f"step {index} searched {place} for {excerpt(pattern)} already"
    return 1.0, f"{excerpt(pattern)} was not searched there before"


@rule(_NEW, Kind.EDIT, Kind.RUN, Kind.TEST)
def edits_forward(v: View) -> Finding:
    """A file that is brought back to an earlier content: once may be a repair, again and again is a circle."""
    edit = next((item for item in v.act.edits if item.changed), None)
    if edit is None:
        return None
    visits = v.history.times_before(edit)
    if not visits:
        return 1.0, f"brings {edit.path} to a content it did not have before"
    score = 0.4 if visits == 1 else 0.0
    return score, f"brings {edit.path} back to a content it had {visits} times before"


@rule(_NEW, Kind.READ, Kind.SEARCH, Kind.LIST, Kind.VCS)
def shows_new_lines(v: View) -> Finding:
    """How much of the answer was never shown before."""
    lines = v.act.text.lines
    if len(lines) < 3 or v.act.failed:
        return None
    fresh = lines - v.history.lines
    share = len(fresh) / len(lines)
    if len(fresh) == len(lines):
        return 1.0, f"all {len(lines)} lines are new"
    old = _first_old(v.act.observation, fresh)
    return share, f"{len(fresh)} of {len(lines)} lines are new; not new is {excerpt(old.strip())}"


def _first_old(observation: str, fresh: set[str]) -> str:
    """The first line that is not new; a few are taken at a time, since it mostly comes early."""
    rest = observation
    while True:
        *lines, rest = rest.split("\n", 8)
        found = next((line for line in lines if line and line not in fresh), None)
        if found is not None or "\n" not in rest:
            return rest if found is None else found


@rule(_NEW, Kind.READ, Kind.SEARCH, Kind.LIST, Kind.VCS, Kind.RUN)
def gets_another_answer(v: View) -> Finding:
    """Another question with the very answer of an earlier one, with nothing changed in between."""
    if len(v.act.observation) < _SHORT_ANSWER or v.act.signature in v.history.seen:
        return None
    known = v.history.answers.get(v.act.text.print)
    if known is None or known[1] != v.history.epoch:
        return None
    return 0.2, f"gets the answer of step {known[0]} again: {excerpt(v.act.observation)}"


@rule(_NEW, Kind.EDIT, Kind.RUN)
def tries_something_else(v: View) -> Finding:
    """An edit or command nearly equal to a recent one that did not fail: the same attempt in other words."""
    words = v.act.said.words
    if len(words) < _ENOUGH_WORDS:
        return None
    alike = 0
    nearest: tuple[float, int] = (0.0, 0)
    for act in v.history.recent:
        if act.step.tool != v.step.tool or act.kind is not v.act.kind or act.signature == v.act.signature:
            continue
        likeness = 0.0 if act.step.error and act.kind is Kind.EDIT else _likeness(words, act.said.words)
        if likeness >= _ALIKE:
            alike += 1
            nearest = max(nearest, (likeness, act.index))
    if not alike:
        return 1.0, f"differs from the recent attempts: {v.asked}"
    score = max(0.0, (0.3 if nearest[0] >= _EQUAL else 0.5) - 0.15 * (alike - 1))
    return score, f"is nearly what step {nearest[1]} did, and {alike} recent ones are alike: {excerpt(v.act.said.raw)}"


def _likeness(one: set[str], other: set[str]) -> float:
    """Shared words among all words (Jaccard)."""
    common = len(one & other)
    return common / (len(one) + len(other) - common)


@rule(_NEW)
def differs_from_the_last(v: View) -> Finding:
    """A call by the tool of the step before, in the same words but for a few: the step before, once more."""
    last = v.history.last
    if last is None or last.step.tool != v.step.tool or v.act.kind in (Kind.IDLE, Kind.SUBMIT) or last.excused:
        return None
    likeness = shared(v.act.call, last.call, least=_OTHER_CALL)
    told = f"shares {likeness:.0%} with step {last.index}: {v.asked}"
    if v.step.ok:
        likeness *= _CORRECTED
    return min(1.0, (1 - likeness) / (1 - _OTHER_CALL)), told


@rule(_NEW)
def thinks_something_new(v: View) -> Finding:
    """A thought in the words of the thought before it says that again."""
    last = v.history.last
    if last is None or v.act.kind is Kind.IDLE or min(len(v.act.meant), len(last.meant)) < _ENOUGH_THOUGHT:
        return None
    fresh = len(v.act.meant - last.meant) / len(v.act.meant)
    thought = excerpt(v.step.thought or "")
    told = f"{1 - fresh:.0%} of its words stood in the thought of step {last.index}: {thought}"
    return min(1.0, fresh / _OTHER_THOUGHT), told
