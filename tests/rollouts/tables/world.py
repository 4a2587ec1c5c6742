"""Episodes made for tests of tables: each event at a time that the test chooses."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from trajectory_hub.errors import StopReason
from trajectory_hub.rollouts import payloads
from trajectory_hub.rollouts.files import write_json
from trajectory_hub.rollouts.log import EventWriter, Header

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
Happening = tuple[payloads.Payload, float, float]
"""What happened, and from when to when, in seconds since the episode began."""


def at(seconds: float) -> datetime:
    """A moment of an episode."""
    return EPOCH + timedelta(seconds=seconds)


def origin(timing: str = "recorded", form: str = "claude-code") -> payloads.Origin:
    """Where a foreign episode comes from."""
    return payloads.Origin.of(format=form, adapter=f"{form} 1", source="a.jsonl", key="a", timing=timing)


def start(timing: str | None = None, workdir: str = "/testbed", **more: object) -> Happening:
    """The begin of an episode; of our own without a timing."""
    came = origin(timing) if timing else None
    return payloads.EpisodeStart.of(origin=came, sandbox={"workdir": workdir}, **more), 0.0, 0.0


def asked(
    number: int, when: float, *, thread: str | None = None, said: int = 0, at_s: float | None = None
) -> Happening:
    """A request, with so many new messages of a person, heard at `at_s`."""
    parts = tuple(payloads.Part.of(kind="user_message", at=at(at_s if at_s is not None else when)) for _ in range(said))
    request = payloads.LlmRequest.of(request_id=f"r{number}", model="gpt-5", thread=thread, parts=parts)
    return request, when, when


def answered(
    number: int, begin: float, end: float, *, calls: int = 1, tokens: tuple[int, int] = (100, 10), model: str = "gpt-5"
) -> Happening:
    """Its answer."""
    usage = payloads.Usage(input_tokens=tokens[0], cached_input_tokens=0, output_tokens=tokens[1])
    made = tuple({"id": f"c{i}", "function": {"name": "Bash", "arguments": "{}"}} for i in range(calls))
    response = payloads.LlmResponse.of(
        request_id=f"r{number}", model=model, content="I look.", tool_calls=made, usage=usage
    )
    return response, begin, end


def stepped(
    step: int, begin: float, end: float, command: str = "ls", *, tool: str = "Bash", saw: str = "", **more: object
) -> list[Happening]:
    """A call and its result; `more` are fields of the result, `arguments` those of the call."""
    arguments = more.pop("arguments", {"command": command})
    call = payloads.ToolCall.of(
        step=step, tool=tool, arguments=arguments, action=str(arguments), request_id=more.pop("request_id", None)
    )
    facts = {"ok": True, "exit_code": 0, **more}
    result = payloads.ToolResult.of(step=step, tool=tool, observation=saw, **facts)
    return [(call, begin, begin), (result, begin, end)]


def ended(when: float, **more: object) -> Happening:
    """The end."""
    return payloads.EpisodeEnd.of(stop_reason=StopReason.SUBMITTED, steps=0, **more), 0.0, when


def write_episode(run: Path, happenings: Iterable[Happening], name: str = "task--s0--a1", **header: object) -> Path:
    """Write an episode into a run, which is made if it is not there; its folder."""
    if not (run / "run.json").exists():
        write_json(run / "run.json", {"run_id": run.name, "created": EPOCH.isoformat(), "config": None})
    fields = {
        "run_id": run.name, "episode_id": name, "task_id": "task", "agent": "a", "agent_version": "1", "model": None,
        "repo": "org/repo", "commit": "c" * 40, "seed": 0, **header,
    }  # fmt: skip
    folder = run / "episodes" / name
    with EventWriter(folder / "events.jsonl", Header(**fields), fsync="never") as writer:  # pyright: ignore[reportArgumentType]
        for payload, begin, end in happenings:
            writer.write(payload, t_start=at(begin), t_end=at(end), duration_ms=(end - begin) * 1000)
    return folder
