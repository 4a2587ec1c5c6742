"""SWE-agent's `.traj` files, before and after 1.1, those of several attempts included.

A step of `trajectory` becomes a request, its answer, a call and its result; a step that only says why the agent was
stopped becomes a note. What the model was sent is taken from `query` (since 1.1), else from `history`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...rewards.service.usage import Usage
from .. import payloads
from .base import Foreign, ForeignEpisode, Sample, Timed, Unread
from .documents import Document, glimpse, open_document
from .exits import read_exit
from .reading import NotJson, as_dict, as_dicts, as_float, as_int, as_list, as_str, as_text, parse_arguments, parse_json
from .telling import Answer, Call, Teller, call_of, final_patch, instance_of, openai_calls, repo_of

__all__ = ["ADAPTER", "LOSES", "SweAgentAdapter"]

LOSES: Mapping[str, str] = {
    "trajectory[].query": "kept as what each request adds; messages that a history processor shortened are told anew",
    "history": "kept where no `query` says what was sent; otherwise it repeats the steps",
    "info.edited_files30, 50, 70": "excerpts of files around the patch, as they are in the note `info`",
}
"""What of the format has no place of its own in our log, and why."""

_LISTS = frozenset({"trajectory", "history", "attempts"})
_TOOLS = frozenset(
    "open goto scroll_up scroll_down create edit insert append undo_edit search_dir search_file find_file find_class"
    " find_func str_replace_editor submit filemap view_image image_view exit exit_forfeit bash".split()
)
_STEP = frozenset({"action", "observation", "response", "thought", "execution_time", "query", "reasoning_content"})
_SPOKEN = ("role", "content", "name", "tool_calls", "tool_call_id")


class SweAgentAdapter:
    """See `base.Adapter`."""

    name = "swe-agent"
    version = "1"
    title = "SWE-agent trajectories (.traj)"

    def recognise(self, sample: Sample) -> float:
        """By the members of a step, of a message, or of the whole."""
        found = as_dict(glimpse(sample))
        if "schema_version" in found or "trajectory_format" in found or "instance_id" in found:
            return 0.0
        attempts = as_dicts(found.get("attempts"))
        steps = as_dicts(found.get("trajectory")) or as_dicts(attempts[0].get("trajectory") if attempts else None)
        if steps and "action" in steps[0] and ("response" in steps[0] or "observation" in steps[0]):
            return 1.0
        messages = as_dicts(found.get("history"))
        if messages and "role" in messages[0] and ("agent" in messages[0] or "message_type" in messages[0]):
            return 0.9
        return 0.8 if "replay_config" in found and "info" in found else 0.0

    def episodes(self, path: Path, options: Mapping[str, Any]) -> Iterator[ForeignEpisode]:
        """One episode, or one an attempt."""
        document = open_document(path, _LISTS)
        name = _name(path)
        attempts = False
        for number, attempt in enumerate(document.items("attempts"), 1):
            attempts = True
            yield _episode(_Attempt.of(document, as_dict(attempt), number), name)
        if not attempts:
            yield _episode(_Attempt(document, document.fields), name)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One attempt at a task: a document, or a part of one."""

    document: Document
    fields: Mapping[str, Any]
    number: int = 1

    @classmethod
    def of(cls, whole: Document, part: dict[str, Any], number: int) -> "_Attempt":
        """An attempt of several; the members that all share are told with the first."""
        lists = {key: as_list(part[key]) for key in _LISTS & part.keys()}
        shared = {key: value for key, value in whole.fields.items() if key not in part}
        own = {key: value for key, value in part.items() if key not in _LISTS}
        fields = {**shared, **own, **({"chosen": whole.fields.get("info")} if number == 1 else {})}
        return cls(Document(whole.path, damage=whole.damage if number == 1 else None, held=lists), fields, number)

    @property
    def config(self) -> dict[str, Any]:
        """What the run can be repeated with; an object, or its JSON."""
        return parse_arguments(self.fields.get("replay_config")) or {}

    @property
    def info(self) -> dict[str, Any]:
        """How it went."""
        return as_dict(self.fields.get("info"))


def _name(path: Path) -> str:
    return instance_of(path.name) or path.name.removesuffix(".traj")


def _episode(attempt: _Attempt, name: str) -> ForeignEpisode:
    config = attempt.config
    repo = as_dict(as_dict(config.get("env")).get("repo"))
    task = as_str(as_dict(config.get("problem_statement")).get("id")) or name
    model = as_str(as_dict(as_dict(config.get("agent")).get("model")).get("name"))
    timed = any(as_float(as_dict(step).get("execution_time")) for step in attempt.document.items("trajectory"))
    return ForeignEpisode(
        key=f"attempt-{attempt.number}",
        task_id=task,
        agent="swe-agent",
        agent_version=as_str(attempt.info.get("swe_agent_version")) or "unknown",
        model=model,
        repo=repo_of(task) or as_text(repo.get("repo_name")),
        commit=as_text(repo.get("base_commit")),
        timing="durations" if timed else "none",
        events=_events(attempt, config, model),
    )


def _events(attempt: _Attempt, config: Mapping[str, Any], model: str | None) -> Iterator[Foreign]:
    teller = Teller("swe-agent", model)
    messages = _History(attempt.document.items("history"))
    yield Timed(payload=_start(attempt, config, messages.opening))
    for key, value in attempt.fields.items():
        yield _member(teller, key, config or value if key == "replay_config" else value)
    told = False
    for number, step in enumerate(attempt.document.items("trajectory")):
        told = True
        if isinstance(step, dict):
            yield from _step(teller, as_dict(step), messages)
        else:
            yield Unread(kind="step that is no object", where=f"trajectory[{number}]")
    if not told:
        yield from _from_history(teller, attempt.document.items("history"))
    if attempt.document.damage is not None:
        yield attempt.document.damage
    yield from _ending(teller, attempt.info)


def _member(teller: Teller, key: str, value: Any) -> Foreign:
    """A member of the document that is none of its lists."""
    if key in _LISTS and value is not None:
        return Unread(kind=f"{key} that is no list")
    data = as_dict(value) or {"value": value}
    return teller.note(key, {name: item for name, item in data.items() if name != "submission"})


def _start(attempt: _Attempt, config: Mapping[str, Any], opening: str) -> payloads.EpisodeStart:
    env, agent = as_dict(config.get("env")), as_dict(config.get("agent"))
    asked, model = as_dict(config.get("problem_statement")), as_dict(agent.get("model"))
    limits = {
        "cost_usd": as_float(model.get("per_instance_cost_limit")),
        "requests": as_int(model.get("per_instance_call_limit")),
    }
    image = as_str(as_dict(env.get("deployment")).get("image"))
    return payloads.EpisodeStart.of(
        task={"problem_statement": as_text(asked.get("text"))} if asked.get("text") else {},
        observation=opening,
        limits={name: limit for name, limit in limits.items() if limit},
        sandbox={"image": image} if image else {},
        attempt=attempt.number,
    )


class _History:
    """The messages of `history`, for steps that do not say what was sent."""

    def __init__(self, messages: Iterator[Any]) -> None:
        self._messages = (as_dict(message) for message in messages)
        self._ahead: list[dict[str, Any]] = []
        self._sent: list[dict[str, Any]] = []
        self._query: list[dict[str, Any]] = []
        self.opening = ""
        for message in self._before_answer():
            self._sent.append(message)
            if message.get("role") == "user" and not message.get("is_demo"):
                self.opening = as_text(message.get("content"))

    def _before_answer(self) -> Iterator[dict[str, Any]]:
        for message in self._messages:
            if message.get("role") == "assistant" and not message.get("is_demo"):
                self._ahead = [message]
                return
            yield message

    def added(self, query: list[dict[str, Any]]) -> tuple[int, list[dict[str, Any]]]:
        """How many messages of the query before this one begins with, and those after them."""
        before, kept = self._query, 0
        while kept < min(len(before), len(query)) and before[kept] == query[kept]:
            kept += 1
        self._query = query
        return kept, query[kept:]

    def take(self, response: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """What was said before this answer, and the answer as `history` has it; nothing if it is not the next one."""
        said, self._sent = self._sent, []
        if not self._ahead or as_text(self._ahead[0].get("content")).strip() != response.strip():
            return said, {}
        answer = self._ahead.pop()
        self._sent = list(self._before_answer())
        return said, answer


def _spoken(messages: list[Any]) -> list[dict[str, Any]]:
    """Messages as a model is sent them."""
    told = list[dict[str, Any]]()
    for message in as_dicts(messages):
        spoken = {key: message[key] for key in _SPOKEN if message.get(key) is not None}
        ids = as_list(message.get("tool_call_ids"))
        if ids and spoken.get("role") == "tool":
            spoken["tool_call_id"] = ids[0]
        told.append(spoken)
    return told


def _step(teller: Teller, step: dict[str, Any], messages: _History) -> Iterator[Foreign]:
    action, response = as_text(step.get("action")), as_text(step.get("response"))
    query = as_dicts(step.get("query") or step.get("messages"))
    if not action.strip() and response.startswith("Exit"):
        yield teller.note("exit", step, what="step")
        return
    if not action.strip() and "response" not in step:
        yield Unread(kind="step without action and response")
        return
    said, recorded = messages.take(response)
    if query:
        teller.resend(*messages.added(_spoken(query)))
    else:
        teller.hear(*_spoken(said))
    calls = openai_calls(recorded) or openai_calls(step)
    reasoning = as_str(step.get("reasoning_content"))
    answer = Answer(content=response, reasoning=reasoning, tool_calls=calls, kind="step")
    yield from teller.answer(answer)
    yield from _act(teller, step, action, calls)


def _act(teller: Teller, step: dict[str, Any], action: str, calls: list[dict[str, Any]]) -> Iterator[Timed]:
    thought = as_str(step.get("thought"))
    observation, took = as_text(step.get("observation")), as_float(step.get("execution_time"))
    state = _state(step.get("state"))
    data = {
        **({"state": state} if state else {}),
        **{key: step[key] for key in step if key not in _STEP | {"state", "messages"}},
    }
    duration = took * 1000 if took is not None else None
    if not action.strip():
        call = Call(tool=None, action=as_text(step.get("response")), thought=thought, malformed=True)
        yield teller.call(call)
        yield from _done(
            teller.result(None, observation, ok=False, error="malformed_action", data=data, duration_ms=duration)
        )
        return
    yield teller.call(_call(action, thought, calls))
    skipped = not observation and not state and took == 0 and "state" in step
    error = "not_executed" if skipped else None
    yield from _done(teller.result(None, observation, ok=not skipped, error=error, data=data, duration_ms=duration))


def _done(result: Timed | None) -> Iterator[Timed]:
    if result is not None:
        yield result


def _call(action: str, thought: str | None, calls: list[dict[str, Any]]) -> Call:
    if calls:
        call = call_of(calls[0])
        if call.tool is not None:
            return Call(tool=call.tool, arguments=call.arguments, action=action, thought=thought, call_id=call.call_id)
    word = action.split(None, 1)[0]
    return Call(tool=word if word in _TOOLS else "bash", arguments={"command": action}, action=action, thought=thought)


def _state(value: Any) -> dict[str, Any]:
    """The state of the environment, an object or (before 1.1) its JSON."""
    if isinstance(value, str):
        try:
            value = parse_json(value)
        except NotJson:
            return {"text": value} if value.strip() else {}
    return as_dict(value)


def _from_history(teller: Teller, history: Iterator[Any]) -> Iterator[Foreign]:
    """The steps of a file that holds nothing but messages."""
    heard = list[dict[str, Any]]()
    for number, item in enumerate(history):
        message = as_dict(item)
        if not message:
            yield Unread(kind="message that is no object", where=f"history[{number}]")
        elif message.get("role") == "assistant" and not message.get("is_demo"):
            calls, content = openai_calls(message), as_text(message.get("content"))
            teller.hear(*_spoken(heard))
            heard = []
            yield from teller.answer(Answer(content=content, tool_calls=calls, kind="message"))
            action = as_text(message.get("action"))
            if action.strip():
                yield teller.call(_call(action, as_str(message.get("thought")), calls))
        else:
            heard.append(message)
            yield from _heard(teller, message)
    if heard and not teller.requests:
        yield teller.note("messages", {"messages": heard}, records=0)


def _heard(teller: Teller, message: dict[str, Any]) -> Iterator[Timed]:
    """The result that a message tells, if a call waits for one."""
    result = teller.result(None, as_text(message.get("content")), kind="message", records=1)
    if result is None:
        role = as_text(message.get("role")) or "unknown"
        yield teller.note("message", {"role": role}, what="message")
    else:
        yield result


def _ending(teller: Teller, info: Mapping[str, Any]) -> Iterator[Timed]:
    patch = final_patch(info.get("submission"))
    if patch is not None:
        yield patch
    if "exit_status" not in info:
        return
    said = as_str(info.get("exit_status"))
    stats = as_dict(info.get("model_stats"))
    sent, received = as_int(stats.get("tokens_sent")), as_int(stats.get("tokens_received"))
    counted = bool(sent or received)
    cost = as_float(stats.get("instance_cost"))
    stop, failure = read_exit("swe-agent", said)
    yield teller.end(
        stop,
        failure,
        said,
        usage=Usage(input_tokens=sent, output_tokens=received) if counted else None,
        cost_usd=cost if cost or counted else None,
        requests=as_int(stats.get("api_calls")),
    )


ADAPTER = SweAgentAdapter()
