"""ATIF, the trajectory format of harbor (1.0 to 1.8): one JSON document an episode, or one a line.

An agent's step is an answer together with its calls and what they led to. What our own export keeps in `extra` (times,
the patch, the verdict, why it ended) is read back; of other writers `extra` is kept as it is.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ...rewards.service.usage import Usage
from .. import payloads
from .base import Foreign, ForeignEpisode, Sample, Timed, Unread
from .documents import Document, first_object, glimpse, open_document
from .reading import (
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
    json_rows,
    moment,
)
from .telling import Answer, Call, Teller, instance_of, repo_of, tool_call

__all__ = ["ADAPTER", "LOSES", "AtifAdapter"]

LOSES: Mapping[str, str] = {
    "schema_version": "all versions are read alike",
    "steps[].step_id": "the log has numbers of its own",
    "steps[].reasoning_effort, llm_call_count": "parameters of the request",
    "steps[].timestamp": "one time a step: when a call began and ended is known where `extra` says so",
    "continued_trajectory_ref": "in a note: the other document is an episode of its own",
}
"""What of the format has no place of its own in our log, and why."""

_WHOLE = frozenset({"agent", "steps", "schema_version", "final_metrics", "subagent_trajectories", "extra"})
_MEANWHILE: Mapping[str, type[payloads.Payload]] = {
    "phase": payloads.Phase,
    "sandbox_metric": payloads.SandboxMetric,
    "error": payloads.Error,
    "note": payloads.Note,
}
"""What our export keeps in the document's `extra` of what happened between the steps."""
_OF_STEP: Mapping[str, type[payloads.Payload]] = {
    "step_reward": payloads.StepReward,
    "sandbox_metric": payloads.SandboxMetric,
    "test_run": payloads.TestRun,
}
"""What it keeps in the `extra` of a result."""
_AFTER: Mapping[str, type[payloads.Payload]] = {
    "final_patch": payloads.FinalPatch,
    "verdict": payloads.Verdict,
    "episode_end": payloads.EpisodeEnd,
}
"""And of what came after the last step, in the order in which it is told."""
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)
_TIMES = ("t_start", "t_end", "duration_ms")
_HEAD = 4 << 20
_RESULT = frozenset({"data", "ok", "step", "error", "exit_code", *_TIMES, *_OF_STEP})
_OF_ANSWER = frozenset({"llm_request", "llm_response"})
_OF_METRICS = frozenset({*Usage.model_fields, "time_to_first_token_ms"})
_OF_CALL = frozenset({*payloads.ToolCall.model_fields, "executed", *_TIMES})
_HEADER = ("run_id", "task_id", "repo", "commit", "seed", "agent_version", "episode_start")


class AtifAdapter:
    """See `base.Adapter`."""

    name = "atif"
    version = "2"
    title = "ATIF trajectories (harbor)"

    def recognise(self, sample: Sample) -> float:
        """By the version that the format gives itself."""
        found = as_dict(glimpse(sample)) or first_object(sample)
        return 1.0 if as_text(found.get("schema_version")).startswith("ATIF-") else 0.0

    def episodes(self, path: Path, options: Mapping[str, Any]) -> Iterator[ForeignEpisode]:
        """The episode of a document, or one a line."""
        if not _is_lines(path):
            yield _episode(open_document(path, frozenset({"steps"})), [], "trajectory")
            return
        broken = list[Unread]()
        for row in json_rows(path):
            value = as_dict(row.value) if isinstance(row, Row) else {}
            if value:
                fields = {key: item for key, item in value.items() if key != "steps" or not isinstance(item, list)}
                document = Document(path, fields=fields, held={"steps": as_list(value.get("steps"))})
                yield _episode(document, broken, as_text(row.where))
                broken = []
            else:
                broken.append(row if isinstance(row, Unread) else Unread(kind="row that is no object", where=row.where))
        if broken:
            yield _episode(Document(path, held={}), broken, "end")


def _is_lines(path: Path) -> bool:
    """Whether a document stands on a line of its own, and is not all there is."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    records = head_records(head, most=1)
    several = sum(bool(line.strip()) for line in head.split(b"\n", 3)[:3]) > 1
    return several and bool(records) and "schema_version" in records[0]


def _episode(document: Document, broken: list[Unread], where: str) -> ForeignEpisode:
    fields = document.fields
    agent, extra = as_dict(fields.get("agent")), as_dict(fields.get("extra"))
    name = as_str(fields.get("session_id")) or as_str(fields.get("trajectory_id")) or document.path.name.split(".")[0]
    task = as_str(extra.get("task_id")) or instance_of(name) or name
    timed = any(moment(as_dict(step).get("timestamp")) for step in document.items("steps"))
    seed = extra.get("seed")
    return ForeignEpisode(
        key=as_str(fields.get("trajectory_id")) or where,
        task_id=task,
        agent=as_str(agent.get("name")) or "unknown",
        agent_version=as_str(agent.get("version")) or "unknown",
        model=as_str(agent.get("model_name")),
        repo=as_str(extra.get("repo")) or repo_of(task),
        commit=as_text(extra.get("commit")),
        seed=as_int(seed),
        timing="recorded" if timed else "none",
        events=_events(document, broken),
    )


def _events(document: Document, broken: list[Unread]) -> Iterator[Foreign]:
    fields = document.fields
    agent, extra = as_dict(fields.get("agent")), as_dict(fields.get("extra"))
    teller = Teller("atif", as_str(agent.get("model_name")))
    yield _start(document, agent, extra)
    yield from broken
    for key, value in fields.items():
        if key == "steps" and value is not None:
            yield Unread(kind="steps that are no list")
        elif key not in _WHOLE:
            yield teller.note(key, {"value": value})
    if as_dict(agent.get("extra")):
        yield teller.note("agent", as_dict(agent.get("extra")), records=0)
    meanwhile = sorted(_recorded(extra, _MEANWHILE), key=_begun)
    yield from _between(_steps(teller, document.items("steps")), meanwhile)
    for part in as_dicts(fields.get("subagent_trajectories")):
        teller.switch(as_str(part.get("trajectory_id")) or as_str(part.get("session_id")) or "subagent")
        facts = {key: value for key, value in part.items() if key != "steps"}
        yield teller.note("subagent", facts)
        yield from _steps(teller, iter(as_list(part.get("steps"))))
    if document.damage is not None:
        yield document.damage
    yield from _ours(teller, extra)
    yield from _ending(teller, as_dict(fields.get("final_metrics")), extra)


def _start(document: Document, agent: dict[str, Any], extra: dict[str, Any]) -> Timed:
    first, opening = None, ""
    for step in map(as_dict, document.items("steps")):
        first = first or moment(step.get("timestamp"))
        if step.get("source") == "agent":
            break
        if step.get("source") == "user":
            opening = as_text(step.get("message"))
    tools = tuple(as_dicts(agent.get("tool_definitions")))
    known = {key: value for key, value in as_dict(extra.get("episode_start")).items() if key not in _TIMES}
    start, end, took = _times(as_dict(extra.get("episode_start")))
    try:
        payload = payloads.EpisodeStart.of(**{"observation": opening, **known, "tools": tools})
    except ValidationError:
        payload = payloads.EpisodeStart.of(observation=opening, tools=tools)
    return Timed(payload=payload, t_start=start or first, t_end=end, duration_ms=took)


def _times(extra: Mapping[str, Any]) -> tuple[datetime | None, datetime | None, float | None]:
    return moment(extra.get("t_start")), moment(extra.get("t_end")), as_float(extra.get("duration_ms"))


def _steps(teller: Teller, steps: Iterator[Any]) -> Iterator[Foreign]:
    for number, value in enumerate(steps):
        step = as_dict(value)
        source = step.get("source")
        if source == "agent" and step.get("is_copied_context") is not True:
            yield from _agent_step(teller, step)
        elif source in ("agent", "user", "system"):
            yield from _heard(teller, step, str(source))
        else:
            kind = "step that is no object" if not step else f"step of source {as_text(source)}"[:80]
            yield Unread(kind=kind, where=f"steps[{number}]")


def _heard(teller: Teller, step: dict[str, Any], source: str) -> Iterator[Timed]:
    extra = as_dict(step.get("extra"))
    role = "assistant" if source == "agent" else as_str(extra.get("role")) or source
    teller.hear({"role": role, "content": step.get("message") or ""})
    facts = {key: value for key, value in step.items() if key not in ("step_id", "timestamp", "message", "source")}
    kind = {"user": "user_message", "system": "system", "agent": "copied_context"}[source]
    yield teller.note(kind, facts, at=moment(step.get("timestamp")), what="step")


def _agent_step(teller: Teller, step: dict[str, Any]) -> Iterator[Foreign]:
    at, extra = moment(step.get("timestamp")), as_dict(step.get("extra"))
    calls = as_dicts(step.get("tool_calls"))
    content, reasoning = as_text(step.get("message")), as_str(step.get("reasoning_content"))
    if step.get("llm_call_count") != 0:
        yield from teller.answer(_answer(step, calls, content, reasoning, at, extra))
    else:
        facts = {key: step[key] for key in ("message", "extra") if step.get(key)}
        yield teller.note("dispatch", facts, at=at, what="step")
        extra = {}
    if left := _left_over(step, extra, calls):
        yield teller.note("extra", left, at=at, records=0, what="step")
    thought = reasoning or content or None
    for number, call in enumerate(calls):
        inner = as_dict(call.get("extra"))
        if inner.get("executed") is not False:
            yield teller.call(_call(call, inner, thought if not number else None), moment(inner.get("t_start")) or at)
    results = [as_dict(item) for item in as_list(as_dict(step.get("observation")).get("results"))]
    for result in results:
        yield from _result(teller, result, at)


def _left_over(step: dict[str, Any], extra: dict[str, Any], calls: list[dict[str, Any]]) -> dict[str, Any]:
    """What other writers keep in the `extra` of a step, of its metrics and of its calls."""
    found = {
        "step": _without(extra, _OF_ANSWER),
        "metrics": _without(as_dict(as_dict(step.get("metrics")).get("extra")), _OF_METRICS),
        "tool_calls": {
            as_str(call.get("tool_call_id")) or str(number): rest
            for number, call in enumerate(calls)
            if (rest := _without(as_dict(call.get("extra")), _OF_CALL))
        },
    }
    return {name: rest for name, rest in found.items() if rest}


def _without(extra: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in extra.items() if key not in known}


def _answer(
    step: dict[str, Any],
    calls: list[dict[str, Any]],
    content: str,
    reasoning: str | None,
    at: datetime | None,
    extra: dict[str, Any],
) -> Answer:
    metrics, told = as_dict(step.get("metrics")), as_dict(extra.get("llm_response"))
    more = as_dict(metrics.get("extra"))
    asked, answered, took = _times(told)
    recorded = as_dict(extra.get("llm_request"))
    names = ("reasoning_effort", "llm_call_count")
    return Answer(
        content=content,
        reasoning=reasoning,
        tool_calls=[_openai(call) for call in calls],
        request_id=as_str(recorded.get("request_id")) or as_str(told.get("request_id")),
        model=as_str(step.get("model_name")),
        finish_reason=as_str(told.get("finish_reason")),
        usage=Usage(
            input_tokens=as_int(metrics.get("prompt_tokens")),
            cached_input_tokens=as_int(metrics.get("cached_tokens")),
            cache_creation_tokens=as_int(more.get("cache_creation_tokens")),
            output_tokens=as_int(metrics.get("completion_tokens")),
            reasoning_tokens=as_int(more.get("reasoning_tokens")),
        ),
        cost_usd=as_float(metrics.get("cost_usd")),
        parameters={**as_dict(recorded.get("parameters")), **{key: step[key] for key in names if step.get(key)}},
        tokens=_tokens(metrics),
        asked=moment(recorded.get("t_start")) or asked or at,
        answered=answered or at,
        duration_ms=took,
        kind="step",
    )


def _tokens(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Token ids and log-probabilities, where they are lists of numbers."""
    found = dict[str, Any]()
    for name in ("prompt_token_ids", "completion_token_ids"):
        ids = as_list(metrics.get(name))
        if ids and all(as_int(item) is not None for item in ids):
            found[name] = tuple(as_int(item) for item in ids)
    chances = as_list(metrics.get("logprobs"))
    if chances and all(as_float(item) is not None for item in chances):
        found["logprobs"] = tuple(as_float(item) for item in chances)
    return found


def _openai(call: Mapping[str, Any]) -> dict[str, Any]:
    given = call.get("arguments")
    arguments = as_dict(given) if isinstance(given, dict) else as_text(given)
    return tool_call(as_text(call.get("function_name")), arguments, as_str(call.get("tool_call_id")))


def _call(call: Mapping[str, Any], extra: Mapping[str, Any], thought: str | None) -> Call:
    name = as_str(call.get("function_name"))
    return Call(
        tool=name,
        arguments=as_dict(call.get("arguments")),
        action=as_str(extra.get("action")) or compact(_openai(call)),
        thought=as_str(extra.get("thought")) or thought,
        malformed=extra.get("malformed") is True or name is None,
        call_id=as_str(call.get("tool_call_id")),
    )


def _result(teller: Teller, result: dict[str, Any], at: datetime | None) -> Iterator[Foreign]:
    extra = as_dict(result.get("extra"))
    start, end, took = _times(extra)
    code, ok = extra.get("exit_code"), extra.get("ok")
    data = as_dict(extra.get("data"))
    rest = {key: value for key, value in extra.items() if key not in _RESULT}
    refs = result.get("subagent_trajectory_ref")
    told = teller.result(
        as_str(result.get("source_call_id")),
        as_text(result.get("content")),
        at=end or at,
        duration_ms=took,
        ok=ok is not False,
        error=as_str(extra.get("error")),
        exit_code=code if isinstance(code, int) and not isinstance(code, bool) and abs(code) < 1 << 31 else None,
        data={**data, **rest, **({"subagents": refs} if refs else {})},
        kind="step",
    )
    if told is None:
        yield teller.note("observation", result, at=at, records=0, what="step")
    elif start is not None:
        yield Timed(payload=told.payload, t_start=start, t_end=end, duration_ms=took, kind="step")
    else:
        yield told
    if told is not None and isinstance(told.payload, payloads.ToolResult):
        yield from _recorded(extra, _OF_STEP, step=told.payload.step)


def _begun(item: Foreign) -> datetime:
    """When an event began; one without a time is last."""
    return (item.t_start if isinstance(item, Timed) else None) or _LATEST


def _between(events: Iterator[Foreign], others: list[Foreign]) -> Iterator[Foreign]:
    """Events with others in between, each before the first event that began no earlier."""
    waiting = deque(others)
    for event in events:
        begun = event.t_start if isinstance(event, Timed) else None
        while waiting and begun is not None and _begun(waiting[0]) <= begun:
            yield waiting.popleft()
        yield event
    yield from waiting


def _recorded(extra: Mapping[str, Any], kinds: Mapping[str, type[payloads.Payload]], **more: Any) -> Iterator[Foreign]:
    """The events that our own export keeps under their names."""
    for name, kind in kinds.items():
        found = extra.get(name)
        for number, record in enumerate(as_dicts(found if isinstance(found, list) else [found])):
            start, end, took = _times(record)
            fields = {key: value for key, value in record.items() if key not in _TIMES}
            try:
                payload = kind.of(**{**more, **fields})
            except (ValidationError, TypeError):
                yield Unread(kind=f"extra.{name}", where=f"extra.{name}[{number}]", records=0)
            else:
                yield Timed(payload=payload, t_start=start, t_end=end, duration_ms=took, kind=name)


def _ours(teller: Teller, extra: dict[str, Any]) -> Iterator[Foreign]:
    """What our own export keeps in `extra` of the end; what is not ours is a note."""
    rest = {key: value for key, value in extra.items() if key not in {*_MEANWHILE, *_AFTER, *_HEADER}}
    if rest:
        yield teller.note("extra", rest)
    yield from _recorded(extra, _AFTER)


def _ending(teller: Teller, metrics: dict[str, Any], extra: dict[str, Any]) -> Iterator[Timed]:
    """Totals, where the document has them and does not say how it ended: that stays for ingestion to judge."""
    if metrics and not as_list(extra.get("episode_end")):
        yield teller.note("final_metrics", metrics)


ADAPTER = AtifAdapter()
