"""Use of information: does this step act on what earlier steps showed?"""

from ..paths import Role
from ..shell import Kind
from ..text import excerpt, failure_line, telling_words
from .base import Finding, View, rule

__all__: list[str] = []

_INFORMATION = "use_of_information"
_FRESH = 4
_LITTLE = 25
"""Different words below which a result says next to nothing."""
_ROUTINE = 0.55
"""What a step is worth that needs no information, like a test run after a change."""
_STUBBORN = 0.4
"""How far a call refused after one of its own kind is misread, rather than tried once more."""
_UNAWARE = 0.4
"""The same of a step after a call that does not exist: the agent does not know what it can do."""
_HALF = 0.5
_PLENTY = 8
"""Words taken from a result that leave no doubt that it was used."""


@rule(_INFORMATION, Kind.READ, Kind.SEARCH, Kind.EDIT, Kind.TEST, Kind.VCS)
def follows_a_lead(v: View) -> Finding:
    """The file or name this step is about was brought up by an earlier step or by the statement."""
    leads = [path for path in v.act.paths if path != "."]
    names = [word for pattern in v.act.patterns for word in telling_words(pattern)]
    if not leads and not names:
        return (0.2, f"looks for nothing in particular: {v.asked}") if v.act.patterns else None
    if any(edit.created for edit in v.act.edits):
        return None
    at = _latest(v, leads, names)
    stated = [lead for lead in leads if v.task.states(lead)] + [name for name in names if name in v.task.words]
    if at is not None and at >= 0:
        fresh = v.history.count - at <= _FRESH
        return (1.0 if fresh else 0.8), f"{v.asked} goes on from step {at}"
    if stated:
        return 0.8, f'the statement says "{stated[0]}"'
    if at is not None:
        return 0.4, f"{v.asked} was only part of a listing"
    return 0.2, f"nothing so far pointed to {v.asked}"


def _latest(v: View, leads: list[str], names: list[str]) -> int | None:
    """The step that last brought up one of the leads; a test file is also led to by what it tests."""
    seen = [v.history.shown(lead) for lead in leads] + [v.history.words.get(name) for name in names]
    if v.act.kind is Kind.TEST:
        earlier = v.history.checks.get(v.act.signature)
        seen += [earlier.index] if earlier else []
        stems = (path.rsplit("/", 1)[-1].partition(".")[0] for path in leads)
        seen += [v.history.words.get(stem.removeprefix("test_").removesuffix("_test")) for stem in stems]
    known = [at for at in seen if at is not None]
    return max(known) if known else None


@rule(_INFORMATION)
def heeds_failure(v: View) -> Finding:
    """After a failure, the next step is about it."""
    last = v.history.last
    if last is None or not last.failed or last.excused or last.kind is Kind.MALFORMED:
        return None
    said = failure_line(last.observation)
    if v.act.kind is Kind.SUBMIT:
        known = v.history.last_check
        if known is not None and known.index == last.index and known.ok:
            return None
        return 0.0, f"submits right after step {last.index} failed: {said}"
    if v.act.kind in (Kind.IDLE, Kind.MALFORMED) or v.act.signature == last.signature:
        return 0.0, f"passes over the failure of step {last.index}: {said}"
    subject = next((item for item in _subjects(v) if item in last.observation), None)
    if subject:
        return 1.0, f'takes up "{subject}" from the failure of step {last.index}: {said}'
    if v.step.tool == last.step.tool and v.step.ok:
        return 0.8, f"tries step {last.index} again otherwise: {v.asked}"
    if v.act.kind is Kind.EDIT and last.kind in (Kind.TEST, Kind.RUN):
        return 0.8, f"changes something after step {last.index} failed: {said}"
    return 0.4, f"turns to something else after step {last.index} failed: {said}"


def _subjects(v: View) -> list[str]:
    stems = [path.rsplit("/", 1)[-1] for path in v.act.paths if path != "."]
    words = [word for pattern in v.act.patterns for word in pattern.split() if len(word) > 3]
    return [item for item in (*stems, *words) if item]


@rule(_INFORMATION, Kind.EDIT)
def edits_what_was_read(v: View) -> Finding:
    """The lines that are changed are lines that were read."""
    edit = v.act.edits[0] if v.act.edits else None
    if edit is None:
        return None
    state = v.history.known(edit.path)
    if edit.created or v.task.role(edit.path) is Role.OUTSIDE or (state is not None and state.created):
        return None
    if state is None or state.read_at is None:
        return 0.0, f"changes {edit.path} without having read it: {v.asked}"
    line = edit.line
    if line is None:
        return 0.8, f"changes {edit.path}, read in step {state.read_at}"
    if any(low - 10 <= line <= high + 10 for low, high in state.ever_read):
        return 1.0, f"changes line {line} of {edit.path}, read from step {state.read_at} on"
    return 0.5, f"changes line {line} of {edit.path}, where only other lines were read"


@rule(_INFORMATION, Kind.READ, Kind.SEARCH, Kind.LIST, Kind.VCS, Kind.RUN)
def narrows_after_flood(v: View) -> Finding:
    """When an answer was too long to use, the next one like it is narrower."""
    last = v.history.last
    if last is None or not last.flooded or last.kind is not v.act.kind:
        return None
    if v.act.flooded and not any(span.asked for span in v.act.spans):
        return (
            0.0,
            f"floods again after step {last.index}, with {len(v.act.observation)} characters: {v.asked}",
        )
    return 1.0, f"narrows what step {last.index} brought in full: {v.asked}"


@rule(_INFORMATION, Kind.READ, Kind.EDIT, Kind.SEARCH, Kind.LIST)
def opens_what_it_finds(v: View) -> Finding:
    """Hits are there to be opened, not to be followed by one more search."""
    h = v.history
    if not h.pending_hits:
        return None
    opened = next((path for path in v.act.paths if path in h.pending_hits), None)
    if opened is not None and v.act.kind in (Kind.READ, Kind.EDIT):
        return 1.0, f"opens {opened}, which a search found"
    if v.act.kind is Kind.SEARCH and opened is None and h.searches_unopened > 1:
        score = max(0.0, 0.6 - 0.2 * (h.searches_unopened - 1))
        return score, f"searches again; the hits of {h.searches_unopened} searches are unopened"
    if v.act.kind is Kind.READ and h.last is not None and h.last.kind is Kind.SEARCH:
        return 0.4, f"reads something other than the {len(h.pending_hits)} files just found: {v.asked}"
    return None


@rule(_INFORMATION, Kind.TEST, Kind.RUN)
def returns_to_the_failure(v: View) -> Finding:
    """After a change, what failed before is what is run again."""
    h = v.history
    if not h.unverified:
        return None
    failing = [check for check in h.checks.values() if not check.ok]
    if not failing:
        return None
    earlier = h.checks.get(v.act.signature)
    if earlier is not None and not earlier.ok:
        return 1.0, f"runs again what failed in step {earlier.index}: {earlier.quote}"
    run = v.act.tests
    again = run is not None and not (run.passed | run.failed).isdisjoint(h.ever_failed)
    if again:
        return 1.0, f"runs tests that failed before: {v.asked}"
    return 0.5, f"runs something else than what failed in step {failing[-1].index}: {v.asked}"


@rule(_INFORMATION, Kind.SUBMIT)
def submits_on_evidence(v: View) -> Finding:
    """What the last check said is heeded."""
    h = v.history
    check = h.last_check
    if check is None:
        return 0.0, "submits without a single check"
    if h.unverified:
        return 0.3, f"submits without a check since step {h.source_edit_at}"
    if not check.ok:
        return 0.0, f"submits although step {check.index} said {check.quote}"
    return 1.0, f"step {check.index} said {check.quote}"


@rule(_INFORMATION, Kind.EDIT)
def learns_from_refusal(v: View) -> Finding:
    """An edit that was refused with the nearest match is tried again with that text."""
    last = v.history.last
    if last is None or last.kind is not Kind.EDIT or last.step.error not in ("not_found", "not_unique"):
        return None
    if not v.step.ok:
        return 0.1, f"is refused again after step {last.index} showed the text: {excerpt(v.act.observation)}"
    return 1.0, f"uses what step {last.index} showed: {excerpt(last.observation)}"


@rule(_INFORMATION)
def takes_up_the_result(v: View) -> Finding:
    """A thought names what the last result showed; a result of a few words informs nothing, nor does silence."""
    last = v.history.last
    if last is None or not v.history.thoughts or v.act.kind is Kind.IDLE:
        return None
    shown = last.text.words
    little = len(shown) < _LITTLE
    if v.step.thought is None:
        return 0.0 if little else 0.3, f"says nothing of what step {last.index} showed: {excerpt(last.observation)}"
    taken = (v.act.meant & shown) - last.meant - last.told
    if taken:
        return 0.6 + 0.4 * min(len(taken), _PLENTY) / _PLENTY, f'takes up "{min(taken)}" from step {last.index}'
    if little:
        return 0.3, f"step {last.index} showed next to nothing to go by: {excerpt(last.observation)}"
    return 0.6, f"names nothing of what step {last.index} showed: {excerpt(v.step.thought)}"


@rule(_INFORMATION)
def builds_on_the_result(v: View) -> Finding:
    """How much a step rests on the last result: on an answer, on its words, by making a change or conclusion of it."""
    last = v.history.last
    if last is None or v.act.kind in (Kind.IDLE, Kind.SUBMIT):
        return None
    taken = v.act.taken(last)
    answered = last.asks and last.step.ok
    makes = v.act.kind is Kind.EDIT and not any(edit.created for edit in v.act.edits)
    makes = makes or (answered and v.act.kind is Kind.THINK)
    share = (min(len(taken), _PLENTY) / _PLENTY + answered + makes + last.step.ok / 2) / 3.5
    words = f'"{min(taken)}"' if taken else "no word"
    verb = "makes something" if makes else "goes on"
    return _ROUTINE + (1 - _ROUTINE) * share, f"{verb} with {words} of what step {last.index} showed: {v.asked}"


@rule(_INFORMATION)
def reads_the_state_rightly(v: View) -> Finding:
    """A refused call shows that the thought before it misread the state: most so when both differ from those before."""
    last = v.history.last
    if last is None or v.act.excused or v.act.kind is Kind.IDLE:
        return None
    refused = v.step.error is not None and not v.step.ok
    misread = (1.0 if last.step.tool != v.step.tool else _STUBBORN) if refused else 0.0
    misread += _UNAWARE if last.kind is Kind.MALFORMED else 0.0
    if not misread:
        return None
    fresh = len(v.act.meant - last.meant) / len(v.act.meant) if v.act.meant else _HALF
    score = 1 - misread / (1 + _UNAWARE) * (_HALF + _HALF * fresh)
    if refused:
        return score, f"is refused after step {last.index}: {failure_line(v.act.observation)}"
    return score, f"comes after a call that does not exist: {excerpt(last.step.action)}"
