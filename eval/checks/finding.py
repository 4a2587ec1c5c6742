"""What a check finds, and what a whole examination says."""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["CheckReport", "Finding", "Severity"]


class Severity(StrEnum):
    """How bad it is."""

    ERROR = "error"
    """The record contradicts itself, or its models: it must not be used."""
    WARNING = "warning"
    """It may be used knowingly: something is missing, doubled or private."""
    NOTE = "note"
    """A check that could not be made, and why."""


class Finding(BaseModel):
    """One thing that a check found."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    check: str
    """Name of the check."""
    severity: Severity
    where: str
    """File and line, or episode and step."""
    message: str

    @classmethod
    def error(cls, check: str, where: str, message: str) -> "Finding":
        """A contradiction."""
        return cls(check=check, severity=Severity.ERROR, where=where, message=message)

    @classmethod
    def warning(cls, check: str, where: str, message: str) -> "Finding":
        """Something to know."""
        return cls(check=check, severity=Severity.WARNING, where=where, message=message)

    @classmethod
    def note(cls, check: str, where: str, message: str) -> "Finding":
        """A check that could not be made."""
        return cls(check=check, severity=Severity.NOTE, where=where, message=message)


class CheckReport(BaseModel):
    """What an examination says. `ok` is about errors alone."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    subject: str
    """The run or dataset."""
    items: int
    """Episodes, or rows."""
    checks: Mapping[str, int]
    """How many findings each check made; every check that was made is listed."""
    findings: tuple[Finding, ...]
    seal: str | None = None
    """One figure for the whole run (see `rollouts.chain.seal_of`): compare it with the one that was published."""
    statistics: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    """Sizes, languages and counts."""

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)

    def count(self, severity: Severity) -> int:
        """Findings of that severity."""
        return sum(finding.severity is severity for finding in self.findings)


def tally(names: Iterable[str], findings: Iterable[Finding]) -> dict[str, int]:
    """Findings by check, checks that found nothing included."""
    counts = Counter(finding.check for finding in findings)
    return {name: counts[name] for name in names}
