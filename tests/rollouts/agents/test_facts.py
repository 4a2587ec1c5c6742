"""What a span of OpenHands, as Laminar sends it, is about."""

from datetime import UTC, datetime
from typing import Any

import pytest
from trajectory_hub.rollouts.agents.facts import Fact, fact_of
from trajectory_hub.rollouts.otlp import SpanRecord


def told(name: str, kind: str, **attributes: Any) -> Fact:
    given = {"lmnr.span.type": kind, **{key.replace("__", "."): value for key, value in attributes.items()}}
    record = SpanRecord(
        received=datetime(2026, 1, 2, tzinfo=UTC),
        export="e",
        index=0,
        name=name,
        trace_id="a" * 32,
        span_id="b" * 16,
        start_unix_nano=1_000_000_000,
        end_unix_nano=1_250_000_000,
        attributes=given,
    )
    return fact_of(record)


def test_a_model_s_span_is_about_a_request_by_the_answer_s_id() -> None:
    fact = told("litellm.completion", "LLM", gen_ai__response__id="chatcmpl-7", gen_ai__usage__output_tokens=20)
    assert (fact.about, fact.ids, fact.output_tokens) == ("request", {"chatcmpl-7"}, 20)
    assert not fact.works


@pytest.mark.parametrize(
    ("name", "tool"),
    [("TerminalAction", "terminal"), ("FileEditorAction", "file_editor"), ("MCPToolAction", "mcptool")],
)
def test_an_action_s_span_is_about_a_call_of_its_tool(name: str, tool: str) -> None:
    fact = told(name, "TOOL")
    assert (fact.about, fact.tool, fact.works, fact.duration_ms) == ("call", tool, True, 250.0)


def test_inner_spans_are_about_neither() -> None:
    assert told("agent.step", "DEFAULT").about is None
    assert told("conversation.run", "DEFAULT", gen_ai__request__model="m").about is None


def test_conversations_repeated_in_a_span_are_not_repeated_in_the_log() -> None:
    fact = told("litellm.completion", "LLM", gen_ai__response__id="x", gen_ai__input__messages="m" * 5000)
    assert fact.note.data["gen_ai.input.messages"] == "5000 characters"
    assert fact.note.data["gen_ai.response.id"] == "x"
