"""Problem statements: what was expected, what happens and how to see it, written from behaviour alone."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .reproductions import Reproduction
from .workshop import Attempt, FailedTest

__all__ = ["Finding", "differing_sides", "injected_statement", "leaks", "release_statement", "words_of"]

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_SHOWN = 400


@dataclass(frozen=True)
class Finding:
    """One behaviour that is wrong, with the evidence of runs before and after."""

    test: str
    """Node id of the failing test; shown only as words."""
    failure: FailedTest
    reproduction: Reproduction | None = None
    before: Attempt | None = None
    after: Attempt | None = None
    scenario: str = ""
    """The test's own statements, when there is no reproduction."""

    @property
    def words(self) -> str:
        """What the test is about."""
        return words_of(self.test)


def words_of(test: str) -> str:
    """What a test is about, from its name."""
    name = test.split("[", 1)[0].rsplit("::", 1)[-1]
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", re.sub(r"^test_?", "", name)).replace("_", " ")
    return spaced.strip().lower() or "basic use"


def _short(text: object, limit: int = _SHOWN) -> str:
    shown = _ADDRESS.sub(" at 0x…", str(text)).strip()
    return shown if len(shown) <= limit else f"{shown[:limit]} …"


def _quoted(text: object, limit: int = _SHOWN) -> str:
    shown = _short(text, limit)
    if "\n" in shown or "`" in shown:
        return f"\n\n```\n{shown}\n```\n"
    return f"`{shown}`"


def _error(name: str | None, message: str) -> str:
    return _quoted(f"{name}: {message}" if message else str(name))


def differing_sides(finding: Finding) -> tuple[str, str, str] | None:
    """Expression, value now, value wanted: of the side of the comparison that differs."""
    before, after, made = finding.before, finding.after, finding.reproduction
    if before is None or after is None or made is None:
        return None
    for expression, now, wanted in ((made.left, before.left, after.left), (made.right, before.right, after.right)):
        if now is not None and wanted is not None and _short(now, 9**9) != _short(wanted, 9**9):
            return expression, now, wanted
    return None


def _did_not_raise(finding: Finding) -> str | None:
    message = finding.before.message if finding.before else finding.failure.message
    found = re.search(r"DID NOT RAISE <class '(?:[\w.]*\.)?(\w+)'>", message)
    return found[1] if found else None


def _expected(finding: Finding) -> str:
    sides = differing_sides(finding)
    if sides:
        return f"`{_short(sides[0], 200)}` is {_quoted(sides[2])}"
    if exception := _did_not_raise(finding):
        return f"`{exception}` is raised."
    before, after, made = finding.before, finding.after, finding.reproduction
    if before is not None and after is not None and made is not None and before.left is None and after.left is not None:
        return f"It runs without an error, and `{_short(made.left, 200)}` is {_quoted(after.left)}"
    if before is not None and before.error == "AssertionError":
        return "The check at the end holds."
    return "It runs without an error and the check holds."


def _actual(finding: Finding) -> str:
    sides = differing_sides(finding)
    if sides:
        return f"`{_short(sides[0], 200)}` is {_quoted(sides[1])}"
    if exception := _did_not_raise(finding):
        return f"No exception is raised (`{exception}` should be)."
    if finding.before is not None and finding.before.error != "AssertionError":
        return f"It fails with {_error(finding.before.error, finding.before.message)}"
    if finding.before is not None and not finding.before.message:
        found = finding.failure.message.removeprefix("AssertionError: ")
        known = f": {_quoted(found, 1200)}" if found.startswith("assert ") else "."
        return f"The check at the end does not hold{known}"
    return f"It fails with {_quoted(finding.failure.message, 1200)}"


def _summary(finding: Finding) -> str:
    sides = differing_sides(finding)
    if sides:
        return f"`{_short(sides[0], 80)}` gives a wrong result"
    if exception := _did_not_raise(finding):
        return f"no `{exception}` where one is due ({finding.words})"
    if finding.before is not None and finding.before.error not in (None, "AssertionError", "Failed"):
        return f"unexpected `{finding.before.error}` ({finding.words})"
    return f"wrong behaviour: {finding.words}"


def _section(finding: Finding) -> list[str]:
    lines: list[str] = []
    if finding.reproduction is not None:
        lines += ["To reproduce:", "", f"```python\n{finding.reproduction.code}\n```", ""]
    elif finding.scenario:
        lines += [f"Where it shows ({finding.words}):", "", f"```python\n{finding.scenario}\n```", ""]
    else:
        lines += [f"It shows in this situation: {finding.words}.", ""]
    return [*lines, f"**What happens:** {_actual(finding)}", "", f"**What is expected:** {_expected(finding)}", ""]


def injected_statement(package: str, version: str, findings: Sequence[Finding]) -> str:
    """The statement of an injected bug."""
    lines = [f"# {package}: {_summary(findings[0])}", "", *_section(findings[0])]
    for finding in findings[1:]:
        lines += [f"## Also: {_summary(finding)}", "", *_section(finding)]
    return "\n".join([*lines, f"Seen with {package} {version} on Python 3.11.", ""])


def release_statement(package: str, version: str, findings: Sequence[Finding], others: Iterable[str]) -> str:
    """The statement of a release: each behaviour that should change, the rest by name."""
    lines = [f"# {package}: {_summary(findings[0])}" + (" and more" if len(findings) > 1 else ""), ""]
    lines += [f"The following does not work as it should in {package} {version} (Python 3.11).", ""]
    for number, finding in enumerate(findings, 1):
        lines += [f"## {number}. {_summary(finding)}", "", *_section(finding)]
    rest = sorted(set(others))
    if rest:
        lines += ["## Also affected", "", *(f"- {words}" for words in rest[:40]), ""]
    return "\n".join(lines)


def leaks(statement: str, patch: str) -> bool:
    """Whether a statement quotes a changed line of the patch."""
    changed = (line[1:].strip() for line in patch.splitlines() if re.match(r"[+-](?![+-]{2} )", line))
    text = " ".join(statement.split())
    return any(len(line) >= 12 and " ".join(line.split()) in text for line in changed)
