"""One episode in which every field of every event says something, and what changes when a field does."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel
from trajectory_hub.errors import Failure, StopReason
from trajectory_hub.rollouts import payloads
from trajectory_hub.rollouts.episode_log import patch_facts
from trajectory_hub.rollouts.events import EVENT_CLASSES, AnyEvent, UnknownEvent, parse_event
from trajectory_hub.rollouts.exporters import Exporter, RecordedEpisode, Target
from trajectory_hub.rollouts.payloads import Payload, Usage

__all__ = ["HOSTILE", "exported", "fields_of", "mutated", "recorded", "whole_episode"]

BEGIN = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
HEADER = {
    "schema_version": "1.3",
    "run_id": "run",
    "episode_id": "acme__tool-1--s3--a2",
    "task_id": "acme__tool-1",
    "agent": "chatty",
    "agent_version": "2.1",
    "model": "claude-x",
    "repo": "acme/tool",
    "commit": "c0ffee",
    "seed": 3,
}
HOSTILE = '</script>"\\\u0000\u001b[31m\u202e ünïcode \ud83d\n```\nrm -rf /\n```'
PATCH = "diff --git a/tool.py b/tool.py\n--- a/tool.py\n+++ b/tool.py\n@@ -1 +1 @@\n-old\n+new\n"
_CALLS = (
    {"id": "call-a", "type": "function", "function": {"name": "shell", "arguments": '{"command": "ls"}'}},
    {"id": "call-b", "type": "function", "function": {"name": "file_read", "arguments": '{"path": "tool.py"}'}},
)


def _event(seq: int, payload: Payload, at: float, lasts: float = 0.0) -> AnyEvent:
    cls, kind = EVENT_CLASSES[type(payload)]
    begun = BEGIN + timedelta(seconds=at)
    times = {"t_start": begun, "t_end": begun + timedelta(seconds=lasts), "duration_ms": lasts * 1000 + 0.25}
    return cls.model_validate({**HEADER, **times, "seq": seq, "event_type": kind.value, "payload": payload})


def _metric(scope: str, step: int | None, **extra: Any) -> payloads.SandboxMetric:
    figures = {"wall_ms": 250.0, "cpu_user_s": 0.1, "cpu_system_s": 0.05, "cpu_s": 0.16, "memory_peak_bytes": 5000}
    figures |= {"memory_bytes": 4000, "io_read_bytes": 10, "io_write_bytes": 20, "net_rx_bytes": 30}
    figures |= {"net_tx_bytes": 40, "pids": 5, "oom_kills": 1, "pressure_cpu_us": 7, "pressure_memory_us": 8}
    figures |= {"pressure_io_us": 9}
    return payloads.SandboxMetric(scope=scope, step=step, sources={"cpu": "cgroup-v2"}, **figures, **extra)


def _talk() -> list[tuple[Payload, float, float]]:
    usage = Usage(
        input_tokens=100,
        cached_input_tokens=40,
        repeated_input_tokens=30,
        repeated_cached_tokens=20,
        cache_creation_tokens=10,
        output_tokens=50,
        reasoning_tokens=15,
    )
    told = ({"role": "system", "content": "Be good."}, {"role": "user", "content": "Mend the tool."})
    request = payloads.LlmRequest(
        request_id="r1",
        model="claude-x",
        endpoint="http://model.example:8000/v1",
        messages=told,
        token_ids=(1, 2, 3),
        parameters={"temperature": 0.5, "stop": ["END"]},
        parts=(payloads.Part(kind="text", at=BEGIN, chars=14),),
    )
    response = payloads.LlmResponse(
        request_id="r1",
        model="claude-x-1",
        content="I look.",
        reasoning="Where is it?",
        tool_calls=_CALLS,
        finish_reason="tool_calls",
        usage=usage,
        cost_usd=0.01,
        time_to_first_token_ms=120.0,
        failed_attempts=(payloads.RequestAttempt(status=429, error="slow down", duration_ms=5.0, waited_s=1.0),),
        completion_token_ids=(4, 5),
        logprobs=(-0.1, -0.2),
        parts=(payloads.Part(kind="text", at=BEGIN + timedelta(seconds=3), chars=7, call_id="call-a"),),
    )
    again = payloads.LlmRequest(
        request_id="r2",
        model="claude-x",
        kept_messages=2,
        kept_tokens=5,
        token_ids=(6,),
        messages=(
            {"role": "assistant", "content": "I look.", "tool_calls": list(_CALLS)},
            {"role": "tool", "tool_call_id": "call-a", "content": "tool.py"},
            {"role": "tool", "tool_call_id": "call-b", "content": "old"},
            {"role": "user", "content": "Go on."},
        ),
    )
    unread = payloads.LlmResponse(
        request_id="r2", content="not a call", finish_reason="stop", prompt_token_ids=(9, 8), model="claude-x"
    )
    helper = payloads.LlmRequest(request_id="r3", model="mini", thread="helper", messages=(told[1],))
    help_ = payloads.LlmResponse(request_id="r3", content="done", model="mini")
    return [(request, 1, 0.1), (response, 1, 3), (again, 6, 0), (unread, 6, 1), (helper, 8, 0), (help_, 8, 1)]


def _start() -> payloads.EpisodeStart:
    return payloads.EpisodeStart(
        task={"problem_statement": "The tool is broken."},
        observation="Repository acme/tool.",
        tools=({"type": "function", "function": {"name": "shell", "parameters": {"type": "object"}}},),
        limits={"max_steps": 9},
        sandbox={"image": "acme:1", "workdir": "/testbed"},
        attempt=2,
        privileged=True,
        parent=payloads.Parent(episode_id="other", run_id="before", steps=1),
        origin=payloads.Origin(
            format="toy", adapter="toy 1", source="a.json", key="1", sha256="ab", timing="recorded"
        ),
    )  # fmt: skip


def _step(step: int, tool: str | None, observation: str, at: float) -> list[tuple[Payload, float, float]]:
    bad = tool is None
    arguments = {} if bad else {"command": "ls"} if tool == "shell" else {"path": "tool.py"}
    call = payloads.ToolCall(
        step=step,
        tool=tool,
        arguments=arguments,
        action="not a call" if bad else f"{tool} it",
        thought=f"thought {step}",
        malformed=bad,
        call_id=None if bad else f"call-{'ab'[step]}",
        request_id="r2" if bad else "r1",
    )
    result = payloads.ToolResult(
        step=step,
        tool=tool,
        ok=not bad,
        error="malformed_action" if bad else None,
        exit_code=None if bad else 3,
        observation=observation,
        data={"total": 1},
        internal_ms=12.5,
    )
    tests = payloads.TestRun(
        step=step, command="pytest", selected=("t.py",), tests={"t": "PASSED"}, counts={"passed": 1}, parsed=True
    )
    criterion = payloads.CriterionRecord(
        criterion="goal_progress", score=0.5, layer="rules@2", rules=({"rule": "r", "evidence": "seen"},),
        set_aside_by="other",
    )  # fmt: skip
    reward = payloads.StepReward.of(
        step=step, reward=0.75, criteria=(criterion,), process={"score": 0.4}, record={"model": "judge"}
    )
    return [
        (call, at, 0),
        (result, at, 0.25),
        (tests, at, 0.25),
        (reward, at + 0.25, 0),
        (_metric("step", step), at, 0.25),
    ]


def _end() -> list[tuple[Payload, float, float]]:
    end = payloads.EpisodeEnd(
        stop_reason=StopReason.STEP_LIMIT,
        failure=Failure.MODEL,
        message="too long",
        steps=3,
        malformed_actions=1,
        mean_reward=0.75,
        process_score=0.4,
        usage=Usage(
            input_tokens=100, cached_input_tokens=40, repeated_input_tokens=30, repeated_cached_tokens=20,
            cache_creation_tokens=10, output_tokens=50, reasoning_tokens=15,
        ),
        cost_usd=0.01,
        requests=2,
        reset_ms=500.0,
        tool_ms=750.0,
        policy_ms=4000.0,
        cpu_s=0.5,
        memory_peak_bytes=5000,
        recovered=True,
        join={"matched": 3},
        sampling={"every_s": 1.0},
        process={"exit_code": 1},
    )  # fmt: skip
    verdict = payloads.Verdict(
        resolved=False, outcome="failed", patch_sha256="cd", report={"detail": "t failed", "failure": None}
    )
    patch = payloads.FinalPatch(patch=PATCH, **patch_facts(PATCH))
    return [(patch, 10, 0), (end, 0, 10.5), (verdict, 12, 2)]


def whole_episode() -> list[AnyEvent]:
    """The events, in order."""
    talk = _talk()
    told: list[tuple[Payload, float, float]] = [(_start(), 0, 0.5)]
    told.append((payloads.Phase(name="explore", step=0, evidence="shell looks"), 4, 0))
    told += [talk[0], talk[1], *_step(0, "shell", "tool.py", 4), *_step(1, "file_read", "old", 5)]
    told += [talk[2], talk[3], *_step(2, None, "That was no call.", 7), talk[4], talk[5]]
    told.append((_metric("sample", None, energy_j=2.5, power_w=90.0, future=1.5), 9, 0))
    told.append((_metric("episode", None), 0, 10))
    error = payloads.Error(where="policy", kind="ServiceError", message="gone", failure=Failure.SERVICE, step=2)
    told.append((error, 9, 0))
    told.append((payloads.Note(kind="compaction", source="toy", step=2, data={"tokens": 5}), 9, 0))
    told += _end()
    events = [_event(seq, *one) for seq, one in enumerate(told)]
    envelope = {**events[-1].model_dump(mode="json"), "event_type": "from_the_future", "payload": {"news": "good"}}
    line = UnknownEvent.model_validate({**envelope, "seq": len(events)}).model_dump_json()
    return [*events, parse_event(line)]


def recorded(events: list[AnyEvent]) -> RecordedEpisode:
    """Events as exporters get them."""
    return RecordedEpisode(run_id=events[0].run_id, manifest={}, events=events)


def exported(exporter: Exporter, events: list[AnyEvent], folder: Path) -> bytes:
    """Everything that an exporter writes of one episode."""
    path = folder / "out"
    target = Target(path=path, options=exporter.options(), runs=["run"], episodes=[("run", "e")], seeds=[3])
    sink = exporter.open(target)
    sink.write(recorded(events))
    files = sink.close()
    told = b"".join(file.read_bytes() for file in sorted(files))
    for file in files:
        file.unlink()
    return told


def fields_of(events: list[AnyEvent]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Event type and path of each field that says something."""
    seen = dict[tuple[str, tuple[str, ...]], None]()
    for event in events:
        known = event.payload
        for path in _paths(dict(known)):
            seen[event.event_type, path] = None
    yield from seen


def _paths(known: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for key, value in known.items():
        if isinstance(value, BaseModel) and not isinstance(value, payloads.Origin | payloads.Parent):
            yield from ((key, *path) for path in _paths(dict(value)))
        elif value not in (None, "", (), {}, []):
            yield (key,)


def mutated(events: list[AnyEvent], kind: str, path: tuple[str, ...]) -> list[AnyEvent] | None:
    """The events with one field changed in each of a type; None where no such event has it."""
    changed, told = False, list[AnyEvent]()
    for event in events:
        if event.event_type != kind:
            told.append(event)
            continue
        body = event.model_dump(mode="json")
        owner: dict[str, Any] = body["payload"]
        for key in path[:-1]:
            owner = owner.get(key) or {}
        before = owner.get(path[-1])
        if before not in (None, "", [], {}):
            owner[path[-1]] = _other(path[-1], before)
            changed = True
        told.append(type(event).model_validate(body))
    return told if changed else None


def _other(name: str, value: Any) -> Any:
    if name == "stop_reason":
        return "submitted"
    if name == "failure":
        return "tool"
    if name == "kept_messages":
        return value - 1
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return f"{value}~"
    if isinstance(value, dict):
        known = cast("dict[str, Any]", value)
        first = next(iter(known))
        return {**known, first: _other("", known[first])}
    items = cast("list[Any]", value)
    return [*items[:-1], _other("", items[-1])]
