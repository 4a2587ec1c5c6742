"""What the canaries did, by a log's statuses, beside what they had to do."""

import re
from collections.abc import Mapping

from ..verdict import CanaryKind, CanaryResult
from .model import Canary, Planted, squash

__all__ = ["judge"]

_PASSED = ("PASSED", "XFAIL")
_FAILED = ("FAILED", "ERROR")


def judge(planted: Planted, statuses: Mapping[str, str]) -> tuple[CanaryResult, ...]:
    """Compare what every canary did, by a log's statuses, with what it had to do."""
    return tuple(_judge(canary, statuses) for canary in planted.canaries)


def _judge(canary: Canary, statuses: Mapping[str, str]) -> CanaryResult:
    if canary.kind is CanaryKind.COPY:
        return _judge_copy(canary, statuses)
    if canary.kind is CanaryKind.BROKEN_ORIGINAL:
        seen = sorted({statuses.get(test, "missing") for test in canary.of})
    else:
        seen = _seen(canary, statuses)
    wanted = _PASSED if canary.kind is CanaryKind.MUST_PASS else _FAILED
    return CanaryResult(
        name=canary.name,
        kind=canary.kind,
        file=canary.file,
        of=canary.of[0] if canary.of else None,
        expected="passed" if wanted is _PASSED else "failed",
        seen=", ".join(seen) or None,
        ok=bool(seen) and all(status in wanted for status in seen),
    )


def _seen(canary: Canary, statuses: Mapping[str, str]) -> list[str]:
    """The statuses under a canary's name. Outside Python a log may space, case and surround the name differently."""
    if canary.python:
        return sorted({status for test, status in statuses.items() if _mentions(test, canary.name)})
    name = squash(canary.name).removeprefix("test")
    named = {test: status for test, status in statuses.items() if name in squash(test)}
    whole = {status for test, status in named.items() if squash(test).endswith(name)}
    return sorted(whole or set(named.values()))


def _judge_copy(canary: Canary, statuses: Mapping[str, str]) -> CanaryResult:
    if canary.python:
        pairs = [(statuses.get(test), statuses.get(_renamed(test, canary))) for test in canary.of]
    else:
        copy = ", ".join(_seen(canary, statuses)) or None
        pairs = [(statuses.get(test), copy) for test in canary.of]
    differing = next((pair for pair in pairs if pair[0] != pair[1]), pairs[0])
    return CanaryResult(
        name=canary.name,
        kind=canary.kind,
        file=canary.file,
        of=canary.of[0],
        expected=f"as the original: {differing[0]}",
        seen=differing[1],
        ok=all(original is not None and original == copy for original, copy in pairs),
    )


def _renamed(test: str, canary: Canary) -> str:
    """The id that the copy of a test has in the log."""
    if "::" in test:
        head, _, last = test.rpartition("::") if "[" not in test else _rpartition_before_bracket(test)
        return f"{head}::{canary.name}{last[len(canary.function) :]}"
    word = re.compile(rf"(?<!\w){re.escape(canary.function)}(?=\)|\s|$)")
    return word.sub(canary.name, test)


def _rpartition_before_bracket(test: str) -> tuple[str, str, str]:
    stem, bracket, rest = test.partition("[")
    head, colons, last = stem.rpartition("::")
    return head, colons, last + bracket + rest


def _mentions(test: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", test) is not None
