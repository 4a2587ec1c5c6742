"""Outcomes of other harnesses: reports of the official one, with its predictions where they are at hand, and plain
verdicts by instance id.

Such files carry no task digests, no environment and no hash chain: what can be compared is the set of tasks. Counted as
in the official harness: an empty patch, and an evaluation that ended in an error, are not resolved; only what it
classifies as the environment's fault is excluded.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from ...envs.predictions import read_predictions
from ...rollouts.files import sha256_of
from .outcomes import Attempt, Outcomes, repository_of
from .report import Evidence
from .unusable import Unusable, refuse

__all__ = ["read_reports"]

_IDS = ("submitted_ids", "resolved_ids", "unresolved_ids", "empty_patch_ids", "error_ids", "infra_failure_ids")
_PATCHES = "patch.diff"
Ids = Mapping[str, frozenset[str]]


def read_reports(reports: Sequence[tuple[Path, Path | None]]) -> Outcomes:
    """The outcomes of one model from a report for each seed, each with its predictions where these are at hand.

    A report is one of the official harness (`MODEL.RUN.json`), one of `trajhub grade`, or an object of booleans by
    instance id (SWE-bench Pro). Raises Unusable when it is none of these, or contradicts itself or its predictions.
    """
    attempts = dict[tuple[str, int], Attempt]()
    submitted = list[frozenset[str]]()
    for seed, (path, predictions) in enumerate(reports):
        ids = _ids(path, predictions)
        submitted.append(ids["submitted_ids"])
        attempts |= {(name, seed): _attempt(name, seed, ids, path) for name in sorted(submitted[-1])}
        different = [f"{name}: not in both" for name in sorted(submitted[0] ^ submitted[-1])]
        refuse(f"{reports[0][0]} and {path} are of other tasks", different, "Seeds of one side share their tasks.")
    evidence = (
        Evidence(path=str(path), kind="report", sha256=sha256_of(path), episodes=len(submitted[0]))
        for path, _ in reports
    )
    return Outcomes(
        evidence=tuple(evidence),
        attempts=attempts,
        repositories={name: repository_of(name) for name in submitted[0]},
        settings={
            "kind": "report",
            "tasks": dict.fromkeys(sorted(submitted[0]), "known by name only"),
            "seeds": list(range(len(reports))),
        },
    )


def _ids(path: Path, predictions: Path | None) -> Ids:
    content = _read(path)
    if all(isinstance(value, bool) for value in content.values()):
        resolved = {name for name, value in content.items() if value}
        ids: Ids = {"submitted_ids": frozenset(content), "resolved_ids": frozenset(resolved)}
    elif "ids_by_reason" in content:
        ids = _from_grade(content)
    elif "submitted_ids" in content and "resolved_ids" in content:
        ids = {name: frozenset(map(str, content.get(name) or ())) for name in _IDS}
    else:
        raise Unusable(
            f"{path} is no report: it should hold submitted_ids and resolved_ids (official harness), ids_by_reason "
            "(`trajhub grade`), or true or false by instance id"
        )
    problems = [*_contradictions(content, ids), *_beside(path, ids)]
    if predictions is not None:
        problems += _against(ids, read_predictions(str(predictions)), path)
    refuse(f"{path} cannot be trusted", problems, "Grade the predictions again: `trajhub eval`.")
    return ids


def _attempt(name: str, seed: int, ids: Ids, path: Path) -> Attempt:
    spoilt = name in ids.get("infra_failure_ids", frozenset())
    return Attempt(
        task=name,
        seed=seed,
        resolved=name in ids["resolved_ids"],
        excluded="environment" if spoilt else None,
        where=str(path),
    )


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Unusable(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise Unusable(f"{path} is not JSON: {error}") from None
    if not isinstance(content, dict) or not content:
        raise Unusable(f"{path} should hold an object, and not an empty one")
    return cast("Mapping[str, Any]", content)


def _from_grade(content: Mapping[str, Any]) -> Ids:
    reasons = cast("Mapping[str, Sequence[str]]", content["ids_by_reason"])
    return {
        "submitted_ids": frozenset(name for names in reasons.values() for name in names),
        "resolved_ids": frozenset(content.get("resolved_ids") or ()),
        "infra_failure_ids": frozenset(content.get("not_counted_ids") or ()),
    }


def _contradictions(content: Mapping[str, Any], ids: Ids) -> Iterator[str]:
    """A report's lists and counts agree with each other."""
    submitted = ids["submitted_ids"]
    for name, found in ids.items():
        if strange := sorted(found - submitted):
            yield f"{name} names {strange[0]}, for which nothing was submitted"
        count = content.get(name.replace("_ids", "_instances"))
        if isinstance(count, int) and not isinstance(count, bool) and count != len(found):
            yield f"{name} holds {len(found)} ids; the report counts {count}"
    for name in ("unresolved_ids", "empty_patch_ids", "error_ids", "infra_failure_ids"):
        if both := sorted(ids["resolved_ids"] & ids.get(name, frozenset())):
            yield f"{both[0]} is both in resolved_ids and in {name}"
    if "unresolved_ids" in ids:
        judged = ids["resolved_ids"] | ids["unresolved_ids"] | ids["empty_patch_ids"] | ids["error_ids"]
        if open_ones := sorted(submitted - judged):
            yield f"{open_ones[0]} was submitted and has no outcome"


def _beside(report: Path, ids: Ids) -> Iterator[str]:
    """The verdicts that `trajhub grade` wrote beside its report say the same."""
    for name in sorted(ids["submitted_ids"]):
        path = report.parent / name / "verdict.json"
        if path.is_file() and _read(path).get("resolved") is not (name in ids["resolved_ids"]):
            yield f"{name}: {path} says otherwise"


def _against(ids: Ids, patches: Mapping[str, str | None], report: Path) -> Iterator[str]:
    """A report is about these predictions."""
    for name in sorted(ids["submitted_ids"] ^ patches.keys()):
        yield f"{name} is in {'the predictions' if name in patches else 'the report'} only"
    for name in sorted(ids["resolved_ids"] & patches.keys()):
        if not (patches[name] or "").strip():
            yield f"{name} is resolved, and its prediction holds no patch"
    for name in sorted(ids["submitted_ids"] & patches.keys()):
        graded = _graded_patch(report, name)
        if graded is not None and graded.strip() != (patches[name] or "").strip():
            yield f"{name}: the patch that was graded is not the one in the predictions"


def _graded_patch(report: Path, name: str) -> str | None:
    """The patch that the official harness kept beside its log; None when the logs are not beside the report.

    The harness writes MODEL.RUN.json where it was started, and logs/run_evaluation/RUN/MODEL/ID/patch.diff below.
    """
    for logs in (report.parent / "logs" / "run_evaluation", report.parent):
        model, _, run = report.stem.rpartition(".")
        path = logs / run / model / name / _PATCHES
        if path.is_file():
            return path.read_text(encoding="utf-8", errors="surrogateescape")
    return None
