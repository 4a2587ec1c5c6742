"""Claude Code: transcripts (`~/.claude/projects/*/*.jsonl`), and what `claude -p --output-format stream-json` prints.

A transcript is a file of JSON lines, one record a piece: an API message is spread over several records that repeat its
`usage`, so pieces are put together by `message.id`. A subagent's conversation is a thread: its records are among the
others (`isSidechain`), or in files of their own beside the transcript, which are read along with it.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...errors import StopReason
from .. import payloads
from .base import Foreign, ForeignEpisode, Sample, Timed, Unread
from .claude_records import Records
from .cut import Cut, Named, merged
from .reading import Row, as_dict, as_float, as_str, head_records, json_rows, moment

__all__ = ["ADAPTER", "LOSES", "About", "ClaudeCode", "transcript_about", "transcript_events"]

LOSES: Mapping[str, str] = {
    "uuid, parentUuid, promptId": "the log is a sequence; a subagent is a thread",
    "sessionId": "kept once, as the key of the episode",
    "cwd, version, gitBranch, userType, entrypoint": "kept once, as the session begins with them",
    "message.role": "says what the record's type says",
    "user/requestId": "that of the answer which made the call",
    "message.usage.service_tier, speed, iterations, server_tool_use": "kept are the token counts",
}
"""What of a record has no place of its own in a log; see `losses`."""

_TYPES = frozenset({"user", "assistant", "system", "summary"})
_PEEK = 400
_STOPS = {
    "success": StopReason.SUBMITTED,
    "error_max_turns": StopReason.STEP_LIMIT,
    "error_max_budget_usd": StopReason.COST_LIMIT,
    "error_during_execution": StopReason.POLICY_ERROR,
}


class ClaudeCode:
    """The adapter. One session is one episode; its task is the session, unless the option `task_id` names it."""

    name = "claude-code"
    version = "2"
    title = "Claude Code transcripts"

    def recognise(self, sample: Sample) -> float:
        """By records that carry a session and one of the types."""
        known = [record for record in head_records(sample.head) if _session(record)]
        messages = [
            record for record in known if record.get("type") in _TYPES and ("uuid" in record or "message" in record)
        ]
        if messages:
            return 0.95
        modes = ("mode", "permission-mode", "file-history-snapshot", "queue-operation", "result")
        return 0.8 if any(record.get("type") in modes for record in known) else 0.0

    def companions(self, path: Path) -> list[Path]:
        """Transcripts of subagents: in the session's folder, or beside it."""
        inside = path.with_suffix("") / "subagents"
        found = sorted(inside.rglob("*.jsonl")) if inside.is_dir() else []
        if path.name.startswith("agent-"):
            return found
        return found + list(_beside(path.parent, path.parent.stat().st_mtime_ns).get(path.stem, ()))

    def episodes(self, path: Path, options: dict[str, Any]) -> Iterator[ForeignEpisode]:
        """The sessions of a file, one after the other."""
        rows = Cut(_merged(path, self.companions(path)), _begins, _is_answer)
        while (first := rows.peek()) is not None:
            yield self._episode(path, rows, first, options)

    def _episode(self, path: Path, rows: Cut, first: list[dict[str, Any]], options: dict[str, Any]) -> ForeignEpisode:
        about = About(first[1:])
        session = next((found for record in first if (found := _session(record))), path.stem)
        return ForeignEpisode(
            key=session,
            task_id=str(options.get("task_id") or session),
            agent=self.name,
            agent_version=about.version or "unknown",
            model=about.model,
            repo=str(options.get("repo") or ""),
            commit=str(options.get("commit") or ""),
            timing="recorded" if about.at else "none",
            events=_events(rows, about),
        )


ADAPTER = ClaudeCode()


class About:
    """What is true of a whole session."""

    def __init__(self, records: list[dict[str, Any]]) -> None:
        self.version: str | None = None
        self.model: str | None = None
        self.cwd: str | None = None
        self.branch: str | None = None
        self.prompt: str = ""
        self.at: datetime | None = None
        for record in records:
            self._take(record)

    def _take(self, record: dict[str, Any]) -> None:
        self.version = self.version or as_str(record.get("version")) or as_str(record.get("claude_code_version"))
        self.cwd = self.cwd or as_str(record.get("cwd"))
        self.branch = self.branch or as_str(record.get("gitBranch"))
        self.at = self.at or moment(record.get("timestamp"))
        message = as_dict(record.get("message"))
        if record.get("type") == "user" and not self.prompt and isinstance(message.get("content"), str):
            self.prompt = message["content"]
        model = as_str(message.get("model"))
        if record.get("type") == "assistant" and model and model != "<synthetic>":
            self.model = self.model or model

    def start(self) -> Timed:
        """The beginning of the episode."""
        task = {"problem_statement": self.prompt} if self.prompt else {}
        branch = {"git_branch": self.branch} if self.branch else {}
        sandbox = {"workdir": self.cwd, **branch} if self.cwd else branch
        return Timed(payload=payloads.EpisodeStart.of(task=task, sandbox=sandbox), t_start=self.at, kind="session")


def transcript_events(path: Path) -> Iterator[Foreign]:
    """The events of a transcript, whatever sessions it holds, without a start of their own; for other adapters."""
    records = Records()
    for _name, row in _merged(path, ClaudeCode().companions(path)):
        yield from _take(records, row, None)
    yield from records.session.rest()


def transcript_about(path: Path) -> About:
    """What the beginning of a transcript says of its session."""
    rows = Cut(_merged(path, []), _begins, _is_answer)
    return About((rows.peek() or [{}])[1:])


def _is_answer(record: dict[str, Any]) -> bool:
    return record.get("type") == "assistant"


def _session(record: dict[str, Any]) -> str | None:
    return as_str(record.get("sessionId")) or as_str(record.get("session_id"))


def _begins(record: dict[str, Any]) -> str | None:
    """The session of a record that goes on with no other record."""
    return None if record.get("parentUuid") is not None else _session(record)


@lru_cache(maxsize=16)
def _beside(folder: Path, _stamp: int) -> dict[str, list[Path]]:
    """Transcripts of subagents that lie beside those of their sessions, by session."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("agent-*.jsonl")):
        with path.open("rb") as file:
            head = head_records(file.read(1 << 16), most=1)
        session = _session(head[0]) if head and head[0].get("isSidechain") is True else None
        if session is not None and (folder / f"{session}.jsonl").is_file():
            found.setdefault(session, []).append(path)
    return found


def _merged(path: Path, companions: list[Path]) -> Iterator[Named]:
    """The rows of all files by time; `name` tells the file of a row that is not the transcript's own."""
    return merged((("", row) for row in json_rows(path)), companions)


def _events(rows: Cut, about: About) -> Iterator[Foreign]:
    yield about.start()
    records = Records()
    for name, row in rows:
        yield from _take(records, row, name)
    yield from records.session.rest()
    if records.outcome is not None:
        yield _end(records.outcome, records.session.steps)


def _take(records: Records, row: Row | Unread, name: str | None) -> Iterator[Foreign]:
    if isinstance(row, Unread):
        yield row
        return
    records.take(row.value, f"{name} {row.where}" if name else row.where)
    yield from records.session.ready()


def _end(result: dict[str, Any], steps: int) -> Timed:
    """The end, as `--output-format stream-json` tells it."""
    said = as_str(result.get("subtype")) or ""
    stop = _STOPS.get(said, StopReason.POLICY_ERROR if result.get("is_error") is True else StopReason.SUBMITTED)
    cost = as_float(result.get("total_cost_usd"))
    known: dict[str, Any] = {} if cost is None else {"cost_usd": cost}
    return Timed(
        payload=payloads.EpisodeEnd.of(stop_reason=stop, message=said or None, steps=steps, **known), kind="end"
    )
