"""mini-swe-agent's trajectories: `mini-swe-agent-1.1`, `mini-swe-agent-1`, and bare lists of messages.

Every message is one record. An answer becomes a request, its answer, and one call for each of its actions; an
observation becomes the result of the call it belongs to; a format error becomes a malformed step.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ...errors import Failure, StopReason
from .. import payloads
from .base import Foreign, ForeignEpisode, Sample, Timed, Unread
from .documents import Document, glimpse, open_document
from .exits import read_exit
from .reading import (
    as_dict,
    as_dicts,
    as_float,
    as_int,
    as_list,
    as_str,
    as_text,
    compact,
    moment,
    openai_usage,
)
from .telling import Answer, Call, Teller, call_of, final_patch, instance_of, openai_calls, repo_of, tool_call

__all__ = ["ADAPTER", "LOSES", "MiniSweAgentAdapter"]

LOSES: Mapping[str, str] = {
    "messages[].extra.actions": "the calls of the answer; read where it has none",
    "messages[].extra.response": "kept are its model, id, finish reason and token counts; the rest repeats the message",
    "messages[].extra.timestamp": "of several calls in one answer only the end of the last is known: each gets a share",
}
"""What of the format has no place of its own in our log, and why."""

_ROLES = frozenset({"system", "user", "assistant", "tool", "exit", "developer"})
_BLOCK = re.compile(r"```(?:bash|sh|mswea_bash_command)?[ \t]*\n(.*?)\n?```", re.DOTALL)
_MARKS = ("COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT", "MINI_SWE_AGENT_FINAL_OUTPUT")
_OF_ERROR = frozenset({"response", "model_response", "cost", "timestamp"})
_NOT_EXECUTED = "action was not executed"
_SUBMITTED = "Submitted"
_RETURNCODE = re.compile(r"<returncode>(-?\d{1,9})</returncode>")
_FORMAT_ERROR = re.compile(
    r"EXACTLY ONE action|Format error|exactly one bash code block|Tool call error", re.IGNORECASE
)


class MiniSweAgentAdapter:
    """See `base.Adapter`."""

    name = "mini-swe-agent"
    version = "3"
    title = "mini-swe-agent trajectories (.traj.json)"

    def recognise(self, sample: Sample) -> float:
        """By the name that the format gives itself, or as a list of chat messages."""
        found = glimpse(sample)
        if isinstance(found, list):
            messages = as_dicts(as_list(found))
            return 0.7 if messages and all(_is_message(message) for message in messages) else 0.0
        document = as_dict(found)
        if as_text(document.get("trajectory_format")).startswith("mini-swe-agent"):
            return 1.0
        return 0.95 if "mini_version" in as_dict(document.get("info")) else 0.0

    def episodes(self, path: Path, options: Mapping[str, Any]) -> Iterator[ForeignEpisode]:
        """The one episode of a file."""
        document = open_document(path, frozenset({"messages"}))
        info = as_dict(document.fields.get("info"))
        config = as_dict(info.get("config"))
        times = (_at(as_dict(message)) for message in _messages(document))
        first = next((time for time in times if time is not None), None)
        named = path.name.removesuffix(".json").removesuffix(".traj")
        task = as_str(document.fields.get("instance_id")) or instance_of(path.name) or named
        yield ForeignEpisode(
            key="trajectory",
            task_id=task,
            agent="mini-swe-agent",
            agent_version=as_str(info.get("mini_version")) or "unknown",
            model=as_str(as_dict(config.get("model")).get("model_name")),
            repo=repo_of(task),
            timing="recorded" if first is not None else "none",
            events=_Telling(document, info, first).events(),
        )


def _is_message(message: Mapping[str, Any]) -> bool:
    if message.get("object") == "response" or message.get("type") == "function_call_output":
        return True
    return message.get("role") in _ROLES and "content" in message and "text" not in message


def _messages(document: Document) -> Iterator[Any]:
    return document.items("messages" if document.fields or "messages" in (document.held or {}) else "")


def _at(message: Mapping[str, Any]) -> datetime | None:
    extra = as_dict(message.get("extra"))
    return moment(extra.get("timestamp")) or moment(message.get("timestamp"))


class _Telling:
    """Reads the messages of one file in their order."""

    def __init__(self, document: Document, info: dict[str, Any], first: datetime | None) -> None:
        config = as_dict(info.get("config"))
        self.document = document
        self.info = info
        self.first = first
        self.config = config
        self.teller = Teller("mini-swe-agent", as_str(as_dict(config.get("model")).get("model_name")))
        self.clock: datetime | None = None
        self.before = 0
        self.exit: dict[str, Any] | None = None
        self.started = False
        self.submitted = False

    def events(self) -> Iterator[Foreign]:
        """Everything."""
        for number, message in enumerate(_messages(self.document)):
            if isinstance(message, dict):
                yield from self._message(as_dict(message), number)
            else:
                yield Unread(kind="message that is no object", where=f"messages[{number}]")
        if not self.started:
            yield self._start("")
        for key, value in self.document.fields.items():
            if key == "messages" and value is not None:
                yield Unread(kind="messages that are no list")
            else:
                data = as_dict(value) or {"value": value}
                yield self.teller.note(key, {name: item for name, item in data.items() if name != "submission"})
        if self.document.damage is not None:
            yield self.document.damage
        yield from self._ending()

    def _start(self, opening: str) -> Timed:
        self.started = True
        agent, environment = as_dict(self.config.get("agent")), as_dict(self.config.get("environment"))
        known = {
            "steps": as_int(agent.get("step_limit")),
            "cost_usd": as_float(agent.get("cost_limit")),
            "seconds": as_int(agent.get("wall_time_limit_seconds")),
        }
        place = {"image": as_str(environment.get("image")), "workdir": as_str(environment.get("cwd"))}
        payload = payloads.EpisodeStart.of(
            observation=opening,
            limits={name: limit for name, limit in known.items() if limit},
            sandbox={name: value for name, value in place.items() if value},
        )
        return Timed(payload=payload, t_start=self.first, kind="message", records=self.before)

    def _message(self, message: dict[str, Any], number: int) -> Iterator[Foreign]:
        role = as_text(message.get("role"))
        if message.get("object") == "response" or role == "assistant":
            yield from self._opening()
            yield from self._answer(message)
        elif role == "exit":
            self.exit = as_dict(message.get("extra"))
            yield from self._submitted(message)
            yield self.teller.note("exit", message, at=_at(message), what="message")
        elif not self.started and role in ("user", "system", "developer"):
            self.teller.hear(_spoken(message))
            self.before += 1
            if role == "user":
                yield self._start(_text(message))
        elif role in _ROLES or message.get("type") == "function_call_output":
            yield from self._opening()
            yield from self._observation(message)
        else:
            yield Unread(kind=f"message of role {role or 'unknown'}", where=f"messages[{number}]")

    def _opening(self) -> Iterator[Timed]:
        if not self.started:
            yield self._start("")

    def _answer(self, message: dict[str, Any]) -> Iterator[Timed]:
        extra, at = as_dict(message.get("extra")), _at(message)
        answer = _answer(message, extra, self.clock, at)
        yield from self.teller.answer(answer)
        self.clock = at or self.clock
        thought = answer.reasoning or answer.content or None
        for number, call in enumerate(_calls(answer, extra)):
            yield self.teller.call(call if number else replace(call, thought=thought), at)

    def _observation(self, message: dict[str, Any]) -> Iterator[Timed]:
        extra, at = as_dict(message.get("extra")), _at(message)
        text, call_id = _text(message), as_str(message.get("tool_call_id")) or as_str(message.get("call_id"))
        if extra.get("interrupt_type") == "FormatError" or (not self.teller.waiting and _FORMAT_ERROR.search(text)):
            yield from self._format_error(text, extra, at)
            self.teller.hear(_spoken(message))
            return
        self.teller.hear(_spoken(message))
        start, end = self._share(at)
        failed = as_str(extra.get("exception_info"))
        if failed == _NOT_EXECUTED and self._submits(call_id):
            extra, failed = {**extra, "returncode": 0, "exit_status": _SUBMITTED}, None
        result = self.teller.result(
            call_id,
            text,
            at=end,
            ok=not failed,
            error=_error(failed, extra),
            exit_code=_code(extra, text),
            data={key: value for key, value in extra.items() if key not in ("returncode", "timestamp")},
            kind="message",
            records=1,
        )
        if result is None:
            yield self.teller.note("message", message, at=at, what="message")
        else:
            yield replace(result, t_start=start)
        self.clock = end or self.clock

    def _submits(self, call_id: str | None) -> bool:
        """Whether a call said not to be carried out is the one that submitted.

        The agent learns of a submission by an exception, which the command raises once it succeeded, and writes the
        same result for it as for the calls after it, which were not carried out.
        """
        key = next(iter(self.teller.waiting), None) if call_id is None else call_id
        waiting = self.teller.waiting.get(key) if key is not None else None
        if waiting is None or self.submitted or as_str(self.info.get("exit_status")) != _SUBMITTED:
            return False
        self.submitted = any(mark in as_text(waiting[1].arguments.get("command")) for mark in _MARKS)
        return self.submitted

    def _share(self, at: datetime | None) -> tuple[datetime | None, datetime | None]:
        """When one of several calls ran: all observations of an answer are written when its last call ended."""
        if at is None or self.clock is None:
            return None, at
        end = self.clock + (at - self.clock) / max(len(self.teller.waiting), 1)
        return self.clock, max(end, self.clock)

    def _format_error(self, text: str, extra: dict[str, Any], at: datetime | None) -> Iterator[Timed]:
        """An answer that was no action: since 2.0 it is kept with the error, before it is the message above."""
        response = extra.get("response")
        said = as_text(extra.get("model_response"))
        if isinstance(response, dict):
            message = as_dict(as_dict((as_dicts(as_dict(response).get("choices")) or [{}])[0]).get("message"))
            answer = _answer(message or as_dict(response), extra, self.clock, at)
            said = said or answer.content or compact(list(answer.tool_calls))
            yield from self.teller.answer(replace(answer, records=0))
        yield from self.teller.malformed(said or text, text, at=at, kind="message")
        if rest := {key: value for key, value in extra.items() if key not in _OF_ERROR}:
            yield self.teller.note("format_error", rest, at=at, records=0, what="message")
        self.clock = at or self.clock

    def _submitted(self, message: dict[str, Any]) -> Iterator[Timed]:
        """The result of the command that submitted, which is no message of its own."""
        at, status = _at(message), as_text(as_dict(message.get("extra")).get("exit_status"))
        for key in list(self.teller.waiting) if status == _SUBMITTED else ():
            told: dict[str, Any] = {"ok": False, "error": "not_executed"} if self.submitted else {}
            told |= {"exit_code": 0} if self._submits(key) else {}
            result = self.teller.result(key, _text(message), at=at, data={"exit_status": status}, **told)
            if result is not None:
                yield result

    def _ending(self) -> Iterator[Timed]:
        extra = self.exit or {}
        patch = final_patch(self.info.get("submission") or extra.get("submission"))
        if patch is not None:
            yield patch
        said = as_str(self.info.get("exit_status")) or as_str(extra.get("exit_status"))
        if said is None and not self.info:
            return
        stats = as_dict(self.info.get("model_stats"))
        stop, failure = self._why(said, as_int(stats.get("api_calls")))
        yield self.teller.end(
            stop, failure, said, cost_usd=as_float(stats.get("instance_cost")), requests=as_int(stats.get("api_calls"))
        )

    def _why(self, said: str | None, requests: int | None) -> tuple[StopReason, Failure | None]:
        """`LimitsExceeded` says steps or cost: steps where as many as allowed were made."""
        stop, failure = read_exit("mini-swe-agent", said)
        limit = as_int(as_dict(self.config.get("agent")).get("step_limit"))
        if said == "LimitsExceeded" and limit and requests is not None and requests >= limit:
            stop = StopReason.STEP_LIMIT
        return stop, failure


def _answer(
    message: Mapping[str, Any], extra: Mapping[str, Any], asked: datetime | None, at: datetime | None
) -> Answer:
    """An answer in chat form, or in that of OpenAI's Responses API."""
    items = as_dicts(message.get("output")) if message.get("object") == "response" else []
    response = as_dict(message if items else extra.get("response"))
    choice = as_dict((as_dicts(response.get("choices")) or [{}])[0])
    calls = openai_calls(message) or [
        tool_call(
            as_text(item.get("name")), as_text(item.get("arguments")), as_str(item.get("call_id") or item.get("id"))
        )
        for item in items
        if item.get("type") == "function_call"
    ]
    texts = [as_text(item.get("content")) for item in items if item.get("type") == "message"]
    thoughts = [as_text(item.get("summary")) for item in items if item.get("type") == "reasoning"]
    return Answer(
        content="\n".join(texts) if items else as_text(message.get("content")),
        reasoning="\n".join(thoughts) or as_str(message.get("reasoning_content")),
        tool_calls=calls,
        request_id=as_str(response.get("id")),
        model=as_str(response.get("model")),
        finish_reason=as_str(choice.get("finish_reason")) or as_str(response.get("status")),
        usage=openai_usage(as_dict(response.get("usage"))),
        cost_usd=as_float(extra.get("cost")),
        asked=asked if at is not None else None,
        answered=at,
        kind="message",
    )


def _calls(answer: Answer, extra: Mapping[str, Any]) -> Iterator[Call]:
    """The actions of an answer: its tool calls, what the agent read in it, or the code block that is its text."""
    if answer.tool_calls:
        for record in answer.tool_calls:
            yield call_of(record)
        return
    actions = [as_text(action.get("command")) for action in as_dicts(extra.get("actions"))]
    if not actions and "actions" not in extra:
        actions = [found.strip() for found in _BLOCK.findall(answer.content or "")]
        actions = actions if len(actions) == 1 else []
    for command in actions:
        yield Call(tool="bash", arguments={"command": command}, action=command)


def _text(message: Mapping[str, Any]) -> str:
    return as_text(message["content"] if "content" in message else message.get("output"))


def _spoken(message: Mapping[str, Any]) -> dict[str, Any]:
    spoken = {key: value for key, value in message.items() if key not in ("extra", "timestamp")}
    if message.get("type") == "function_call_output":
        return {"role": "tool", "content": _text(message), "tool_call_id": as_text(message.get("call_id"))}
    if isinstance(spoken.get("content"), list) and message.get("type") == "message":
        return {"role": as_text(message.get("role")) or "user", "content": _text(message)}
    return spoken


def _code(extra: Mapping[str, Any], text: str) -> int | None:
    code = extra.get("returncode")
    if isinstance(code, int) and not isinstance(code, bool) and abs(code) < 1 << 31:
        return code
    return _returncode(text) if "returncode" not in extra else None


def _returncode(text: str) -> int | None:
    found = _RETURNCODE.search(text[:4096])
    return int(found[1]) if found else None


def _error(failed: str | None, extra: Mapping[str, Any]) -> str | None:
    if not failed:
        return None
    kind = f"{as_text(extra.get('exception_type'))} {failed}"
    if "not executed" in failed:
        return "not_executed"
    return "timeout" if "TimeoutExpired" in kind or "timed out" in kind else "failed"


ADAPTER = MiniSweAgentAdapter()
