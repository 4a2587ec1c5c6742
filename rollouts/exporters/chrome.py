"""Chrome's trace format, which Perfetto's viewer and `chrome://tracing` open: one JSON file.

An episode is a process, each of its conversations a thread: the episode's span holds phases, these hold requests and
tools. What overlaps and does not nest (tools called side by side) gets a track of its own. Resources are counter
tracks; an arrow leads from a request to each tool that its answer called.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ..events import AnyEvent
from .base import Exporter, RecordedEpisode, Sink, Target
from .chrome_counters import counters_of
from .chrome_losses import LOSES
from .output import Output
from .parts import compact, line, micros, rest_of, text_of
from .story import Act, Story, Turn

__all__ = ["EXPORTER", "ChromeExporter", "ChromeOptions"]


class ChromeOptions(BaseModel):
    """Settings of the export."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    text: int = Field(default=2000, ge=0)
    """Characters that are shown of each text; 0: all of it."""


class ChromeExporter:
    """See `base.Exporter`."""

    name = "chrome"
    title = "Chrome trace / Perfetto JSON"
    output = ".json for ui.perfetto.dev or chrome://tracing"
    options: type[BaseModel] = ChromeOptions
    loses: Mapping[str, str] = LOSES
    unread: Mapping[str, str] = {}

    def open(self, target: Target) -> Sink:
        """See `base.Exporter`."""
        return _Sink(target)


class _Sink:
    def __init__(self, target: Target) -> None:
        assert isinstance(target.options, ChromeOptions)
        self._output = Output(target.path)
        self._text = target.options.text
        self._pids = 0
        self._output.write(b'{"displayTimeUnit":"ms","traceEvents":[\n')

    def write(self, episode: RecordedEpisode) -> None:
        self._pids += 1
        told = _Timeline(episode, self._pids, self._text).events()
        first = b"" if self._pids == 1 else b",\n"
        self._output.write(first + b",\n".join(line(event)[:-1] for event in told))

    def close(self) -> list[Path]:
        self._output.write(b"\n]}\n")
        return self._output.close()

    def abandon(self) -> None:
        self._output.abandon()


EXPORTER: Exporter = ChromeExporter()


@dataclass(slots=True)
class _Span:
    """A stretch of time on one conversation's tracks."""

    name: str
    category: str
    begin: int
    end: int
    args: dict[str, Any] = field(default_factory=dict[str, Any])
    flow_out: bool = False
    """Whether an arrow may begin here, under `flow`."""
    flow: str | None = None
    tid: int = 0


class _Lanes:
    """Tracks of one conversation: on each, of two spans one holds the other or ends before it begins."""

    def __init__(self) -> None:
        self._open: list[list[int]] = []

    def place(self, span: _Span) -> int:
        """The first track that has room; spans come by beginning, the longer first."""
        for number, ends in enumerate(self._open):
            while ends and ends[-1] <= span.begin:
                ends.pop()
            if not ends or span.end <= ends[-1]:
                ends.append(span.end)
                return number
        self._open.append([span.end])
        return len(self._open) - 1


class _Timeline:
    def __init__(self, episode: RecordedEpisode, pid: int, text: int) -> None:
        self.story: Story = episode.story
        self._name = f"{episode.run_id}/{self.story.header.episode_id}"
        self._pid = pid
        self._text = text
        self._turns = {id(turn): number for number, turn in enumerate(self.story.turns)}

    def events(self) -> list[dict[str, Any]]:
        """Names of tracks, then spans with their arrows, then counters and marks."""
        header = self.story.header
        told: list[dict[str, Any]] = [
            self._meta("process_name", 0, {"name": self._name}),
            self._meta("process_labels", 0, {"labels": f"{header.agent} {header.model or ''}".strip()}),
            self._meta("process_sort_index", 0, {"sort_index": self._pid}),
        ]
        tid = 0
        for thread in self.story.threads:
            spans = sorted(self._spans(thread), key=lambda span: (span.begin, -span.end))
            lanes = _Lanes()
            for span in spans:
                span.tid = tid + 1 + lanes.place(span)
            for lane in range(tid + 1, max((span.tid for span in spans), default=tid) + 1):
                name = (thread or "agent") + (f" ({lane - tid})" if lane > tid + 1 else "")
                told.append(self._meta("thread_name", lane, {"name": name}))
                told.append(self._meta("thread_sort_index", lane, {"sort_index": lane}))
            told += [event for span in spans for event in self._told(span)]
            tid = max((span.tid for span in spans), default=tid)
        return told + counters_of(self.story, self._pid) + self._marks()

    def _meta(self, name: str, tid: int, args: dict[str, Any]) -> dict[str, Any]:
        return {"ph": "M", "name": name, "pid": self._pid, "tid": tid, "args": args}

    def _told(self, span: _Span) -> list[dict[str, Any]]:
        place = {"pid": self._pid, "tid": span.tid}
        whole = {"ph": "X", "name": span.name, "cat": span.category, "ts": span.begin, "dur": span.end - span.begin}
        told: list[dict[str, Any]] = [whole | place | ({"args": span.args} if span.args else {})]
        if span.flow is not None:
            flow = {"name": "calls", "cat": "calls", "id": self._flow_id(span.flow)} | place
            told.append({"ph": "s" if span.flow_out else "f", "ts": span.begin, "bp": "e"} | flow)
        return told

    def _flow_id(self, name: str) -> int:
        return int(sha256(f"{self._name}\0{name}".encode("utf-8", "surrogatepass")).hexdigest()[:12], 16)

    def _spans(self, thread: str | None) -> Iterable[_Span]:
        turns = [turn for turn in self.story.turns if turn.thread == thread]
        if thread is None:
            yield self._episode()
            yield from self._phases()
        for turn in turns:
            calls = bool(turn.acts)
            if turn.request is not None or turn.response is not None:
                yield self._request(turn, calls=calls)
            for act in turn.acts:
                yield self._tool(act, turn)

    def _over(self) -> int:
        return max(micros(event.t_end) for event in self.story.events if event.event_type != "verdict")

    def _episode(self) -> _Span:
        story, header = self.story, self.story.header
        first = micros(min(event.t_start for event in story.events))
        args = rest_of(
            {"task": header.task_id, "repo": header.repo, "commit": header.commit, "seed": header.seed}
            | {"agent": header.agent, "agent_version": header.agent_version, "model": header.model}
        )
        if story.start is not None:
            left_out = ("tools", "limits", "sandbox")
            args |= rest_of(story.start.payload, left_out) | {"observation": self._cut(story.start.payload.observation)}
        if story.end is not None:
            args |= {"end": rest_of(story.end.payload) | {"steps": story.end.payload.steps}}
        times = [{"seq": n, "at": micros(event.t_start)} for n, event in enumerate(story.ends)]
        args |= {"ended": times} if times else {}
        return _Span(f"episode {header.task_id}", "episode", first, self._over(), args)

    def _phases(self) -> Iterable[_Span]:
        """Each until the next one begins."""
        phases = self.story.phases
        for number, event in enumerate(phases):
            begin = micros(event.t_start)
            after = micros(phases[number + 1].t_start) if number + 1 < len(phases) else self._over()
            end = micros(event.t_end) if event.payload.step is None else after
            args = rest_of(event.payload, ("name",))
            yield _Span(f"phase {event.payload.name}", "phase", begin, max(begin, end), args)

    def _request(self, turn: Turn, *, calls: bool) -> _Span:
        asked, said = turn.request, turn.response
        events = [event for event in (asked, said) if event is not None]
        begin, end = micros(events[0].t_start), micros(events[-1].t_end)
        args, model = dict[str, Any](), ""
        if asked is not None:
            model = asked.payload.model
            left_out = ("messages", "token_ids", "parameters")
            args = rest_of(asked.payload, left_out) | {"new_messages": len(asked.payload.messages)}
            args["sent"] = micros(asked.t_end)
        if said is not None:
            answer = said.payload
            model = model or answer.model or ""
            taken = {"content", "reasoning", "tool_calls", "failed_attempts", "parts", "model"}
            taken |= {"prompt_token_ids", "completion_token_ids", "logprobs"}
            args |= rest_of(answer, taken)
            args |= rest_of(
                {"content": self._cut(answer.content or ""), "reasoning": self._cut(answer.reasoning or "")}
                | {"calls": self._cut(compact(list(answer.tool_calls)) if answer.tool_calls else "")}
                | {"answered_by": answer.model, "failed_attempts": len(answer.failed_attempts)}
            )
        flow = self._flow(turn) if calls else None
        return _Span(f"chat {model}".strip(), "request", begin, max(begin, end), args, flow_out=True, flow=flow)

    def _tool(self, act: Act, turn: Turn) -> _Span:
        call = act.call.payload
        args = rest_of(call, ("arguments", "action", "thought", "tool"))
        args |= {"arguments": self._cut(compact(call.arguments)), "action": self._cut(call.action)}
        args |= rest_of({"thought": self._cut(call.thought or "")}) | {"malformed": call.malformed}
        shown: AnyEvent = act.result or act.call
        if act.result is not None:
            result = act.result.payload
            args |= rest_of(result, ("observation", "data", "step")) | {"ok": result.ok}
            args["observation"] = self._cut(result.observation)
            args |= rest_of({"data": self._cut(compact(result.data)) if result.data else ""})
        if act.reward is not None:
            args["reward"] = act.reward.payload.reward
        args |= rest_of({"tests": [rest_of(t.payload, ("tests", "selected", "step")) for t in act.tests]})
        flow = self._flow(turn) if turn.request is not None or turn.response is not None else None
        begin = micros(shown.t_start)
        return _Span(call.tool or "malformed", "tool", begin, max(begin, micros(shown.t_end)), args, flow=flow)

    def _flow(self, turn: Turn) -> str:
        return f"turn {self._turns[id(turn)]}"

    def _cut(self, text: str) -> str:
        if not self._text or len(text) <= self._text:
            return text
        return f"{text[: self._text]}… ({len(text)} characters)"

    def _marks(self) -> list[dict[str, Any]]:
        """What is an instant: errors, notes, patches and verdicts, and events that are not known."""
        story = self.story
        told = list[dict[str, Any]]()
        for event in [*story.errors, *story.notes, *story.patches, *story.verdicts, *story.rest, *_totals(story)]:
            known = rest_of(event.payload, ("report", "sources"))
            if event.event_type == "final_patch":
                known["patch"] = self._cut(text_of(known.get("patch")))
            if event.event_type == "verdict":
                known["resolved"] = getattr(event.payload, "resolved", None)
            told.append(
                {"ph": "i", "s": "p", "name": event.event_type, "cat": event.event_type, "ts": micros(event.t_end)}
                | {"pid": self._pid, "tid": 1, "args": known}
            )
        return told


def _totals(story: Story) -> list[AnyEvent]:
    return [event for event in story.metrics if event.payload.scope == "episode"]
