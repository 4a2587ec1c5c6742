"""Rows with the columns of nebius' two data sets: SWE-agent-trajectories and SWE-rebench-openhands-trajectories."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from ..payloads import LlmRequest
from .base import Exporter, NoOptions, NotExported, RecordedEpisode, Sink, Target
from .nebius_losses import LOSES_OPENHANDS, LOSES_SWE_AGENT, UNREAD_OPENHANDS, UNREAD_SWE_AGENT
from .output import LineSink
from .parts import compact, text_of
from .story import Act, Story, Turn

__all__ = ["OPENHANDS", "SWE_AGENT", "NebiusExporter"]

_HEARD = frozenset({"system", "developer", "user"})
_OPENHANDS_EXITS = {
    "submitted": "submit",
    "step_limit": "maximum iterations",
    "cost_limit": "maximum budget",
    "token_limit": "maximum context",
    "time_limit": "timed out",
    "environment_error": "AgentRuntimeError",
    "interrupted": "interrupted",
}
_SWE_AGENT_EXITS = {
    "submitted": "submitted",
    "cost_limit": "exit_cost",
    "token_limit": "exit_context",
    "policy_error": "exit_error",
    "environment_error": "exit_environment",
    "time_limit": "exit_total_execution_time",
    "early_stopped": "early_exit",
    "interrupted": "skipped",
}


class NebiusExporter:
    """See `base.Exporter`."""

    output = ".jsonl or .parquet"
    options: type[BaseModel] = NoOptions

    def __init__(
        self,
        name: str,
        title: str,
        loses: Mapping[str, str],
        unread: Mapping[str, str],
        row: Callable[[RecordedEpisode], dict[str, Any]],
        schema: Callable[[], Any],
    ) -> None:
        self.name = name
        self.title = title
        self.loses = loses
        self.unread = unread
        self._row = row
        self._schema = schema

    def open(self, target: Target) -> Sink:
        """See `base.Exporter`."""
        return LineSink(target, lambda episode: [self._row(episode)], self._schema)


def _sent(requests: Sequence[LlmRequest], seen: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Role and text of what a model was newly told, results of its calls aside."""
    for request in requests:
        for message in request.messages:
            role, text = str(message.get("role")), text_of(message.get("content"))
            if role in _HEARD and text not in seen:
                yield ("system" if role == "developer" else role), text


def _heard(story: Story, turn: Turn, before: Turn | None) -> Iterator[tuple[str, str]]:
    seen = [act.result.payload.observation for act in before.acts if act.result is not None] if before else []
    if turn.request is not None:
        yield from _sent([turn.request.payload], seen)
    elif before is None and story.start is not None and not any(other.request for other in story.turns):
        yield "user", story.start.payload.observation


def _swe_agent_row(episode: RecordedEpisode) -> dict[str, Any]:
    story = episode.story
    rows, before = list[dict[str, Any]](), None
    for turn in story.turns:
        rows += [_text_row(role, text) for role, text in _heard(story, turn, before)]
        rows.append(_text_row("ai", _said(turn)))
        rows += [_text_row("user", act.result.payload.observation) for act in turn.acts if act.result is not None]
        before = turn
    if not rows:
        raise NotExported("it has no step")
    verdict = story.verdict.payload if story.verdict is not None else None
    return {
        "instance_id": story.header.task_id,
        "model_name": story.header.model or story.header.agent,
        "target": verdict.resolved if verdict is not None else None,
        "trajectory": rows,
        "exit_status": _exit(story, _SWE_AGENT_EXITS),
        "generated_patch": story.patch or "",
        "eval_logs": _logs(story),
    }


def _exit(story: Story, words: Mapping[str, str]) -> str | None:
    if story.end is None:
        return None
    reason = str(story.end.payload.stop_reason)
    return words.get(reason, reason)


def _logs(story: Story) -> str:
    return compact(story.verdict.payload.report) if story.verdict is not None and story.verdict.payload.report else ""


def _text_row(role: str, text: str) -> dict[str, Any]:
    system = role == "system"
    return {
        "role": role,
        "text": None if system else text,
        "system_prompt": text if system else None,
        "mask": False,
        "cutoff_date": None,
    }


def _said(turn: Turn) -> str:
    """Thought and action in one text, the action in a fence, as that agent writes."""
    answer = turn.response.payload if turn.response is not None else None
    words = answer.content if answer is not None and answer.content else None
    pieces = [words or next((act.call.payload.thought for act in turn.acts if act.call.payload.thought), "") or ""]
    for act in turn.acts:
        action = act.call.payload.action
        if action not in pieces[0]:
            pieces.append(f"```\n{_command(act)}\n```")
    return "\n".join(piece for piece in pieces if piece)


def _command(act: Act) -> str:
    """A shell's command itself; any other call by its name and arguments."""
    call = act.call.payload
    command = call.arguments.get("command")
    if call.tool is None:
        return call.action
    if isinstance(command, str) and set(call.arguments) == {"command"}:
        return command
    return f"{call.tool} {compact(call.arguments)}"


def _openhands_row(episode: RecordedEpisode) -> dict[str, Any]:
    story = episode.story
    messages, before = list[dict[str, Any]](), None
    for turn in story.turns:
        messages += [_message(role, text) for role, text in _heard(story, turn, before)]
        messages += _exchange(turn)
        before = turn
    if not messages:
        raise NotExported("it has no step")
    tools = list(story.start.payload.tools) if story.start is not None else []
    resolved = story.verdict.payload.resolved if story.verdict is not None else None
    return {
        "trajectory_id": f"{episode.run_id}/{story.header.episode_id}",
        "instance_id": story.header.task_id,
        "repo": story.header.repo,
        "trajectory": messages,
        "tools": [dict(tool) for tool in tools],
        "model_patch": story.patch,
        "exit_status": _exit(story, _OPENHANDS_EXITS),
        "resolved": int(resolved) if resolved is not None else None,
        "gen_tests_correct": None,
        "pred_passes_gen_tests": None,
    }


def _message(role: str, content: str | None, **known: Any) -> dict[str, Any]:
    empty = {"tool_calls": None, "name": None, "tool_call_id": None}
    return {"role": role, "content": content, **empty, **known}


def _exchange(turn: Turn) -> Iterator[dict[str, Any]]:
    """An answer with its calls, and what came back."""
    answer = turn.response.payload if turn.response is not None else None
    calls = [_function(act) for act in turn.acts if act.call.payload.tool is not None]
    thought = next((act.call.payload.thought for act in turn.acts if act.call.payload.thought), None)
    unread = "\n".join(act.call.payload.action for act in turn.acts if act.call.payload.tool is None)
    content = (answer.content if answer is not None else None) or thought or unread
    yield _message("assistant", content or "", tool_calls=calls or None)
    for act in turn.acts:
        if act.result is None:
            continue
        told, tool = act.result.payload.observation, act.call.payload.tool
        if tool is None:
            yield _message("user", told)
        else:
            yield _message("tool", told, name=tool, tool_call_id=act.call_id)


def _function(act: Act) -> dict[str, Any]:
    call = act.call.payload
    function = {"name": call.tool, "arguments": compact(call.arguments)}
    return {"id": act.call_id, "type": "function", "function": function}


def _swe_agent_schema() -> Any:
    import pyarrow as arrow

    pa: Any = arrow
    text, flag = pa.string(), pa.bool_()
    row = [("cutoff_date", text), ("mask", flag), ("role", text), ("system_prompt", text), ("text", text)]
    return pa.schema(
        [
            *(("instance_id", text), ("model_name", text), ("target", flag), ("trajectory", pa.list_(pa.struct(row)))),
            *(("exit_status", text), ("generated_patch", text), ("eval_logs", text)),
        ]
    )


def _openhands_schema() -> Any:
    import pyarrow as arrow

    pa: Any = arrow
    text = pa.string()
    call = pa.struct(
        [("function", pa.struct([("arguments", text), ("name", text)])), ("id", text), ("type", text)],
    )
    row = [("content", text), ("name", text), ("role", text), ("tool_call_id", text), ("tool_calls", pa.list_(call))]
    counts = [(name, pa.int64()) for name in ("resolved", "gen_tests_correct", "pred_passes_gen_tests")]
    return pa.schema(
        [
            *(("trajectory_id", text), ("instance_id", text), ("repo", text), ("trajectory", pa.list_(pa.struct(row)))),
            *(("tools", pa.list_(pa.json_(pa.utf8()))), ("model_patch", text), ("exit_status", text), *counts),
        ]
    )


SWE_AGENT: Exporter = NebiusExporter(
    "nebius-swe-agent",
    "rows of nebius/SWE-agent-trajectories",
    LOSES_SWE_AGENT,
    UNREAD_SWE_AGENT,
    _swe_agent_row,
    _swe_agent_schema,
)
OPENHANDS: Exporter = NebiusExporter(
    "nebius-openhands",
    "rows of nebius/SWE-rebench-openhands-trajectories",
    LOSES_OPENHANDS,
    UNREAD_OPENHANDS,
    _openhands_row,
    _openhands_schema,
)
