"""Argument correctness: were the arguments valid, true to the repository, and the ones that were needed?"""

import posixpath

from ..acts import LIMIT_ERRORS
from ..shell import Kind
from ..text import excerpt, failure_line, listed, telling, telling_words
from .base import Finding, View, rule

__all__: list[str] = []

_ARGUMENTS = "argument_correctness"
_REFUSED = {"not_unique": 0.3, "out_of_range": 0.2, "is_directory": 0.4, "no_change": 0.1, "too_large": 0.4}
_MISUSE = ("No such file or directory", "unrecognized arguments", "invalid option", "usage:", "Usage:", "cannot access",
           "not a git repository", "unexpected EOF", "syntax error")  # fmt: skip
_WELL_KNOWN = listed(
    ". README.md README.rst setup.py setup.cfg pyproject.toml src tests test docs Makefile package.json"
)
_MANY_MATCHES = 100
_NEED_ARGUMENTS = (Kind.READ, Kind.SEARCH, Kind.EDIT, Kind.MALFORMED)
_NAMED = 0.5
"""Share of the words of a call, or of a shorter thought, that the other names when both are about the same."""


@rule(_ARGUMENTS, Kind.MALFORMED, decisive=True)
def well_formed(v: View) -> Finding:
    """An action that is no valid tool call."""
    return 0.0, f"is not a valid call: {excerpt(v.step.action)} was answered {excerpt(v.act.observation)}"


@rule(_ARGUMENTS)
def accepted(v: View) -> Finding:
    """A tool did what it was asked to, or refused its arguments."""
    if v.act.kind is Kind.SUBMIT or v.act.shell is not None or v.act.excused or v.step.error in LIMIT_ERRORS:
        return None
    if v.step.ok:
        return 1.0, f"{v.step.tool} accepted {v.asked}"
    score = _REFUSED.get(v.step.error or "", 0.0)
    return score, f"{v.step.tool} refused {v.asked} ({v.step.error}): {excerpt(v.act.observation)}"


@rule(_ARGUMENTS)
def command_runs(v: View) -> Finding:
    """A command exists, knows its options and finds its files; a program that then fails is another matter."""
    if v.act.shell is None or v.act.kind is Kind.IDLE or v.act.excused or v.step.error in LIMIT_ERRORS:
        return None
    code = v.step.exit_code
    if code in (126, 127):
        return 0.0, f"{v.asked} cannot be run: {failure_line(v.act.observation)}"
    if code and any(mark in v.act.observation[-2_000:] for mark in _MISUSE):
        return 0.2, f"{v.asked} is misused: {failure_line(v.act.observation)}"
    return 1.0, f"{v.asked} runs" + (f" (exit code {code})" if code else "")


@rule(_ARGUMENTS, Kind.READ, Kind.SEARCH, Kind.EDIT, Kind.TEST, Kind.RUN, Kind.VCS)
def grounded_path(v: View) -> Finding:
    """Paths come from what was seen or from the statement; a path out of nowhere that is wrong was made up."""
    path = next((path for path in v.act.paths if path not in _WELL_KNOWN), None)
    if path is None or any(edit.created and edit.changed for edit in v.act.edits):
        return None
    state = v.history.known(path)
    wrong = (v.step.error == "not_found" and v.step.tool != "file_edit") or _missing(v)
    if state is not None and state.missing and wrong:
        return 0.0, f"asks again for {path}, which was not there before"
    if wrong:
        return _made_up(v, path)
    at = v.history.shown(path)
    if state is not None and (state.read_at is not None or state.found_at is not None or state.edits):
        return 1.0, f"{path} was found, read or written before"
    if at is not None:
        return (1.0, f"step {at} showed {path}") if at >= 0 else (0.9, f"a listing showed {path}")
    if v.task.states(path):
        return 1.0, f"the statement names {path}"
    return 0.7, f"guesses {path}, and is right"


def _missing(v: View) -> bool:
    return v.act.shell is not None and v.act.failed and "No such file" in v.act.observation[-1_000:]


def _made_up(v: View, path: str) -> Finding:
    name = posixpath.basename(path)
    shown = (known for known, state in v.history.files.items() if not state.missing and known != path)
    other = next((known for known in shown if posixpath.basename(known) == name), None)
    if other is not None:
        return 0.0, f"asks for {path} although {other} was shown: {failure_line(v.act.observation)}"
    return 0.1, f"makes up {path}: {failure_line(v.act.observation)}"


@rule(_ARGUMENTS, Kind.SEARCH)
def grounded_pattern(v: View) -> Finding:
    """What is searched for was seen before or stands in the statement, or at least exists."""
    pattern = next(iter(v.act.patterns), None)
    if pattern is None:
        return None
    words = telling_words(pattern)
    if not words:
        return 0.3, f"searches for hardly anything: {excerpt(pattern)}"
    if any(word in v.task.words for word in words):
        return 1.0, f"searches for what the statement says: {excerpt(pattern)}"
    seen = next((v.history.words[word] for word in words if word in v.history.words), None)
    if seen is not None:
        return 1.0, f"searches for what was seen: {excerpt(pattern)}"
    return (0.5 if v.act.hits else 0.2), f"searches for what nothing named before: {excerpt(pattern)}"


@rule(_ARGUMENTS, Kind.SEARCH)
def search_yields(v: View) -> Finding:
    """A search should bring something, and not everything."""
    if v.act.failed:
        return None
    matches = v.step.data.get("matches")
    found = matches if isinstance(matches, int) else len(v.act.hits)
    if found == 0 and not v.act.hits:
        return 0.2, f"finds nothing: {v.asked}"
    if found > _MANY_MATCHES or v.act.flooded:
        return 0.4, f"finds more than can be looked at ({found}): {v.asked}"
    return 1.0, f"finds {found}, first in {v.act.hits[0] if v.act.hits else 'unnamed files'}: {v.asked}"


@rule(_ARGUMENTS, Kind.READ)
def range_fits(v: View) -> Finding:
    """A range lies inside the file, and shows something worth a step."""
    start, end = v.step.arguments.get("start"), v.step.arguments.get("end")
    total = v.step.data.get("total_lines")
    if v.step.error == "out_of_range":
        return 0.0, f"asks for lines {start} to {end} of {total}"
    span = next(iter(v.act.spans), None)
    if span is None or not span.asked or span.end is None:
        return None
    shown = span.end - span.start + 1
    rest = isinstance(total, int) and shown >= total
    if shown < 5 and not rest:
        return 0.4, f"reads only {shown} lines of {span.path}"
    return 1.0, f"reads lines {span.start} to {span.end} of {span.path}"


@rule(_ARGUMENTS, Kind.EDIT)
def replaced_text_known(v: View) -> Finding:
    """The text to be replaced is copied from what was shown, not remembered or made up."""
    old = v.step.arguments.get("old")
    if v.step.tool != "file_edit" or not isinstance(old, str):
        return None
    line = max((item.strip() for item in old[:8_000].splitlines()), key=len, default="")
    if len(line) < 4:
        return None
    source = next((act for act in reversed(v.history.recent) if line in act.observation), None)
    if v.step.ok:
        if source is not None:
            return 1.0, f"replaces {excerpt(line)}, shown in step {source.index}"
        return 0.7, f"replaces {excerpt(line)}, which recent steps did not show"
    if source is not None:
        return (
            0.3,
            f"{excerpt(line)} was shown in step {source.index}, yet the whole does not match ({v.step.error})",
        )
    return 0.0, f"makes up {excerpt(line)}: {excerpt(v.act.observation)}"


@rule(_ARGUMENTS, Kind.TEST)
def selects_real_tests(v: View) -> Finding:
    """A test run that names tests runs some."""
    run = v.act.tests
    if run is None or v.act.excused or v.step.error is not None:
        return None
    if sum(run.counts):
        passed, bad = run.counts
        return 1.0, f"runs {passed + bad} tests: {v.asked}"
    return 0.2, f"runs no test: {failure_line(v.act.observation)}"


@rule(_ARGUMENTS)
def corrects_itself(v: View) -> Finding:
    """After its arguments were refused, the next call of the tool has other ones that are right."""
    last = v.history.last
    if last is None or last.excused or last.step.error in LIMIT_ERRORS or last.step.error is None:
        return None
    if last.step.tool != v.step.tool:
        return None
    if v.act.signature == last.signature:
        return 0.0, f"repeats what step {last.index} was refused: {failure_line(last.observation)}"
    if v.step.error == last.step.error:
        return 0.1, f"is refused as step {last.index} was ({v.step.error}): {failure_line(v.act.observation)}"
    return (1.0 if v.step.ok else 0.4), f"corrects step {last.index} ({last.step.error}): {v.asked}"


@rule(_ARGUMENTS)
def says_what_it_does(v: View) -> Finding:
    """A call is about what the thought before it is about, and an agent that says why it acts says it each time."""
    if v.act.kind in (Kind.IDLE, Kind.SUBMIT):
        return None
    if v.step.thought is None:
        if not v.history.thoughts:
            return None
        return 0.1, f"acts without a word of why, as it gave before: {v.asked}"
    told = telling(v.act.told)
    if not told and v.act.kind not in _NEED_ARGUMENTS:
        return None
    named = told & v.act.meant
    share = min(1.0, len(named) / (_NAMED * max(1, min(len(told), len(v.act.meant)))))
    score = (0.0 if v.act.kind is Kind.MALFORMED else 0.3) + 0.7 * share
    what = f'"{min(named)}"' if named else "nothing"
    return score, f"its thought names {what} of what it calls: {v.asked}"
