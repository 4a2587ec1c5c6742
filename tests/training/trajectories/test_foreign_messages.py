"""Conversations of other agents: which answer led to which steps is read from the calls' requests."""

from typing import Any

from trajectory_hub.rollouts.payloads import LlmRequest, LlmResponse
from trajectory_hub.training.trajectories.foreign_messages import foreign_messages


def _asked(request: str, kept: int, *messages: tuple[str, str], thread: str | None = None) -> LlmRequest:
    said = tuple({"role": role, "content": content} for role, content in messages)
    return LlmRequest(request_id=request, model="m", kept_messages=kept, messages=said, thread=thread)


def _said(request: str, content: str, *calls: str, reasoning: str | None = None) -> LlmResponse:
    made: tuple[dict[str, Any], ...] = tuple({"type": "function", "function": {"name": call}} for call in calls)
    return LlmResponse(request_id=request, content=content, tool_calls=made, reasoning=reasoning)


TALK = [
    _asked("a", 0, ("system", "Be good."), ("user", "Mend it")),
    _said("a", "I ask first.", reasoning="hm"),
    _asked("b", 2, ("assistant", "I ask first."), ("user", "go on")),
    _said("b", "I look.", "bash", "bash"),
    _asked("inner", 0, ("user", "search"), thread="inner"),
    _said("inner", "found"),
    _asked("c", 4, ("assistant", "I look."), ("tool", "x"), ("tool", "y")),
    _said("c", "```\nls\n```"),
]


def test_answers_without_calls_are_no_steps_and_subagents_are_left_out() -> None:
    found = foreign_messages(TALK, ["b", "b", "c"], reasoning=False)
    assert found is not None
    messages, turns = found
    assert [message["role"] for message in messages] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
        "tool",
        "tool",
        "assistant",
    ]
    assert turns == [(4, (0, 1)), (7, (2,))]
    assert not any("reasoning_content" in message for message in messages)


def test_reasoning_goes_to_its_answer() -> None:
    found = foreign_messages(TALK, ["b", "b", "c"], reasoning=True)
    assert found is not None
    assert [place for place, message in enumerate(found[0]) if message.get("reasoning_content") == "hm"] == [2]


def test_a_conversation_that_was_compacted_is_not_told() -> None:
    compacted = [*TALK, _asked("d", 0, ("user", "so far")), _said("d", "on", "bash")]
    assert foreign_messages(compacted, ["b", "b", "c", "d"], reasoning=False) is None
    assert foreign_messages(TALK, [None, "b", "c"], reasoning=False) is None
    assert foreign_messages([], [], reasoning=False) is None
