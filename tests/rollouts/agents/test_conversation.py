"""An episode told by the proxy's record alone."""

import pytest
from trajectory_hub.rollouts import payloads
from trajectory_hub.rollouts.agents.conversation import tell
from trajectory_hub.rollouts.agents.join import Records, join

from .dialogues import COMMANDS, OUTPUTS, at, exchanges

APIS = ("openai.chat", "openai.responses", "anthropic.messages", "gemini.generate")
ARGUMENT = {"openai.responses": "cmd"}


@pytest.mark.parametrize("api", APIS)
def test_requests_answers_and_calls_come_from_what_was_sent(api: str) -> None:
    events = tell(exchanges(api))
    calls = [event for event in events if isinstance(event.payload, payloads.ToolCall)]
    results = [event for event in events if isinstance(event.payload, payloads.ToolResult)]
    answers = [event.payload for event in events if isinstance(event.payload, payloads.LlmResponse)]
    argument = ARGUMENT.get(api, "command")
    assert [call.payload.arguments[argument] for call in calls] == COMMANDS  # type: ignore[union-attr]
    assert [result.payload.observation for result in results] == OUTPUTS  # type: ignore[union-attr]
    assert [call.payload.step for call in calls] == [0, 1, 2]  # type: ignore[union-attr]
    assert [answer.content for answer in answers][-1] == "All is done."
    assert [answer.usage.output_tokens for answer in answers] == [20, 21, 22, 23]
    # A tool worked from the end of the answer that called it to the request that brings what it led to.
    assert [(result.t_start, result.t_end) for result in results] == [
        (at(10 * n + 2), at(10 * n + 10)) for n in range(3)
    ]


@pytest.mark.parametrize("api", APIS)
def test_only_new_messages_are_repeated(api: str) -> None:
    events = tell(exchanges(api))
    asked = [event.payload for event in events if isinstance(event.payload, payloads.LlmRequest)]
    assert [request.thread for request in asked] == [None] * 4
    whole = list[object]()
    for request in asked:
        whole = whole[: request.kept_messages] + list(request.messages)
    assert asked[0].kept_messages == 0 and all(request.kept_messages > 0 for request in asked[1:])
    sizes = {"openai.responses": 1 + 3 * 3}
    assert len(whole) == sizes.get(api, 1 + 3 * 2)


def test_a_conversation_of_its_own_is_a_thread() -> None:
    own = exchanges("anthropic.messages")
    body = {"model": "m", "messages": [{"role": "user", "content": "A title for: Mend it."}]}
    aside = own[1].model_copy(update={"id": "title", "request": body, "response": {"content": []}, "t_start": at(0.5)})
    events = tell([*own, aside])
    threads = {event.payload.request_id: event.payload.thread for event in events
               if isinstance(event.payload, payloads.LlmRequest)}  # fmt: skip
    assert threads == {"x0": None, "x1": None, "x2": None, "x3": None, "title": "side-1"}


def test_tries_that_failed_belong_to_the_request_that_was_answered() -> None:
    own = exchanges()
    update = {"id": "try", "status": 529, "response": None, "error": "overloaded", "t_start": at(-1)}
    events = tell([own[0].model_copy(update=update), *own])
    first = next(event.payload for event in events if isinstance(event.payload, payloads.LlmResponse))
    assert [(one.status, one.error) for one in first.failed_attempts] == [(529, "overloaded")]


def test_phases_and_order_of_a_run_without_transcript() -> None:
    joined = join(Records(workdir="/testbed", exchanges=exchanges()))
    phases = [event.payload for event in joined.events if isinstance(event.payload, payloads.Phase)]
    assert [phase.name for phase in phases] == ["explore", "edit", "test"]
    assert all(phase.evidence for phase in phases)
    kinds = [type(event.payload).__name__ for event in joined.events if not isinstance(event.payload, payloads.Note)]
    assert kinds[:5] == ["LlmRequest", "LlmResponse", "Phase", "ToolCall", "ToolResult"]
    assert joined.quality["share"] is None  # there is one record only: nothing to join


def test_an_unreadable_call_is_a_malformed_action() -> None:
    own = exchanges()
    answer = dict(own[0].response)
    answer["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] = '{"command": '
    events = tell([own[0].model_copy(update={"response": answer})])
    call = next(event.payload for event in events if isinstance(event.payload, payloads.ToolCall))
    assert call.malformed and call.tool is None and call.action == '{"command": '
