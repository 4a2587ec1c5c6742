"""Keeping what the grader said beside the episode it was said of."""

from typing import Any

from pydantic import BaseModel

from . import payloads
from .episode_place import EpisodePlace
from .files import as_json
from .log import EventWriter, Header

__all__ = ["VERDICT", "append_verdict", "verdict_payload", "write_verdict_files"]

VERDICT = "verdict.json"
ARTIFACTS = "artifacts"
_LOGS = ("log", "canary_log")


def verdict_payload(verdict: BaseModel) -> payloads.Verdict:
    """The event of a verdict; the logs of its test runs are files of their own."""
    report: dict[str, Any] = verdict.model_dump(mode="json", exclude=set(_LOGS))
    # A grader that could not do its work says nothing about the patch; one that caught a forgery does.
    blamed_on_us = report.get("failure") in ("grader", "environment") and report.get("reason") != "forged"
    return payloads.Verdict.of(
        resolved=None if blamed_on_us else report.get("resolved"),
        outcome=report.get("reason"),
        patch_sha256=report.get("patch_sha256"),
        report=report,
    )


def write_verdict_files(place: EpisodePlace, verdict: BaseModel) -> None:
    """Write `verdict.json`, and the logs under `artifacts/`."""
    for name in _LOGS:
        text = getattr(verdict, name, "")
        if text:
            place.write(f"{ARTIFACTS}/grader_{name}.txt", text)
    place.write(VERDICT, as_json(verdict.model_dump(mode="json", exclude=set(_LOGS))))


def append_verdict(place: EpisodePlace, header: Header, verdict: BaseModel, *, duration_ms: float) -> None:
    """Add a verdict to an episode that has ended."""
    write_verdict_files(place, verdict)
    with EventWriter(place.open_log("episode"), header) as writer:
        writer.write(verdict_payload(verdict), duration_ms=duration_ms)
