"""ATIF 1.8, the trajectory format of harbor: one JSON document an episode.

What the format has a field for goes there; all else that an event says goes into the `extra` of what it belongs to,
under the name of the event. A subagent is an embedded trajectory. An answer of a model is one step together with the
calls it made and what they led to.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ..events import AnyEvent, LlmRequestEvent, UnknownEvent
from .atif_losses import LOSES, UNREAD
from .base import Exporter, NoOptions, RecordedEpisode, Sink, Target
from .output import Folder
from .parts import arguments_of, as_items, as_mapping, compact, iso, rest_of, text_of, times_of
from .story import Act, Story, Turn
from .tokens import Prompts

__all__ = ["EXPORTER", "AtifExporter", "document"]

_SCHEMA = "ATIF-v1.8"
_SOURCES = {"system": "system", "developer": "system", "user": "user"}
_MEDIA = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_USAGE = {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens", "cached_input_tokens": "cached_tokens"}


class AtifExporter:
    """See `base.Exporter`."""

    name = "atif"
    title = "ATIF 1.8 (harbor)"
    output = "folder of .json, or one .json"
    options: type[BaseModel] = NoOptions
    loses: Mapping[str, str] = LOSES
    unread: Mapping[str, str] = UNREAD

    def open(self, target: Target) -> Sink:
        """See `base.Exporter`."""
        return _Sink(target)


class _Sink:
    def __init__(self, target: Target) -> None:
        self._folder = Folder(target, ".json")

    def write(self, episode: RecordedEpisode) -> None:
        self._folder.write(episode, compact(document(episode)).encode() + b"\n")

    def close(self) -> list[Path]:
        return self._folder.close()

    def abandon(self) -> None:
        pass


EXPORTER: Exporter = AtifExporter()


def document(episode: RecordedEpisode) -> dict[str, Any]:
    """The trajectory of an episode as ATIF has it."""
    story = episode.story
    told = {thread: _Steps(story, thread).tell() for thread in story.threads}
    name = f"{episode.run_id}/{story.header.episode_id}"
    whole: dict[str, Any] = {
        "schema_version": _SCHEMA,
        "session_id": story.header.episode_id,
        "trajectory_id": name,
        "agent": _agent(story),
        "steps": told[None] or [{"step_id": 1, "source": "system", "message": "", "extra": {"empty": True}}],
        "final_metrics": _final_metrics(story, len(told[None])),
        "extra": _root_extra(episode.run_id, story),
    }
    inner = [
        {"schema_version": _SCHEMA, "trajectory_id": f"{name}#{thread}", "agent": _agent(story), "steps": steps}
        | {"extra": {"thread": thread}}
        for thread, steps in told.items()
        if thread is not None and steps
    ]
    return whole | ({"subagent_trajectories": inner} if inner else {})


def _agent(story: Story) -> dict[str, Any]:
    header = story.header
    tools = list(story.start.payload.tools) if story.start is not None else []
    known = {"name": header.agent, "version": header.agent_version, "model_name": header.model}
    return rest_of(known | {"tool_definitions": tools})


class _Steps:
    """The steps of one conversation."""

    def __init__(self, story: Story, thread: str | None) -> None:
        self._story = story
        self._thread = thread
        self._steps = list[dict[str, Any]]()
        self._prompts = Prompts()

    def tell(self) -> list[dict[str, Any]]:
        turns = [turn for turn in self._story.turns if turn.thread == self._thread]
        start = self._story.start
        if self._thread is None and start is not None and not any(turn.request for turn in turns):
            self._add("user", start.payload.observation, at=start)
        seen = list[str]()
        for turn in turns:
            if turn.request is not None:
                self._heard(turn.request, seen)
            seen = [act.result.payload.observation for act in turn.acts if act.result is not None]
            self._turn(turn)
        return self._steps

    def _add(self, source: str, message: Any, at: AnyEvent | None, **fields: Any) -> None:
        known = {"source": source, "timestamp": iso(at.t_start) if at is not None and self._story.timed else None}
        step: dict[str, Any] = {"step_id": len(self._steps) + 1, **rest_of(known), "message": message}
        self._steps.append(step | rest_of(fields))

    def _heard(self, request: LlmRequestEvent, seen: list[str]) -> None:
        """What is new in a request and no answer or result of before."""
        for message in request.payload.messages:
            source = _SOURCES.get(str(message.get("role")))
            content = message.get("content")
            if source is not None and text_of(content) not in seen:
                extra = rest_of(message, ("role", "content"))
                if message.get("role") == "developer":
                    extra["role"] = "developer"
                self._add(source, _content(content), request, extra=extra)

    def _turn(self, turn: Turn) -> None:
        asked, said = turn.request, turn.response
        answer = said.payload if said is not None else None
        first = asked or said or turn.acts[0].call
        self._add(
            "agent",
            (answer.content or "") if answer is not None else "",
            first,
            model_name=(answer.model if answer is not None else None) or (asked.payload.model if asked else None),
            reasoning_content=answer.reasoning if answer is not None else None,
            tool_calls=_calls(turn),
            observation=rest_of({"results": [_result(act) for act in turn.acts if act.result is not None]}),
            metrics=self._metrics(turn),
            extra=self._extra(turn),
        )
        if asked is None and said is None:
            self._steps[-1]["llm_call_count"] = 0
        elif answer is not None:
            self._steps[-1]["llm_call_count"] = 1

    def _metrics(self, turn: Turn) -> dict[str, Any]:
        prompt = self._prompts.take(turn.request, turn.response)
        if turn.response is None:
            return {}
        answer = turn.response.payload
        usage = answer.usage.model_dump()
        known = {theirs: usage.pop(ours) for ours, theirs in _USAGE.items()}
        known |= {
            "cost_usd": answer.cost_usd,
            "prompt_token_ids": prompt,
            "completion_token_ids": list(answer.completion_token_ids or ()),
            "logprobs": list(answer.logprobs or ()),
            "extra": rest_of({**usage, "time_to_first_token_ms": answer.time_to_first_token_ms}),
        }
        return rest_of(known)

    def _extra(self, turn: Turn) -> dict[str, Any]:
        asked, said = turn.request, turn.response
        told = dict[str, Any]()
        if asked is not None:
            left_out = ("messages", "token_ids", "model", "thread")
            told["llm_request"] = times_of(asked) | rest_of(asked.payload, left_out) | {"model": asked.payload.model}
            resent = [m for m in asked.payload.messages if str(m.get("role")) not in _SOURCES]
            told["llm_request"] |= rest_of({"messages": resent})
        if said is not None:
            taken = {"content", "reasoning", "usage", "cost_usd", "model", "time_to_first_token_ms"}
            taken |= {"prompt_token_ids", "completion_token_ids", "logprobs"}
            told["llm_response"] = times_of(said) | rest_of(said.payload, taken)
            told["llm_response"] |= rest_of({"model": said.payload.model})
            if said.payload.content == "":
                told["llm_response"]["content"] = ""
        return told


def _content(content: object) -> Any:
    """A message's content: text, or parts where some are images."""
    parts = as_items(content)
    if parts is None:
        return text_of(content)
    return [_image(part) or {"type": "text", "text": text_of([part])} for part in parts]


def _image(part: Any) -> dict[str, Any] | None:
    """An image by its address, where its kind is one that the format knows."""
    address = as_mapping((as_mapping(part) or {}).get("image_url"))
    url = address.get("url") if address is not None else None
    kind = url[5:].split(";")[0] if isinstance(url, str) and url.startswith("data:") else None
    if kind not in _MEDIA:
        return None
    return {"type": "image", "source": {"media_type": kind, "path": url}}


def _calls(turn: Turn) -> list[dict[str, Any]]:
    """The calls that became steps, then those of the answer that did not."""
    told = [_call(act) for act in turn.acts]
    known = {call["tool_call_id"] for call in told}
    answered = turn.response.payload.tool_calls if turn.response is not None else ()
    for number, call in enumerate(answered):
        call_id = str(call.get("id") or f"call-{number}")
        if call_id in known or (not call.get("id") and number < len(turn.acts)):
            continue
        given = as_mapping(call.get("function")) or call
        arguments = arguments_of(given.get("arguments"))
        told.append(
            {
                "tool_call_id": call_id,
                "function_name": str(given.get("name") or ""),
                "arguments": arguments or {},
                "extra": {"executed": False} | ({} if arguments is not None else {"arguments": given["arguments"]}),
            }
        )
    return told


def _call(act: Act) -> dict[str, Any]:
    call = act.call.payload
    extra = times_of(act.call) | {"step": call.step} | rest_of(call, ("tool", "arguments", "step"))
    extra |= {"malformed": call.malformed}
    return {
        "tool_call_id": act.call_id,
        "function_name": call.tool or "",
        "arguments": dict(call.arguments),
        "extra": extra,
    }


def _result(act: Act) -> dict[str, Any]:
    assert act.result is not None
    result = act.result.payload
    extra = times_of(act.result) | rest_of(result, ("observation", "tool")) | {"ok": result.ok, "step": result.step}
    if result.tool != act.call.payload.tool:
        extra["tool"] = result.tool
    if act.reward is not None:
        extra["step_reward"] = times_of(act.reward) | rest_of(act.reward.payload, ("step",))
        extra["step_reward"]["reward"] = act.reward.payload.reward
    if act.metric is not None:
        extra["sandbox_metric"] = times_of(act.metric) | rest_of(act.metric.payload, ("step",))
    extra |= rest_of({"test_run": [times_of(event) | rest_of(event.payload, ("step",)) for event in act.tests]})
    return {"source_call_id": act.call_id, "content": result.observation, "extra": extra}


def _final_metrics(story: Story, steps: int) -> dict[str, Any]:
    known = dict[str, Any]()
    if story.end is not None:
        end = story.end.payload
        usage = end.usage
        known = {
            "total_prompt_tokens": usage.input_tokens,
            "total_completion_tokens": usage.output_tokens,
            "total_cached_tokens": usage.cached_input_tokens,
            "total_cost_usd": end.cost_usd,
        }
    return rest_of({**known, "total_steps": max(steps, 1)})


def _root_extra(run_id: str, story: Story) -> dict[str, Any]:
    header = story.header
    told = rest_of(
        {"run_id": run_id, "task_id": header.task_id, "repo": header.repo, "commit": header.commit}
        | {"seed": header.seed, "agent_version": header.agent_version}
    )
    if story.start is not None:
        told["episode_start"] = times_of(story.start) | rest_of(story.start.payload, ("tools",))
    several: dict[str, Iterable[AnyEvent]] = {
        "phase": story.phases,
        "sandbox_metric": story.metrics,
        "error": story.errors,
        "note": story.notes,
        "final_patch": story.patches,
        "verdict": story.verdicts,
        "episode_end": story.ends,
        "other": story.rest,
    }
    for name, events in several.items():
        found = [_event(event, name) for event in events]
        if found:
            told[name] = found
    return told


def _event(event: AnyEvent, name: str) -> dict[str, Any]:
    kind = {"event_type": event.event_type} if name == "other" or isinstance(event, UnknownEvent) else {}
    payload = event.payload
    if not isinstance(payload, BaseModel):
        return kind | times_of(event) | rest_of(payload)
    needed = {key for key, field in type(payload).model_fields.items() if field.is_required()}
    return kind | times_of(event) | payload.model_dump(mode="json", include=needed) | rest_of(payload)
