"""An adapter in a package of its own: `trajhub trace ingest` finds it as soon as it is installed.

The agent that it reads writes one JSON line for everything that it does:

    {"tinyagent": 1, "session": "s1", "task": "mend the parser", "model": "tiny-7b", "at": 1772359200.0}
    {"ask": "mend the parser", "at": 1772359201.0}
    {"say": "I look at the file.", "tokens": [120, 16], "at": 1772359203.5}
    {"run": "cat parser.py", "at": 1772359203.6}
    {"out": "def parse(): ...", "status": 0, "at": 1772359203.9}
    {"bye": "done", "at": 1772359210.0}
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from trajectory_hub.errors import StopReason
from trajectory_hub.rollouts.adapters.base import Foreign, ForeignEpisode, Sample, Timed, Unread
from trajectory_hub.rollouts.adapters.reading import (
    Row,
    as_dict,
    as_int,
    as_list,
    as_str,
    as_text,
    head_records,
    json_rows,
    moment,
)
from trajectory_hub.rollouts.payloads import (
    EpisodeEnd,
    EpisodeStart,
    LlmRequest,
    LlmResponse,
    ToolCall,
    ToolResult,
    Usage,
)

__all__ = ["ADAPTER", "TinyAgent"]


class TinyAgent:
    """The adapter. An instance of it is what the entry point names."""

    name = "tinyagent"
    version = "1"
    title = "tinyagent logs"

    def recognise(self, sample: Sample) -> float:
        """By the first record; the name of the file says nothing."""
        first = head_records(sample.head, most=1)
        return 0.95 if first and "tinyagent" in first[0] and "session" in first[0] else 0.0

    def episodes(self, path: Path, options: dict[str, Any]) -> Iterator[ForeignEpisode]:
        """A file is one episode. Its events are read while they are written, so that a file of any size fits."""
        rows = json_rows(path)
        first = next(rows, None)
        head = as_dict(first.value) if isinstance(first, Row) else {}
        yield ForeignEpisode(
            key=as_str(head.get("session")) or path.stem,
            task_id=as_str(head.get("task")) or path.stem,
            agent="tinyagent",
            model=as_str(head.get("model")),
            timing="recorded",
            events=self._events(head, rows),
        )

    def _events(self, head: dict[str, Any], rows: Iterator[Row | Unread]) -> Iterator[Foreign]:
        start = EpisodeStart.of(task={"problem_statement": as_text(head.get("task"))})
        yield Timed(payload=start, t_start=moment(head.get("at")), kind="head", records=1)
        told = _Telling(as_str(head.get("model")) or "unknown")
        for row in rows:
            if isinstance(row, Unread):
                yield row  # a line that is no JSON: the report names it, the rest is read all the same
            else:
                yield from told.take(as_dict(row.value), row.where)


class _Telling:
    """Remembers what belongs together."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.asked: list[dict[str, Any]] = []
        self.requests = self.steps = 0
        self.begun: datetime | None = None

    def take(self, record: dict[str, Any], where: str) -> Iterator[Foreign]:
        """The events of a record. Each record is accounted for once: by `records=1`, or by an `Unread`."""
        at = moment(record.get("at"))
        if "ask" in record:
            self.asked.append({"role": "user", "content": as_text(record["ask"])})
            yield Timed(payload=self._request(), t_start=at, kind="ask", records=1)
        elif "say" in record:
            yield Timed(payload=self._response(record), t_end=at, kind="say", records=1)
        elif "run" in record:
            command, self.begun = as_text(record["run"]), at
            call = ToolCall.of(step=self.steps, tool="run", arguments={"command": command}, action=command)
            yield Timed(payload=call, t_start=at, kind="run", records=1)
        elif "out" in record and self.begun is not None:
            status = as_int(record.get("status"))
            result = ToolResult.of(
                step=self.steps, tool="run", ok=status == 0, exit_code=status, observation=as_text(record["out"])
            )
            self.steps += 1
            yield Timed(payload=result, t_start=self.begun, t_end=at, kind="out", records=1)
        elif "bye" in record:
            end = EpisodeEnd.of(stop_reason=StopReason.SUBMITTED, message=as_text(record["bye"]), steps=self.steps)
            yield Timed(payload=end, t_end=at, kind="bye", records=1)
        else:
            yield Unread(kind=next(iter(record), "empty"), where=where)

    def _request(self) -> LlmRequest:
        request = LlmRequest.of(request_id=f"r{self.requests}", model=self.model, messages=tuple(self.asked))
        self.asked = []
        return request

    def _response(self, record: dict[str, Any]) -> LlmResponse:
        tokens = [*map(as_int, as_list(record.get("tokens"))), None, None]
        usage = Usage(input_tokens=tokens[0], output_tokens=tokens[1])
        response = LlmResponse.of(request_id=f"r{self.requests}", content=as_text(record["say"]), usage=usage)
        self.requests += 1
        return response


ADAPTER = TinyAgent()
