"""Events of OpenHands V0 told in ours."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from ...errors import Failure, StopReason
from ...rewards.service.usage import Usage
from .. import payloads
from .base import Foreign, Timed, Unread
from .exits import read_exit
from .reading import as_dict, as_dicts, as_float, as_int, as_str, as_text, compact, moment, openai_usage
from .telling import Answer, Call, Teller, call_of, openai_calls

__all__ = ["V0Events", "totals", "verdict"]

_NO_STEPS = frozenset(
    "system message recall change_agent_state condensation condensation_request null start pause resume stop".split()
)
"""Actions that are no step of the agent."""
_NOTES = {"condensation": "compaction", "condensation_request": "compaction_request", "user_rejected": "permission"}
_NOISE = frozenset({"thought", "blocking", "is_static", "hidden", "confirmation_state", "is_input", "security_risk"})


class V0Events:
    """Tells the events of one episode in ours; `metrics` are the episode's, where they are known."""

    def __init__(self, model: str | None, metrics: Mapping[str, Any] | None = None) -> None:
        self.teller = Teller("openhands", model)
        latencies = as_dicts(as_dict(metrics).get("response_latencies"))
        self._latency = {as_text(item.get("response_id")): as_float(item.get("latency")) for item in latencies}
        self._response: str | None = None
        self._cost = 0.0
        self._calls: dict[Any, str] = {}
        self._last: datetime | None = None
        self._held: list[Foreign] = []
        self._fields: dict[str, Any] = {}
        self._started = False
        self._ended: str | None = None

    def begin(self, **fields: Any) -> None:
        """What the start holds beside the first message of a user and the tools."""
        self._fields = fields

    def take(self, event: dict[str, Any]) -> Iterator[Foreign]:
        """One event."""
        at = moment(event.get("timestamp"))
        action, observation = as_str(event.get("action")), as_str(event.get("observation"))
        found = list(self._take(event, action, observation, at))
        self._last = at or self._last
        if self._started:
            yield from found
            return
        self._held += found
        if action == "message" and event.get("source") == "user":
            yield from self._start(_said(event))
        elif self.teller.requests or self.teller.steps:
            yield from self._start("")

    def _start(self, opening: str) -> Iterator[Foreign]:
        self._started = True
        first = next((item.t_start for item in self._held if isinstance(item, Timed) and item.t_start), None)
        yield Timed(payload=payloads.EpisodeStart.of(observation=opening, **self._fields), t_start=first)
        held, self._held = self._held, []
        yield from held

    def _take(
        self, event: dict[str, Any], action: str | None, observation: str | None, at: datetime | None
    ) -> Iterator[Foreign]:
        by_agent = event.get("source") == "agent"
        if observation is not None:
            yield from self._observation(event, observation, at)
        elif action is None:
            yield Unread(kind="event without action or observation", where=f"id {as_text(event.get('id'))}"[:80])
        elif action == "system":
            yield self._system(event, at)
        elif action == "message":
            yield from self._answer(event, at, records=1) if by_agent else [self._heard(event, at)]
        elif by_agent and action not in _NO_STEPS:
            yield from self._step(event, action, at)
        else:
            data = {key: value for key, value in event.items() if key not in ("message", "timestamp")}
            yield self.teller.note(_NOTES.get(action, action), data, at=at, what=action)

    def _system(self, event: dict[str, Any], at: datetime | None) -> Timed:
        args = as_dict(event.get("args"))
        self.teller.hear({"role": "system", "content": as_text(args.get("content"))})
        if not self._started:
            self._fields["tools"] = tuple(as_dicts(args.get("tools")))
        facts = {key: value for key, value in args.items() if key not in ("content", "tools")}
        return self.teller.note("system", facts, at=at)

    def _heard(self, event: dict[str, Any], at: datetime | None) -> Timed:
        self.teller.hear({"role": "user", "content": _said(event)})
        return self.teller.note("user_message", {"source": event.get("source")}, at=at, what="message")

    def _answer(self, event: dict[str, Any], at: datetime | None, *, records: int = 0) -> Iterator[Timed]:
        """The answer that an event is part of, unless an event before was."""
        response = as_dict(as_dict(event.get("tool_call_metadata")).get("model_response"))
        response_id = as_str(response.get("id"))
        if response_id is not None and response_id == self._response:
            return
        self._response = response_id
        choice = as_dict((as_dicts(response.get("choices")) or [{}])[0])
        message = as_dict(choice.get("message"))
        latency = self._latency.get(response_id or "")
        asked = _before(at, latency) if latency is not None else self._last
        args = as_dict(event.get("args"))
        yield from self.teller.answer(
            Answer(
                content=as_text(message.get("content")) if message else as_text(args.get("thought")) or _said(event),
                reasoning=as_str(message.get("reasoning_content")),
                tool_calls=openai_calls(message),
                request_id=response_id,
                model=as_str(response.get("model")),
                finish_reason=as_str(choice.get("finish_reason")),
                usage=_usage(as_dict(response.get("usage"))),
                cost_usd=self._spent(event),
                asked=asked if asked is not None and at is not None and asked <= at else at,
                answered=at,
                kind=as_str(event.get("action")),
                records=records,
            )
        )

    def _spent(self, event: Mapping[str, Any]) -> float | None:
        """What the answer added to the running cost; None where no cost was ever counted."""
        total = as_float(as_dict(event.get("llm_metrics")).get("accumulated_cost"))
        if not total:
            return None
        spent, self._cost = total - self._cost, total
        return max(0.0, spent)

    def _step(self, event: dict[str, Any], action: str, at: datetime | None) -> Iterator[Timed]:
        yield from self._answer(event, at)
        args = as_dict(event.get("args"))
        thought = as_str(args.get("thought"))
        call = _recorded_call(event) or Call(
            tool=action,
            arguments={key: value for key, value in args.items() if key not in _NOISE and value is not None},
            action=compact({"action": action, "args": args}),
        )
        key = call.call_id or f"event-{as_text(event.get('id')) or self.teller.steps}"
        call = replace(call, thought=thought, call_id=key)
        self._calls[_id(event.get("id"))] = key
        yield self.teller.call(call, at, kind=action, records=1)
        if action in ("finish", "reject"):
            self._ended = action
            result = self.teller.result(key, "", at=at, data={name: args[name] for name in args if name != "thought"})
            yield from [result] if result is not None else []

    def _observation(self, event: dict[str, Any], observation: str, at: datetime | None) -> Iterator[Foreign]:
        cause, text = event.get("cause"), as_text(event.get("content"))
        key = as_str(as_dict(event.get("tool_call_metadata")).get("tool_call_id")) or self._calls.get(_id(cause))
        if observation == "agent_state_changed":
            self._ended = as_str(as_dict(event.get("extras")).get("agent_state")) or self._ended
            yield self.teller.note("agent_state_changed", as_dict(event.get("extras")), at=at)
            return
        result = None
        if key is None and cause is None and "id" not in event and self.teller.waiting:
            key = next(iter(self.teller.waiting))
        if key is not None:
            result = self._result(event, observation, key, text, at)
        if result is not None:
            self.teller.hear({"role": "tool", "tool_call_id": key, "content": text})
            yield result
        elif observation == "error" and event.get("source") == "agent" and cause is None:
            yield from self.teller.malformed("", text, at=at, kind=observation)
            self.teller.hear({"role": "user", "content": text})
        else:
            data = {name: value for name, value in event.items() if name not in ("message", "timestamp")}
            yield self.teller.note(_NOTES.get(observation, observation), data, at=at, what=observation)

    def _result(
        self, event: Mapping[str, Any], observation: str, key: str, text: str, at: datetime | None
    ) -> Timed | None:
        extras = as_dict(event.get("extras"))
        metadata = as_dict(extras.get("metadata"))
        code = metadata.get("exit_code", extras.get("exit_code"))
        failed = _failure(observation, text, as_text(metadata.get("suffix")))
        return self.teller.result(
            key,
            text,
            at=at,
            ok=failed is None,
            error=failed,
            exit_code=code if isinstance(code, int) and not isinstance(code, bool) and abs(code) < 1 << 31 else None,
            data={"observation": observation, **extras},
            kind=observation,
            records=1,
        )

    def finish(self) -> Iterator[Foreign]:
        """What is left to tell when the events are over."""
        if not self._started:
            yield from self._start("")

    def ending(self, error: str | None, metrics: Mapping[str, Any]) -> Timed:
        """Why it ended: by its error, else by its last state, else by its last action."""
        stop: StopReason
        failure: Failure | None
        stop, failure = read_exit("openhands", error or self._ended)
        usage, cost = totals(metrics)
        return self.teller.end(stop, failure, error or self._ended, usage=usage, cost_usd=cost)


def totals(metrics: Mapping[str, Any]) -> tuple[Usage | None, float | None]:
    """Token counts and cost of a whole episode; a cost of nothing is not known."""
    used = as_dict(metrics.get("accumulated_token_usage"))
    usage = Usage(
        input_tokens=as_int(used.get("prompt_tokens")),
        cached_input_tokens=as_int(used.get("cache_read_tokens")),
        cache_creation_tokens=as_int(used.get("cache_write_tokens")),
        output_tokens=as_int(used.get("completion_tokens")),
    )
    return (usage if used else None), as_float(metrics.get("accumulated_cost")) or None


def verdict(report: Any, inner: Any, resolved: Any, patch: Timed | None) -> Timed | None:
    """What an evaluation put beside the episode; None where it did not."""
    said = as_dict(report) or as_dict(inner)
    found = said.get("resolved", resolved)
    if not isinstance(found, bool):
        return None
    sha256 = patch.payload.sha256 if patch is not None and isinstance(patch.payload, payloads.FinalPatch) else None
    payload = payloads.Verdict.of(
        resolved=found, outcome="resolved" if found else "unresolved", patch_sha256=sha256, report=said
    )
    return Timed(payload=payload, kind="report")


def _id(value: Any) -> Any:
    return value if isinstance(value, int | str) else None


def _said(event: Mapping[str, Any]) -> str:
    args = as_dict(event.get("args"))
    return as_text(args.get("content")) or as_text(event.get("message"))


def _before(at: datetime | None, seconds: float) -> datetime | None:
    return at - timedelta(seconds=seconds) if at is not None and 0 <= seconds < 1e6 else None


def _usage(usage: Mapping[str, Any]) -> Usage:
    found = openai_usage(usage)
    read, created = as_int(usage.get("cache_read_input_tokens")), as_int(usage.get("cache_creation_input_tokens"))
    return found.model_copy(
        update={
            "cached_input_tokens": found.cached_input_tokens if read is None else read,
            "cache_creation_tokens": found.cache_creation_tokens if created is None else created,
        }
    )


def _recorded_call(event: Mapping[str, Any]) -> Call | None:
    """The tool call that an action was made from."""
    metadata = as_dict(event.get("tool_call_metadata"))
    call_id = as_str(metadata.get("tool_call_id"))
    response = as_dict(metadata.get("model_response"))
    message = as_dict(as_dict((as_dicts(response.get("choices")) or [{}])[0]).get("message"))
    for record in openai_calls(message):
        if record.get("id") == call_id:
            return call_of(record)
    return None


def _failure(observation: str, text: str, suffix: str) -> str | None:
    if "timed out" in suffix or "no new output" in suffix.lower():
        return "timeout"
    if observation == "error" or (observation in ("edit", "read", "write") and text.startswith("ERROR:")):
        return "failed"
    return None
