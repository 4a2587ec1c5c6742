"""Gemini CLI: its session files (`~/.gemini/tmp/*/chats/session-*.jsonl`; earlier versions wrote one document).

A file of JSON lines: a header, messages that are written again whenever something is added to them, and updates
(`$set`, `$rewindTo`). Calls are recorded in the message that made them, once they are over. A subagent's session is a
file in the folder named after the session it belongs to, which is read along with it.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from .. import payloads
from .base import Foreign, ForeignEpisode, Sample, Timed, Unread
from .cut import Cut, Named, merged
from .documents import Document, glimpse, open_document
from .gemini_parts import parts_of, spoken
from .gemini_records import Records
from .reading import Row, as_dict, as_dicts, as_str, head_records, json_rows, moment

__all__ = ["ADAPTER", "LOSES", "GeminiCli"]

LOSES: Mapping[str, str] = {
    "$set.messages[].id": "says which message is meant where the conversation is taken back to it",
}
"""What of a record has no place of its own in a log; see `losses`. What is written again counts as it is last."""

_CONTEXT = "<session_context>"
_WORKSPACE = re.compile(r"Workspace Directories:\**\s+- (\S[^\n]*)")
_MESSAGES = frozenset({"messages"})


class GeminiCli:
    """The adapter. A file is one episode; its task is the session, unless the option `task_id` names it."""

    name = "gemini-cli"
    version = "1"
    title = "Gemini CLI sessions"

    def recognise(self, sample: Sample) -> float:
        """By the header, which names the session and its project."""
        records = head_records(sample.head)
        if any(_is_header(record) for record in records[:1]):
            return 0.95
        if any(record.get("type") == "gemini" and "id" in record and "content" in record for record in records):
            return 0.7
        if sample.head.lstrip()[:1] != b"{":
            return 0.0
        found = as_dict(glimpse(sample))
        return 0.95 if _is_header(found) and "startTime" in found else 0.0

    def companions(self, path: Path) -> list[Path]:
        """The sessions of subagents, in a folder beside it that is named after the session."""
        session = _session_of(path)
        inside = path.parent / session if session and Path(session).name == session else None
        return sorted(inside.rglob("*.jsonl")) if inside is not None and inside.is_dir() else []

    def episodes(self, path: Path, options: dict[str, Any]) -> Iterator[ForeignEpisode]:
        """The session of a file."""
        document = None if _is_lines(path) else open_document(path, _MESSAGES)
        own = (("", row) for row in json_rows(path)) if document is None else _document_rows(document)
        rows = Cut(merged(own, self.companions(path)), lambda _record: None, _is_answer)
        about = _About(rows.peek() or [])
        session = about.session or path.stem
        yield ForeignEpisode(
            key=session,
            task_id=str(options.get("task_id") or session),
            agent=self.name,
            model=about.model,
            repo=str(options.get("repo") or ""),
            commit=str(options.get("commit") or ""),
            timing="recorded" if about.at is not None else "none",
            events=_events(rows, about, document),
        )


ADAPTER = GeminiCli()


class _About:
    """What is true of a whole session."""

    def __init__(self, records: list[dict[str, Any]]) -> None:
        self.session: str | None = None
        self.model: str | None = None
        self.workdir: str | None = None
        self.prompt = ""
        self.at: datetime | None = None
        for record in records:
            self._take(record)

    def _take(self, record: dict[str, Any]) -> None:
        self.at = self.at or moment(record.get("startTime")) or moment(record.get("timestamp"))
        if _is_header(record):
            self.session = self.session or as_str(record.get("sessionId"))
        for message in [record, *as_dicts(as_dict(record.get("$set")).get("messages"))]:
            self.model = self.model or as_str(message.get("model"))
            if message.get("type") == "user":
                self._heard(spoken(parts_of(message.get("content"))))

    def _heard(self, text: str) -> None:
        if text.startswith(_CONTEXT):
            found = _WORKSPACE.search(text)
            self.workdir = self.workdir or (found[1].strip() if found else None)
        else:
            self.prompt = self.prompt or text

    def start(self) -> Timed:
        """The beginning of the episode."""
        task = {"problem_statement": self.prompt} if self.prompt else {}
        sandbox = {"workdir": self.workdir} if self.workdir else {}
        return Timed(payload=payloads.EpisodeStart.of(task=task, sandbox=sandbox), t_start=self.at, kind="session")


def _is_header(record: Mapping[str, Any]) -> bool:
    return isinstance(record.get("sessionId"), str) and isinstance(record.get("projectHash"), str)


def _is_answer(record: dict[str, Any]) -> bool:
    return record.get("type") == "gemini"


def _is_lines(path: Path) -> bool:
    """Whether a file is JSON lines rather than one document, whose first line does not end or holds all messages."""
    with path.open("rb") as file:
        first = file.readline(1 << 16).strip()
    return first != b"{" and "messages" not in as_dict(glimpse(Sample(path=path, head=first)))


def _session_of(path: Path) -> str | None:
    """The session that the first line of a file names."""
    with path.open("rb") as file:
        first = head_records(file.readline(1 << 16), most=1)
    return as_str(first[0].get("sessionId")) if first and first[0].get("kind") != "subagent" else None


def _document_rows(document: Document) -> Iterator[Named]:
    """The rows that a session of earlier versions would be."""
    yield "", Row(1, document.fields)
    for number, message in enumerate(document.items("messages"), 2):
        yield "", Row(number, message)


def _events(rows: Cut, about: _About, document: Document | None) -> Iterator[Foreign]:
    yield about.start()
    records = Records()
    for name, row in rows:
        if isinstance(row, Unread):
            yield row
            continue
        records.take(row.value, f"{name} {row.where}" if name else row.where, name)
        yield from records.session.ready()
    yield from records.session.rest()
    if document is not None and document.damage is not None:
        yield document.damage
