"""Gemini CLI's sessions become events."""

import json
from pathlib import Path

import pytest
from trajectory_hub.errors import StopReason
from trajectory_hub.rollouts.adapters.base import Sample
from trajectory_hub.rollouts.adapters.gemini_cli import ADAPTER
from trajectory_hub.rollouts.adapters.reading import moment
from trajectory_hub.rollouts.events import AnyEvent

from .reading_runs import ingested, payloads
from .recorded import at, lines, write
from .recorded_gemini import SESSION, answer, document, header, message, session, subagent


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[AnyEvent]:
    folder = tmp_path_factory.mktemp("gemini")
    report, events = ingested(write(folder / "session-x.jsonl", session()), folder / "run")
    total = report.total
    assert (total.records, total.broken, total.unread) == (len(session()), 0, 0)
    return events


def test_it_is_recognised_by_its_content() -> None:
    def sure(data: bytes) -> float:
        return ADAPTER.recognise(Sample(path=Path("x"), head=data))

    assert sure(lines(session())) > 0.9 and sure(json.dumps(document(), indent=2).encode()) > 0.9
    assert sure(json.dumps(document()).encode()) > 0.9
    assert sure(b'{"sessionId": "s", "type": "user"}\n') == 0
    assert sure(lines(session()[2:])) == 0.7, "the header was torn off"


def test_a_message_that_is_written_again_is_one_answer(events: list[AnyEvent]) -> None:
    answers = payloads(events, "llm_response")
    assert [one.request_id for one in answers] == ["g1", "g2", "g4", "g5"]
    first, second, third, _ = answers
    assert (first.content, first.reasoning, first.model) == ("I look.", "Plan\nlook first", "gem-1")
    assert [part.kind for part in first.parts] == ["reasoning", "text", "tool_call", "tool_call"]
    assert first.parts[0].at == moment(at(1.5))
    assert [call["name"] for call in second.tool_calls] == ["glob"], "calls without words go on with the answer"
    assert (third.content, third.reasoning) == ("Done.", "easy")


def test_tokens_are_counted_as_the_api_counts_them(events: list[AnyEvent]) -> None:
    usage = payloads(events, "llm_response")[0].usage
    assert (usage.input_tokens, usage.cached_input_tokens) == (102, 60)
    assert (usage.output_tokens, usage.reasoning_tokens) == (25, 5)
    assert payloads(events, "episode_end")[0].usage.output_tokens == 4 * 25


def test_calls_and_results_are_steps_with_times(events: list[AnyEvent]) -> None:
    calls, results = payloads(events, "tool_call"), payloads(events, "tool_result")
    assert [one.tool for one in calls] == ["run_shell_command", "replace", "glob"]
    assert (calls[0].arguments, calls[0].thought, calls[0].request_id) == ({"command": "ls x"}, "I look.", "g1")
    assert [(one.ok, one.error, one.exit_code) for one in results] == [
        (True, None, 2),
        (False, "tool_error", None),
        (False, "cancelled", None),
    ]
    assert results[1].observation == "no match" and results[0].data["resultDisplay"].startswith("Output: a.py")
    assert [event.duration_ms for event in events if event.event_type == "tool_result"] == [1000, 1000, 0]


def test_requests_hold_what_is_new(events: list[AnyEvent]) -> None:
    asked = payloads(events, "llm_request")
    assert [(one.kept_messages, len(one.messages)) for one in asked] == [(0, 2), (2, 2), (0, 3), (2, 1)]
    first, second, third, fourth = asked
    assert first.parts[1].model_extra == {"display": [{"text": "@mend"}]}
    assert [one["role"] for one in second.messages] == ["assistant", "user"]
    assert [one["content"][0].get("text") for one in third.messages] == ["so far", "Got it.", "go on"], "compacted"
    assert fourth.messages[0]["content"] == [{"text": "better so"}], "taken back to before the question"


def test_the_rest_are_notes_and_errors(events: list[AnyEvent]) -> None:
    notes = [note.kind for note in payloads(events, "note")]
    assert notes.count("unanswered") == 1, "the result before the conversation was replaced"
    assert [kind for kind in notes if kind != "unanswered"] == (
        "session history info warning info compaction rewind summary directories".split()
    )
    assert payloads(events, "error")[0].message == "[API Error: busy]"


def test_start_and_end(events: list[AnyEvent]) -> None:
    start, end = payloads(events, "episode_start")[0], payloads(events, "episode_end")[0]
    assert start.task["problem_statement"] == "mend it" and start.sandbox["workdir"] == "/repo"
    assert (start.origin.format, start.origin.key, start.origin.timing) == ("gemini-cli", SESSION, "recorded")
    assert (end.stop_reason, end.steps, end.requests) == (StopReason.SUBMITTED, 3, 4)


@pytest.mark.parametrize("indent", [None, 2])
def test_a_session_of_earlier_versions_is_one_document(tmp_path: Path, indent: int | None) -> None:
    path = tmp_path / "session-x.json"
    path.write_text(json.dumps(document(), indent=indent))
    report, events = ingested(path, tmp_path / "run")
    assert (report.total.records, report.total.unread, report.total.broken) == (4, 0, 0)
    second = payloads(events, "llm_request")[1]
    assert "functionResponse" in second.messages[1]["content"][0], "results are told though no message tells them"
    assert payloads(events, "tool_result")[0].exit_code == 0
    assert payloads(events, "note")[0].data["summary"] == "Listed"


def test_a_torn_document_gives_what_is_readable(tmp_path: Path) -> None:
    path = tmp_path / "session-x.json"
    path.write_text(json.dumps(document(), indent=2)[:-120])
    report, events = ingested(path, tmp_path / "run")
    assert report.total.broken == 1 and len(payloads(events, "llm_response")) == 2


def test_files_of_subagents_are_read_along(tmp_path: Path) -> None:
    write(tmp_path / "chats" / "session-x.jsonl", session())
    write(tmp_path / "chats" / SESSION / "sub-1.jsonl", subagent())
    report, events = ingested(tmp_path / "chats", tmp_path / "run")
    assert report.sources == 1 and report.total.records == len(session()) + 3
    threads = {one.request_id: one.thread for one in payloads(events, "llm_request")}
    assert threads == {"g1": None, "x2": "sub-1", "g2": None, "g4": None, "g5": None}


def test_what_is_odd_is_kept_or_named(tmp_path: Path) -> None:
    """A result that only the model is told of, an answer told again, an unknown part, unknown records."""
    call = {"id": "c1", "name": "read_file", "args": {"absolute_path": "/a.py"}}
    response = {"id": "c1", "name": "read_file", "response": {"error": "no such file"}}
    first = answer(2, "g1", [{"functionCall": call}, {"hologram": 1}])
    records = [
        header(),
        message(1, "user", "u1", "go"),
        first,
        message(3, "user", "u2", [{"functionResponse": response}]),
        answer(4, "g2", "no"),
        first,
        message(5, "oracle", "o1", "?"),
        {"weather": "fine"},
    ]
    report, events = ingested(write(tmp_path / "s.jsonl", records), tmp_path / "run")
    assert report.total.records == len(records)
    kinds = report.formats["gemini-cli"]
    assert {kind for kind, row in kinds.items() if row.unread} == {
        "gemini.content.hologram",
        "message oracle",
        "record of another shape",
    }
    (result,) = payloads(events, "tool_result")
    assert (result.ok, result.observation, result.tool) == (False, "no such file", "read_file")
    assert [note.kind for note in payloads(events, "note")] == ["session", "repeated_answer"]
    assert payloads(events, "llm_response")[0].model_extra["content_parts"][1] == {"hologram": 1}
