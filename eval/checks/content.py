"""Checks of what was said: the same episode twice, credentials, and the sizes of things."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from statistics import median
from typing import Any

from ...rollouts.events import EpisodeStartEvent, LlmRequestEvent, LlmResponseEvent
from ...rollouts.quality import find_secrets
from ...rollouts.trajectory import Trajectory
from .finding import Finding
from .record import Record

__all__ = ["Statistics", "duplicates", "secrets"]

_LANGUAGES = {
    ".c": "C", ".cc": "C++", ".cpp": "C++", ".go": "Go", ".h": "C", ".java": "Java", ".js": "JavaScript",
    ".php": "PHP", ".py": "Python", ".pyi": "Python", ".rb": "Ruby", ".rs": "Rust", ".sh": "Shell",
    ".ts": "TypeScript", ".tsx": "TypeScript",
}  # fmt: skip


def duplicates(digests: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """Episodes of one task in which the same was done and seen, by what both have in common."""
    for names in digests.values():
        if len(names) > 1:
            yield Finding.warning("duplicates", names[0], f"the same episode as {', '.join(names[1:])}")


def secrets(record: Record) -> Iterator[Finding]:
    """Credentials in anything that an agent said or saw. Shown masked."""
    seen: set[str] = set()
    for where, text in _texts(record):
        for secret in find_secrets(text):
            if secret.masked not in seen:
                seen.add(secret.masked)
                yield Finding.warning("secrets", f"{record.name} {where}", f"{secret.kind}: {secret.masked}")


def _texts(record: Record) -> Iterator[tuple[str, str]]:
    for event in record.events:
        match event:
            case EpisodeStartEvent(payload=start):
                yield "first observation", start.observation
            case LlmRequestEvent(payload=request):
                for message in request.messages:
                    yield f"request {request.request_id}", str(message.get("content") or "")
            case LlmResponseEvent(payload=response):
                yield f"response {response.request_id}", f"{response.content or ''}\n{response.reasoning or ''}"
            case _:
                pass
    found = record.trajectory
    for step in found.steps if found is not None else ():
        yield f"step {step.index}", f"{step.action}\n{step.observation}\n{step.thought or ''}"
    if found is not None and found.patch is not None:
        yield "final patch", found.patch.patch


class Statistics:
    """Sizes, tools, outcomes and languages of a run, taken up one trajectory at a time."""

    def __init__(self) -> None:
        self._sizes: dict[str, list[int]] = {"steps": [], "characters": [], "patch_lines": []}
        self._tools: Counter[str] = Counter()
        self._ends: Counter[str] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._languages: Counter[str] = Counter()
        self._tasks: set[str] = set()

    def add(self, found: Trajectory) -> None:
        """Take a trajectory into account."""
        self._tasks.add(found.header.task_id)
        self._sizes["steps"].append(len(found.steps))
        self._sizes["characters"].append(sum(len(step.action) + len(step.observation) for step in found.steps))
        self._tools.update(step.tool or "malformed action" for step in found.steps)
        self._ends[str(found.end.stop_reason) if found.end is not None else "did not end"] += 1
        verdict = found.verdict
        self._outcomes["not graded" if verdict is None else str(verdict.outcome or verdict.resolved)] += 1
        if found.patch is not None:
            self._sizes["patch_lines"].append(found.patch.lines_added + found.patch.lines_removed)
            suffixes = {PurePosixPath(path).suffix for path in found.patch.files}
            self._languages.update(_LANGUAGES.get(suffix, "other") for suffix in suffixes)

    def figures(self) -> dict[str, Any]:
        """Everything as plain data."""
        sizes = {name: _spread(values) for name, values in self._sizes.items() if values}
        return {
            "tasks": len(self._tasks),
            **sizes,
            "tools": dict(self._tools.most_common()),
            "stop_reasons": dict(self._ends.most_common()),
            "outcomes": dict(self._outcomes.most_common()),
            "languages_of_patches": dict(self._languages.most_common()),
        }


def _spread(values: Sequence[int]) -> dict[str, float]:
    return {"min": min(values), "median": median(values), "max": max(values), "sum": sum(values)}
