"""AgentTrace (pagarsky/agent-trace): a row is a run, with a span a tool call and an entry a model call.

Read from JSON lines or parquet (there the lists are JSON in `spans_json`, `llm_steps_json` and `metadata_json`). Spans
have times (since 1970, or of a clock of their own that begins anywhere), model calls only durations. Which spans belong
to which model call follows from `parent_span_id`, else from the names of its calls, else from the pauses between spans
that are long enough for the next model call. With nothing but durations, times begin at `timestamp_utc`.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ...errors import StopReason
from ...rewards.service.usage import Usage
from .. import payloads
from .base import Foreign, ForeignEpisode, Sample, Timed, Unread
from .parquet import parquet_columns, parquet_rows
from .reading import (
    NotJson,
    Row,
    as_dict,
    as_dicts,
    as_float,
    as_int,
    as_list,
    as_str,
    as_text,
    compact,
    head_records,
    is_object,
    json_rows,
    moment,
    parse_arguments,
    parse_json,
)

__all__ = ["ADAPTER", "LOSES", "AgentTrace"]

LOSES: Mapping[str, str] = {
    "spans[].end_ns": "where `duration_ms` says how long it took",
    "spans[].start_ns": "of a clock that began with the machine only pauses are read: times follow from durations",
    "llm_steps[].duration_ms": "a call began so long before its first span, or at the end of what was before it",
}
"""What of a record has no place of its own in a log; see `losses`."""

_LISTS = ("spans", "llm_steps", "metadata")
_KNOWN = frozenset({"trace_id", "timestamp_utc", "prompt", "model", "total_duration_ms"})
_EPOCH_NS = 10**18
"""A count of nanoseconds above this is one since 1970 (from 2001 on), not of a clock that began with the machine."""
_PAUSE = 0.8
"""A pause holds a model call when it is at least this share of the call's duration: clocks differ by a little."""
_COUNTERS = {
    "user_time_s": "cpu_user_s",
    "system_time_s": "cpu_system_s",
    "max_rss_bytes": "memory_peak_bytes",
    "read_bytes": "io_read_bytes",
    "write_bytes": "io_write_bytes",
}


class AgentTrace:
    """The adapter. One row is one episode; its task is the row, unless its metadata names one."""

    name = "agent-trace"
    version = "2"
    title = "AgentTrace rows"

    def recognise(self, sample: Sample) -> float:
        """By the fields of a row."""
        columns = parquet_columns(sample)
        if not columns:
            records = head_records(sample.head, most=1)
            columns = frozenset(records[0]) if records else _glimpse(sample.head)
        lists = sum(name in columns or f"{name}_json" in columns for name in ("spans", "llm_steps"))
        return 0.95 if lists == 2 and "trace_id" in columns else 0.0

    def episodes(self, path: Path, options: dict[str, Any]) -> Iterator[ForeignEpisode]:
        """One a row; what is no row is told by an episode of its own where there is none else to tell it."""
        with path.open("rb") as file:
            columnar = file.read(4) == b"PAR1"
        unread: list[Unread] = []
        for row in parquet_rows(path) if columnar else json_rows(path):
            if isinstance(row, Unread):
                unread.append(row)
            elif not is_object(row.value):
                unread.append(Unread(kind="record that is no object", where=row.where))
            else:
                yield _Run(row).episode(unread)
                unread = []
        if unread:
            yield _damage(path, unread)


ADAPTER = AgentTrace()


def _glimpse(head: bytes) -> frozenset[str]:
    """The names in the beginning of a row that is longer than what is looked at."""
    names = ("trace_id", "spans", "llm_steps")
    return frozenset(name for name in names if f'"{name}"'.encode() in head[:4096]) if head[:1] == b"{" else frozenset()


def _damage(path: Path, unread: list[Unread]) -> ForeignEpisode:
    return ForeignEpisode(key="damage", task_id=f"{path.stem}-damage", agent="agent-trace", events=iter(unread))


class _Run:
    """One row."""

    def __init__(self, row: Row) -> None:
        self.row = as_dict(row.value)
        self.where = row.where
        self.unread: list[Unread] = []
        self.spans, self.answers, self.metadata = (self._field(name) for name in _LISTS)
        self.tools = [span for span in as_dicts(self.spans) if _is_tool(span)]
        self.at = moment(self.row.get("timestamp_utc"))
        starts = [start for span in self.tools if (start := as_int(span.get("start_ns"))) is not None]
        self.absolute = bool(starts) and min(starts) > _EPOCH_NS
        self.zero = min(starts, default=0)
        self.step = 0

    def _field(self, name: str) -> Any:
        """A member that may be JSON in a string."""
        value = self.row.get(name, self.row.get(f"{name}_json"))
        if not isinstance(value, str):
            return value
        try:
            return parse_json(value) if value else None
        except NotJson as error:
            self.unread.append(Unread(kind=f"{name}_json", where=f"{self.where}: {error}", broken=True, records=0))
            return None

    def episode(self, before: Sequence[Unread]) -> ForeignEpisode:
        """The row as an episode; `before`: what could not be read ahead of it."""
        metadata = as_dict(self.metadata)
        key = as_str(self.row.get("trace_id")) or self.where
        named = {**self.row, **metadata}
        task = next((as_str(named.get(name)) for name in ("instance_id", "task_id") if named.get(name)), None)
        return ForeignEpisode(
            key=key,
            task_id=task or key,
            agent=as_str(metadata.get("agent")) or as_str(metadata.get("agent_type")) or "smolagents",
            agent_version=as_str(metadata.get("agent_version")) or "unknown",
            model=as_str(self.row.get("model")),
            seed=as_int(metadata.get("seed")),
            timing="recorded" if self.at is not None or self.absolute else "durations",
            events=self._events(before),
        )

    def _events(self, before: Sequence[Unread]) -> Iterator[Foreign]:
        yield from before
        prompt = as_text(self.row.get("prompt"))
        task = {"problem_statement": prompt} if prompt else {}
        clock = self.at or self._time(self.zero)
        yield Timed(payload=payloads.EpisodeStart.of(task=task), t_start=clock, kind="row", records=1)
        yield from self.unread
        answers = as_dicts(self.answers)
        groups = _grouped(answers, self.tools)
        heard: list[dict[str, Any]] = [{"role": "user", "content": prompt}] if prompt else []
        for number, answer in enumerate(answers):
            took = as_float(answer.get("duration_ms")) or 0.0
            clock = self._began(groups[number], took) or clock
            yield from self._answer(number, answer, clock, took, tuple(heard))
            clock = _later(clock, took)
            heard = []
            for span in groups[number]:
                yield from self._span(span, clock, f"llm-{number}")
                clock = self._end(span, clock)
                heard.append({"role": "tool", "content": as_text(span.get("tool_output"))})
        for span in groups[len(answers)]:
            yield from self._span(span, clock, None)
            clock = self._end(span, clock)
        yield from self._others()
        yield self._finish(answers)

    def _time(self, nanoseconds: int) -> datetime | None:
        """When it was, by the clock of spans."""
        if self.absolute:
            return moment(nanoseconds / 1e9)
        return None

    def _began(self, spans: list[dict[str, Any]], took: float) -> datetime | None:
        """When a model call began whose first span's time is known."""
        start = as_int(spans[0].get("start_ns")) if spans else None
        at = self._time(start) if start is not None else None
        return _later(at, -took) if at is not None else None

    def _begin(self, span: dict[str, Any], clock: datetime | None) -> datetime | None:
        start = as_int(span.get("start_ns"))
        return (self._time(start) if start is not None else None) or clock

    def _end(self, span: dict[str, Any], clock: datetime | None) -> datetime | None:
        return _later(self._begin(span, clock), _took(span) or 0.0)

    def _answer(
        self, number: int, answer: dict[str, Any], at: datetime | None, took: float, heard: tuple[dict[str, Any], ...]
    ) -> Iterator[Foreign]:
        request_id, model = f"llm-{number}", as_str(self.row.get("model"))
        request = payloads.LlmRequest.of(request_id=request_id, model=model or "unknown", messages=heard)
        yield Timed(payload=request, t_start=at, kind="llm_step")
        response = payloads.LlmResponse.of(
            request_id=request_id,
            model=model,
            content=as_text(answer.get("model_output")) or None,
            reasoning=as_text(answer.get("reasoning_content")) or None,
            tool_calls=tuple(as_dicts(answer.get("tool_calls"))),
            usage=Usage(
                input_tokens=as_int(answer.get("input_tokens")), output_tokens=as_int(answer.get("output_tokens"))
            ),
            step_id=answer.get("step_id"),
            step_number=answer.get("step_number"),
        )
        yield Timed(payload=response, t_start=at, t_end=_later(at, took), duration_ms=took, kind="llm_step")

    def _span(self, span: dict[str, Any], clock: datetime | None, request_id: str | None) -> Iterator[Foreign]:
        step, self.step = self.step, self.step + 1
        tool, given = as_str(span.get("tool_name")), span.get("tool_input")
        at, took = self._begin(span, clock), _took(span)
        arguments = parse_arguments(given)
        call = payloads.ToolCall.of(
            step=step,
            tool=tool,
            arguments=arguments if arguments is not None else {"input": given},
            action=given if isinstance(given, str) else compact(given),
            malformed=tool is None,
            call_id=as_str(span.get("span_id")),
            request_id=request_id,
        )
        yield Timed(payload=call, t_start=at, kind="span")
        code = span.get("exit_code")
        code = code if isinstance(code, int) and not isinstance(code, bool) and abs(code) < 1 << 31 else None
        error = as_text(span.get("error")) or None
        result = payloads.ToolResult.of(
            step=step,
            tool=tool,
            ok=code in (None, 0) and error is None,
            error=error or (f"exit_code_{code}" if code else None),
            exit_code=code,
            observation=as_text(span.get("tool_output")),
            data={name: span[name] for name in ("parent_span_id", "type") if span.get(name) is not None},
        )
        end = _later(at, took or 0.0)
        yield Timed(payload=result, t_start=at, t_end=end, duration_ms=took, kind="span")
        telemetry = as_dict(span.get("telemetry"))
        if telemetry:
            metric = _metric(step, telemetry, took)
            yield Timed(payload=metric, t_start=at, t_end=end, duration_ms=took, kind="telemetry")

    def _others(self) -> Iterator[Foreign]:
        """What else the row holds."""
        for span in as_dicts(self.spans):
            if not _is_tool(span):
                note = payloads.Note.of(kind=as_str(span.get("type")) or "span", source="agent-trace", data=span)
                yield Timed(payload=note, kind="span")
        for name, value in (("spans", self.spans), ("llm_steps", self.answers)):
            odd = len(as_list(value)) - len(as_dicts(value)) if isinstance(value, list) else int(value is not None)
            if odd:
                yield Unread(kind=f"{name} of another shape", where=self.where, records=0)
        left = {name: self.row[name] for name in self.row if name not in _KNOWN and not name.startswith(_LISTS)}
        if self.metadata or left:
            data = {"metadata": self.metadata, **left}
            yield Timed(payload=payloads.Note.of(kind="metadata", source="agent-trace", data=data), kind="metadata")

    def _finish(self, answers: list[dict[str, Any]]) -> Timed:
        metadata = as_dict(self.metadata)
        error = as_text(metadata.get("error")) or None
        calls = as_dicts(answers[-1].get("tool_calls")) if answers else []
        going = bool(calls) and not _grouped(answers, self.tools)[-2]
        going = going and all(call.get("name") != "final_answer" for call in calls)
        stop = StopReason.POLICY_ERROR if error else StopReason.INTERRUPTED if going else StopReason.SUBMITTED
        total = as_float(self.row.get("total_duration_ms"))
        known = {"total_duration_ms": total} if total is not None else {}
        end = payloads.EpisodeEnd.of(stop_reason=stop, message=error, steps=self.step, **known)
        return Timed(payload=end, kind="row")


def _is_tool(span: dict[str, Any]) -> bool:
    return span.get("tool_name") is not None


def _took(span: dict[str, Any]) -> float | None:
    """Milliseconds that a tool took."""
    start, end = as_int(span.get("start_ns")), as_int(span.get("end_ns"))
    told = as_float(span.get("duration_ms"))
    if told is None and start is not None and end is not None and end >= start:
        return (end - start) / 1e6
    return told if told is None or told >= 0 else None


def _metric(step: int, telemetry: dict[str, Any], took: float | None) -> payloads.SandboxMetric:
    fields: dict[str, Any] = {}
    for theirs, ours in _COUNTERS.items():
        value = as_float(telemetry.get(theirs)) if ours.startswith("cpu") else as_int(telemetry.get(theirs))
        if value is not None:
            fields[ours] = value
    if "cpu_user_s" in fields or "cpu_system_s" in fields:
        fields["cpu_s"] = fields.get("cpu_user_s", 0.0) + fields.get("cpu_system_s", 0.0)
    more = {name: value for name, value in telemetry.items() if name not in _COUNTERS}
    sources = {name: "rusage" for name in fields}
    return payloads.SandboxMetric.of(step=step, wall_ms=took, sources=sources, telemetry=more, **fields)


def _grouped(answers: list[dict[str, Any]], spans: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The spans of each model call, and last those of none."""
    groups: list[list[dict[str, Any]]] = [[] for _ in range(len(answers) + 1)]
    ids = {answer["step_id"]: i for i, answer in enumerate(answers) if isinstance(answer.get("step_id"), str)}
    linked = [ids.get(as_str(span.get("parent_span_id")) or "") for span in spans]
    if not answers or all(number is not None for number in linked):
        numbers: Sequence[int | None] = linked
    else:
        numbers = _by_name(answers, spans) or _by_pauses(answers, spans)
    for span, number in zip(spans, numbers, strict=True):
        groups[len(answers) if number is None else number].append(span)
    return groups


def _by_name(answers: list[dict[str, Any]], spans: list[dict[str, Any]]) -> list[int] | None:
    """By the order of calls, where their names are those of the spans."""
    calls = [(i, call.get("name")) for i, answer in enumerate(answers) for call in as_dicts(answer.get("tool_calls"))]
    names = [span.get("tool_name") for span in spans]
    calls = [call for call in calls if call[1] != "final_answer" or "final_answer" in names]
    return [i for i, _name in calls] if [name for _i, name in calls] == names else None


def _by_pauses(answers: list[dict[str, Any]], spans: list[dict[str, Any]]) -> list[int]:
    """By time: a pause between spans that is long enough for the next model call is that call."""
    numbers, current = list[int](), 0
    before: int | None = None
    for span in spans:
        start, end = as_int(span.get("start_ns")), as_int(span.get("end_ns"))
        if before is not None and start is not None and current + 1 < len(answers):
            took = as_float(answers[current + 1].get("duration_ms"))
            if took is not None and (start - before) / 1e6 >= took * _PAUSE:
                current += 1
        before = end if end is not None else start
        numbers.append(current)
    return numbers


def _later(at: datetime | None, ms: float) -> datetime | None:
    if at is None:
        return None
    try:
        return at + timedelta(milliseconds=ms)
    except OverflowError:
        return at
