"""How many tests passed and failed, as the last lines of a test runner say it.

pytest, cargo and jest say `3 passed, 1 failed`, which the reading of steps knows (`rewards.interpret`); here are the
words of others: unittest and Django, mocha, rspec, PHPUnit, Maven's Surefire, and `go test -v`.
"""

import re
from collections import deque

__all__ = ["counts_in"]

_TAIL = 4_000
_UNITTEST = re.compile(
    r"^Ran (\d+) tests? in [\d.]+s\s+(?:OK|FAILED|NO TESTS RAN)\b[ \t]*(?:\(([^)\n]*)\))?", re.MULTILINE
)
_MOCHA = re.compile(r"^\s*(\d+) (passing|failing)\b", re.MULTILINE)
_RSPEC = re.compile(r"^(\d+) examples?, (\d+) failures?(?:, (\d+) pending)?", re.MULTILINE)
_PHPUNIT = re.compile(r"^(?:OK \((\d+) tests?,|Tests: (\d+), Assertions: \d+(.*))", re.MULTILINE)
_SUREFIRE = re.compile(r"Tests run: (\d+), Failures: (\d+), Errors: (\d+), Skipped: (\d+)")
_GO = re.compile(r"^--- (PASS|FAIL): ", re.MULTILINE)
_NAMED = re.compile(r"([a-z][a-z ]*?)\s*[=:]\s*(\d+)", re.IGNORECASE)
_BAD = ("failures", "errors", "unexpected successes")
_UNDECIDED = ("skipped", "incomplete", "risky")

Counts = tuple[int, int]


def counts_in(output: str) -> Counts | None:
    """Passed and failed tests of the last summary in an output; None where none of these runners summed up."""
    tail = output[-_TAIL:]
    for read in (_unittest, _surefire, _rspec, _phpunit, _mocha):
        if (found := read(tail)) is not None:
            return found
    verdicts = _GO.findall(output)
    return (verdicts.count("PASS"), verdicts.count("FAIL")) if verdicts else None


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return next(iter(deque(pattern.finditer(text), maxlen=1)), None)


def _unittest(text: str) -> Counts | None:
    found = _last(_UNITTEST, text)
    return None if found is None else _rest(int(found[1]), found[2] or "")


def _rest(ran: int, told: str) -> Counts:
    """Of so many tests those that passed are the ones of which nothing else is told."""
    named = {name.strip().lower(): int(count) for name, count in _NAMED.findall(told)}
    bad = sum(named.get(name, 0) for name in _BAD)
    return max(ran - bad - sum(named.get(name, 0) for name in _UNDECIDED), 0), bad


def _surefire(text: str) -> Counts | None:
    found = _last(_SUREFIRE, text)
    if found is None:
        return None
    ran, failures, errors, skipped = map(int, found.groups())
    return max(ran - failures - errors - skipped, 0), failures + errors


def _rspec(text: str) -> Counts | None:
    found = _last(_RSPEC, text)
    if found is None:
        return None
    ran, bad, pending = (int(number or 0) for number in found.groups())
    return max(ran - bad - pending, 0), bad


def _phpunit(text: str) -> Counts | None:
    found = _last(_PHPUNIT, text)
    if found is None:
        return None
    return (int(found[1]), 0) if found[1] else _rest(int(found[2]), found[3])


def _mocha(text: str) -> Counts | None:
    told = {word: int(count) for count, word in _MOCHA.findall(text)}
    return (told.get("passing", 0), told.get("failing", 0)) if told else None
