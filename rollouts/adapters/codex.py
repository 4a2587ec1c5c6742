"""Codex: rollout files (`~/.codex/sessions/…/rollout-*.jsonl`), of the current shape and of the first one.

A record is `{timestamp, type, payload}`. What the model said comes as `response_item`s, and `event_msg/token_count`
ends an answer with its token counts; without them an answer ends where the model goes on after hearing something.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from .. import payloads
from .base import Foreign, ForeignEpisode, Sample, Timed, Unread
from .codex_kinds import CALLS, ITEMS
from .codex_records import Records
from .cut import Cut
from .reading import as_dict, as_str, as_text, head_records, json_rows, moment

__all__ = ["ADAPTER", "LOSES", "Codex"]

LOSES: Mapping[str, str] = {
    "token_usage_record/thread_token_usage, turn_token_usage": "running totals; kept is what each answer used",
    "token_usage_record/thread_id, session_id, turn_id, root_turn_id": "those of the session and its turn",
    "ordinal, metadata": "the place of a record in the program's own history; the log has an order of its own",
    "response_item/message/id": "of an answer that nothing follows; that of others is in the messages that follow",
    "response_item/custom_tool_call_output/timestamp": "where the program tells when a call ended, that is kept",
}
"""What of a record has no place of its own in a log; see `losses`."""

_TYPES = frozenset({"session_meta", "turn_context", "response_item", "event_msg", "compacted"})


class Codex:
    """The adapter. One session is one episode; its task is the session, unless the option `task_id` names it."""

    name = "codex"
    version = "2"
    title = "Codex rollouts"

    def recognise(self, sample: Sample) -> float:
        """By the types of the first records."""
        records = head_records(sample.head)
        if any(record.get("type") in _TYPES and isinstance(record.get("payload"), dict) for record in records):
            return 0.95
        first = records[0] if records else {}
        old = "id" in first and "timestamp" in first and ("instructions" in first or "git" in first)
        return 0.7 if old and any(record.get("type") in ITEMS for record in records[1:]) else 0.0

    def episodes(self, path: Path, options: dict[str, Any]) -> Iterator[ForeignEpisode]:
        """The sessions of a file, one after the other."""
        begins = _Begins()
        rows = Cut((("", row) for row in json_rows(path)), begins, _is_asked)
        while (first := rows.peek()) is not None:
            about = _About(first[1:])
            yield self._episode(about, rows, about.session or path.stem, options)

    def _episode(self, about: "_About", rows: Cut, session: str, options: dict[str, Any]) -> ForeignEpisode:
        return ForeignEpisode(
            key=session,
            task_id=str(options.get("task_id") or session),
            agent=self.name,
            agent_version=about.version or "unknown",
            model=about.model,
            repo=str(options.get("repo") or about.repo),
            commit=str(options.get("commit") or about.commit),
            timing="recorded" if about.at is not None else "none",
            events=_events(rows, about),
        )


ADAPTER = Codex()


def _is_asked(record: dict[str, Any]) -> bool:
    """Whether a session is asked its first question with this record, or answers already."""
    payload = as_dict(record.get("payload")) or record
    if as_dict(payload.get("item")).get("type") == "UserMessage" or payload.get("type") == "user_message":
        return True
    return payload.get("type") in CALLS or payload.get("role") == "assistant"


class _Begins:
    """Tells where a session begins; a file that repeats the history of another session is one session all the same."""

    def __init__(self) -> None:
        self._repeats = False

    def __call__(self, record: dict[str, Any]) -> str | None:
        payload = as_dict(record.get("payload"))
        if record.get("type") != "session_meta":
            return as_str(record.get("id")) if "type" not in record and "timestamp" in record else None
        if self._repeats:
            return None
        self._repeats = "forked_from_id" in payload or "subagent" in as_dict(payload.get("source"))
        return as_str(payload.get("id"))


class _About:
    """What is true of a whole session."""

    def __init__(self, records: list[dict[str, Any]]) -> None:
        self.session: str | None = None
        self.version: str | None = None
        self.model: str | None = None
        self.cwd: str | None = None
        self.at: datetime | None = None
        self.repo = self.commit = self.prompt = ""
        for record in records:
            self._take(record)

    def _take(self, record: dict[str, Any]) -> None:
        payload = as_dict(record.get("payload"))
        self.at = self.at or moment(record.get("timestamp"))
        if record.get("type") == "session_meta" or ("type" not in record and "id" in record):
            self._meta(payload or record)
        elif record.get("type") == "turn_context":
            self.model = self.model or as_str(payload.get("model"))
            self.cwd = self.cwd or as_str(payload.get("cwd"))
        elif payload.get("type") == "user_message":
            self.prompt = self.prompt or as_str(payload.get("message")) or ""
        elif as_dict(payload.get("item")).get("type") == "UserMessage":
            self.prompt = self.prompt or as_text(as_dict(payload["item"]).get("content"))

    def _meta(self, meta: dict[str, Any]) -> None:
        if self.session is not None:
            return
        git = as_dict(meta.get("git"))
        self.session = as_str(meta.get("id"))
        self.version = as_str(meta.get("cli_version"))
        self.cwd = as_str(meta.get("cwd"))
        self.commit = as_str(git.get("commit_hash")) or ""
        self.repo = _repo(as_str(git.get("repository_url")) or "")

    def start(self) -> Timed:
        """The beginning of the episode."""
        task = {"problem_statement": self.prompt} if self.prompt else {}
        sandbox = {"workdir": self.cwd} if self.cwd else {}
        return Timed(payload=payloads.EpisodeStart.of(task=task, sandbox=sandbox), t_start=self.at, kind="session_meta")


def _repo(url: str) -> str:
    """`owner/name` of a repository's address."""
    parts = url.removesuffix("/").removesuffix(".git").replace(":", "/").split("/")
    return "/".join(parts[-2:]) if len(parts) > 2 else ""


def _events(rows: Cut, about: _About) -> Iterator[Foreign]:
    yield about.start()
    records = Records(about.model)
    for _name, row in rows:
        if isinstance(row, Unread):
            yield row
            continue
        records.take(row.value, row.where)
        yield from records.session.ready()
    yield from records.rest()
