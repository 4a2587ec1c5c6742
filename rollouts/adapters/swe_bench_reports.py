"""Reports of SWE-bench's harness (of a run, of an instance, of its first version), and Pro's results by instance."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import Failure
from .. import payloads
from .reading import as_dict, as_list, read_json

__all__ = ["Report", "Said", "is_report", "read_report", "verdicts"]

_STATES: Mapping[str, tuple[bool | None, str]] = {
    "resolved_ids": (True, "resolved"),
    "unresolved_ids": (False, "unresolved"),
    "empty_patch_ids": (False, "empty_patch"),
    "error_ids": (None, "error"),
}
"""What the lists of a run's report say of their instances."""
_BROKE: Mapping[str, str] = {
    "out_of_memory": "cannot allocate memory",
    "container_unavailable": "cannot connect to the docker daemon",
    "network_unreachable": "network is unreachable",
    "browser_launch_failed": "a browser could not be started",
    "display_unavailable": "there is no display",
}
"""What SWE-bench's harness lays on the environment, by its own names, in the words of what breaks."""
_OLD: Mapping[str, tuple[bool | None, str]] = {
    "resolved": (True, "resolved"),
    "applied": (False, "unresolved"),
    "no_generation": (False, "empty_patch"),
    "with_logs": (None, "error"),
}


@dataclass(frozen=True, slots=True)
class Said:
    """What a report says of one instance."""

    resolved: bool | None
    outcome: str
    report: Mapping[str, Any]

    def verdict(self, patch_sha256: str | None) -> payloads.Verdict:
        """As an event's payload."""
        return payloads.Verdict.of(
            resolved=self.resolved, outcome=self.outcome, patch_sha256=patch_sha256, report=dict(self.report)
        )


def is_report(value: Any) -> bool:
    """Whether a document is a report of some kind."""
    found = as_dict(value)
    if isinstance(found.get("resolved_ids"), list):
        return "submitted_ids" in found or "total_instances" in found or "completed_ids" in found
    if isinstance(found.get("resolved"), list):
        return "generated" in found or "no_generation" in found
    return bool(found) and (_by_instance(found) or _by_result(found))


def _by_instance(found: Mapping[str, Any]) -> bool:
    return all(_is_graded(as_dict(value)) for value in found.values())


def _is_graded(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("resolved"), bool) and (
        "patch_exists" in value or "patch_successfully_applied" in value
    )


def _by_result(found: Mapping[str, Any]) -> bool:
    return all(isinstance(value, bool) and "__" in key for key, value in found.items())


@dataclass(frozen=True, slots=True)
class Report:
    """What was read of a report."""

    said: Mapping[str, Said]
    """By instance."""
    untried: Sequence[str] = ()
    """Instances that nobody predicted."""
    problem: str | None = None
    """Why it could not be read to its end."""


def read_report(path: Path) -> Report:
    """What a report says. Raises NotJson."""
    value, problem = read_json(path, partial=True)
    found = as_dict(value)
    return Report(dict(verdicts(found)), _names(found, "incomplete_ids"), problem)


def verdicts(report: Mapping[str, Any]) -> Iterator[tuple[str, Said]]:
    """Each instance and what is said of it."""
    if isinstance(report.get("resolved_ids"), list):
        yield from _listed(report, _STATES)
    elif isinstance(report.get("resolved"), list):
        yield from _listed(report, _OLD)
    else:
        for instance, value in report.items():
            if isinstance(value, bool):
                yield instance, Said(value, "resolved" if value else "unresolved", {"resolved": value})
            elif isinstance(as_dict(value).get("resolved"), bool):
                yield instance, _graded(as_dict(value))


def _listed(report: Mapping[str, Any], states: Mapping[str, tuple[bool | None, str]]) -> Iterator[tuple[str, Said]]:
    reasons, infra = as_dict(report.get("failure_reasons")), set(_names(report, "infra_failure_ids"))
    ambiguous = set(_names(report, "ambiguous_failure_ids"))
    told = set[str]()
    for name, (resolved, outcome) in states.items():
        for instance in _names(report, name):
            if instance in told:
                continue
            told.add(instance)
            facts: dict[str, Any] = {"resolved": resolved, "list": name}
            if instance in reasons:
                facts["failure_reason"] = reasons[instance]
            if instance in ambiguous:
                facts["ambiguous_failure"] = True
            if instance in infra and resolved is not True:
                yield instance, _infra_failure(facts, reasons.get(instance))
            else:
                yield instance, Said(resolved, outcome, facts)


def _infra_failure(facts: Mapping[str, Any], reason: Any) -> Said:
    """The tests could not be run: what broke is to blame where the harness names it, else the harness itself."""
    known = reason if isinstance(reason, str) and reason in _BROKE else None
    blamed = Failure.GRADER if known is None else Failure.ENVIRONMENT
    detail = "its own infrastructure failed, says the harness" + (f": {_BROKE[known]}" if known else "")
    return Said(None, "infra_failure", {**facts, "failure": str(blamed), "detail": detail})


def _names(report: Mapping[str, Any], name: str) -> list[str]:
    return [item for item in as_list(report.get(name)) if isinstance(item, str)]


def _graded(value: dict[str, Any]) -> Said:
    resolved = value["resolved"]
    if value.get("infra_failure") is True and not resolved:
        return _infra_failure(value, value.get("infra_failure_reason"))
    if value.get("patch_exists") is False or value.get("patch_is_None") is True:
        return Said(False, "empty_patch", value)
    if value.get("patch_successfully_applied") is False:
        return Said(False, "patch_not_applied", value)
    return Said(resolved, "resolved" if resolved else "unresolved", value)
