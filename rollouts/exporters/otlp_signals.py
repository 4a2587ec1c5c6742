"""An episode as spans, log records and metrics, by OpenTelemetry's semantic conventions for generative AI.

`invoke_agent` holds `chat` and `execute_tool`; a tool's span links to the chat that called it. Rewards and verdicts are
`gen_ai.evaluation.result` events of the span they are about. What the conventions have no name for has one of ours,
beginning with `trajhub.`.
"""

from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from ... import __version__
from ..events import AnyEvent, LlmRequestEvent, LlmResponseEvent, SandboxMetricEvent
from .base import RecordedEpisode
from .otlp_logs import records_of
from .otlp_messages import input_messages, output_messages
from .otlp_metrics import metrics_of
from .otlp_parts import Ids, ours, span, wrap
from .parts import compact, nanos, rest_of
from .story import Act, Story, Turn

__all__ = ["signals_of"]

_INTERNAL, _CLIENT = 1, 3
_FAILED = 2
_PARAMETERS = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "max_tokens": "gen_ai.request.max_tokens",
    "seed": "gen_ai.request.seed",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "n": "gen_ai.request.choice.count",
    "stream": "gen_ai.request.stream",
}
_PROVIDERS = {
    "claude": "anthropic",
    "gpt": "openai",
    "o1": "openai",
    "o3": "openai",
    "o4": "openai",
    "gemini": "gcp.gemini",
    "deepseek": "deepseek",
    "grok": "x_ai",
    "mistral": "mistral_ai",
    "command": "cohere",
}
_USAGE = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "cached_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_creation_tokens": "gen_ai.usage.cache_creation.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
}


def signals_of(episode: RecordedEpisode, *, content: bool = True) -> dict[str, dict[str, Any]]:
    """What one episode is in each signal; `content` says whether texts of prompts, answers and tools are told."""
    teller = _Teller(episode, content=content)
    resource = {"service.name": teller.header.agent, "service.version": teller.header.agent_version}
    resource |= {"trajhub.run.id": episode.run_id}
    scope = {"name": "trajectory_hub", "version": __version__}
    told = {
        "traces": teller.spans(),
        "logs": records_of(teller.story, teller.ids, content=content),
        "metrics": teller.metrics(),
    }
    return {signal: wrap(signal, resource, scope, items) for signal, items in told.items() if items}


def _provider(model: str | None) -> str:
    """By the model's name: logs do not say who served it."""
    name = (model or "").rpartition("/")[2].lower()
    return next((provider for start, provider in _PROVIDERS.items() if name.startswith(start)), "unknown")


def _usage(payload: Any) -> dict[str, Any]:
    known = payload.model_dump(mode="json")
    told = {theirs: known.pop(name) for name, theirs in _USAGE.items()}
    return told | ours("usage", rest_of(known))


class _Teller:
    def __init__(self, episode: RecordedEpisode, *, content: bool) -> None:
        self.story: Story = episode.story
        self.header = self.story.header
        self._content = content
        self.ids = Ids(episode.run_id, self.header.episode_id)
        self._run_id = episode.run_id

    def spans(self) -> list[dict[str, Any]]:
        told = [self._root(), *(self._subagent(thread) for thread in self.story.threads if thread is not None)]
        for turn in self.story.turns:
            if turn.request is not None or turn.response is not None:
                told.append(self._chat(turn))
            told += [self._tool(act, turn) for act in turn.acts]
        return told

    def _parent(self, thread: str | None) -> str:
        return self.ids.root if thread is None else self.ids.span(f"thread {thread}")

    def _root(self) -> dict[str, Any]:
        story, header = self.story, self.header
        start = story.start.payload if story.start is not None else None
        known = self._agent(header.agent) | {
            "gen_ai.agent.version": header.agent_version,
            "gen_ai.tool.definitions": compact(list(start.tools)) if start is not None and start.tools else None,
            "trajhub.task.id": header.task_id,
            "trajhub.repo": header.repo,
            "trajhub.commit": header.commit,
            "trajhub.seed": header.seed,
        }
        if start is not None:
            told = ("tools",) if self._content else ("tools", "observation", "task")
            known |= ours("episode_start", rest_of(start, told)) | {"trajhub.attempt": start.attempt}
            known["trajhub.reset_ms"] = story.start.duration_ms if story.start is not None else None
        error = None
        if story.end is not None:
            end = story.end.payload
            known |= _usage(end.usage) | ours("episode_end", rest_of(end, ("usage",)))
            known["trajhub.duration_ms"] = story.end.duration_ms
            known["error.type"] = error = str(end.failure) if end.failure is not None else None
        times = nanos(story.events[0].t_start), max(nanos(event.t_end) for event in self._within())
        told = span(self.ids, self.ids.root, None, f"invoke_agent {header.agent}", _INTERNAL, times, known)
        return told | _status(error)

    def _within(self) -> list[AnyEvent]:
        """What happened before the episode was over; a verdict comes later."""
        return [event for event in self.story.events if event.event_type != "verdict"] or self.story.events

    def _agent(self, name: str) -> dict[str, Any]:
        model = self.header.model
        return {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.provider.name": _provider(model),
            "gen_ai.agent.name": name,
            "gen_ai.conversation.id": self.header.episode_id,
            "gen_ai.request.model": model,
        }

    def _subagent(self, thread: str) -> dict[str, Any]:
        turns = [turn for turn in self.story.turns if turn.thread == thread]
        events = [event for turn in turns for event in _events(turn)]
        times = min(nanos(event.t_start) for event in events), max(nanos(event.t_end) for event in events)
        return span(
            self.ids, self._parent(thread), self.ids.root, f"invoke_agent {thread}", _INTERNAL, times,
            self._agent(thread) | {"trajhub.thread": thread},
        )  # fmt: skip

    def _chat(self, turn: Turn) -> dict[str, Any]:
        asked, said = turn.request, turn.response
        model = (asked.payload.model if asked is not None else said.payload.model if said is not None else None) or ""
        known: dict[str, Any] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": _provider(model),
            "gen_ai.request.model": model or None,
            "gen_ai.conversation.id": self.header.episode_id,
        }
        known |= self._asked(asked) | self._said(said)
        if said is None:
            known["error.type"] = "no_answer"
        events = [event for event in (asked, said) if event is not None]
        times = nanos(events[0].t_start), nanos(events[-1].t_end)
        name = f"chat {model}" if model else "chat"
        told = span(self.ids, self._chat_id(turn), self._parent(turn.thread), name, _CLIENT, times, known)
        return told | _status(None if said is not None else "no answer is recorded")

    def _chat_id(self, turn: Turn) -> str:
        event = turn.request or turn.response
        return self.ids.span(event.seq if event is not None else "none")

    def _asked(self, event: LlmRequestEvent | None) -> dict[str, Any]:
        if event is None:
            return {}
        asked = event.payload
        known = dict[str, Any]()
        rest = dict(asked.parameters)
        for name, theirs in _PARAMETERS.items():
            if isinstance(rest.get(name), int | float):
                known[theirs] = rest.pop(name)
        address = urlsplit(asked.endpoint or "")
        with suppress(ValueError):  # a port that is no number; the address as recorded follows
            known |= {"server.address": address.hostname, "server.port": address.port}
        if self._content and asked.messages:
            known["gen_ai.input.messages"] = compact(input_messages(asked.messages))
        taken = ("messages", "parameters", "model", "token_ids", "thread")
        told = rest_of(asked, taken) | rest_of({"parameters": rest})
        known |= ours("llm_request", told | {"duration_ms": event.duration_ms})
        return known | {"trajhub.llm_request.t_end": nanos(event.t_end)}

    def _said(self, event: LlmResponseEvent | None) -> dict[str, Any]:
        if event is None:
            return {}
        said = event.payload
        first = said.time_to_first_token_ms
        known = _usage(said.usage) | {
            "gen_ai.response.model": said.model,
            "gen_ai.response.finish_reasons": [said.finish_reason] if said.finish_reason else None,
            "gen_ai.response.time_to_first_chunk": first / 1000 if first is not None else None,
            "trajhub.llm_response.t_start": nanos(event.t_start),
        }
        if self._content:
            known["gen_ai.output.messages"] = compact(output_messages(said))
        taken = {"content", "reasoning", "tool_calls", "finish_reason", "usage", "model", "time_to_first_token_ms"}
        taken |= {"prompt_token_ids", "completion_token_ids", "logprobs"}
        return known | ours("llm_response", rest_of(said, taken) | {"duration_ms": event.duration_ms})

    def _tool(self, act: Act, turn: Turn) -> dict[str, Any]:
        call, result = act.call.payload, act.result.payload if act.result is not None else None
        known: dict[str, Any] = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": call.tool or "unknown",
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": call.call_id,
            "gen_ai.conversation.id": self.header.episode_id,
            "trajhub.step": call.step,
        }
        texts = () if self._content else ("action", "thought")
        known |= ours("tool_call", rest_of(call, ("tool", "arguments", "step", "call_id", *texts)))
        known["trajhub.tool_call.malformed"] = call.malformed
        if self._content:
            known["gen_ai.tool.call.arguments"] = compact(call.arguments)
        error = "no result is recorded" if result is None else None
        if result is not None and act.result is not None:
            taken = ("observation", "step", "error", *(() if self._content else ("data",)))
            known |= ours("tool_result", rest_of(result, taken) | {"ok": result.ok})
            known["trajhub.tool_result.duration_ms"] = act.result.duration_ms
            known["error.type"] = result.error
            if self._content:
                known["gen_ai.tool.call.result"] = result.observation
            error = None if result.ok else (result.error or "not ok")
        quoted = () if self._content else ("command", "selected", "tests")
        for number, tests in enumerate(act.tests):
            said = rest_of(tests.payload, ("step", *quoted)) | {"parsed": tests.payload.parsed}
            known |= ours(f"test_run.{number}", said)
        shown = act.result or act.call
        times = nanos(shown.t_start), nanos(shown.t_end)
        parent = self._parent(turn.thread)
        name = f"execute_tool {call.tool or 'unknown'}"
        told = span(self.ids, self.ids.span(act.call.seq), parent, name, _INTERNAL, times, known)
        if turn.request is not None or turn.response is not None:
            told["links"] = [{"traceId": self.ids.trace, "spanId": self._chat_id(turn)}]
        return told | _status(error)

    def metrics(self) -> list[dict[str, Any]]:
        events = [event for event in self.story.events if isinstance(event, SandboxMetricEvent)]
        return metrics_of(events, self.header.episode_id)


def _status(error: str | None) -> dict[str, Any]:
    return {"status": {"code": _FAILED, "message": error}} if error is not None else {}


def _events(turn: Turn) -> list[AnyEvent]:
    found: list[AnyEvent | None] = [turn.request, turn.response]
    for act in turn.acts:
        found += [act.call, act.result]
    return [event for event in found if event is not None]
