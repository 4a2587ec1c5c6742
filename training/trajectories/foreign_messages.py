"""The conversation of another agent's episode, whose answers need not each be one step.

An agent may say something without calling a tool, act in text instead of calls, or speak with a subagent. So which
steps an answer led to is not counted, as for episodes of our own, but read from the call's request.
"""

from collections.abc import Sequence

from ...rollouts.payloads import LlmRequest, LlmResponse
from .messages import Message

__all__ = ["foreign_messages"]


def foreign_messages(
    talk: Sequence[LlmRequest | LlmResponse], asked: Sequence[str | None], *, reasoning: bool
) -> tuple[list[Message], list[tuple[int, tuple[int, ...]]]] | None:
    """The messages, and where each answer that led to steps is among them, with its steps.

    `asked` is the request that each step's call came from. None where some step's answer is not among the messages:
    its request is not known, or a later one left it out (the conversation was compacted).
    """
    sent, places = _messages(talk, reasoning=reasoning)
    steps = dict[str, list[int]]()
    for step, request in enumerate(asked):
        if request is None or request not in places:
            return None
        steps.setdefault(request, []).append(step)
    turns = [(place, tuple(steps[request])) for request, place in places.items() if request in steps]
    return (sent, turns) if turns else None


def _messages(talk: Sequence[LlmRequest | LlmResponse], *, reasoning: bool) -> tuple[list[Message], dict[str, int]]:
    """All messages of the agent's own conversation, and the place of each answer by its request."""
    sent, places, thoughts = list[Message](), dict[str, int](), dict[int, str]()
    inner = set[str]()
    answer: Message | None = None
    for event in talk:
        if isinstance(event, LlmRequest):
            if event.thread is not None:
                inner.add(event.request_id)
                continue
            sent = [*sent[: event.kept_messages], *event.messages]
            kept = event.kept_messages
            places = {request: place for request, place in places.items() if place <= kept and _said(sent, place)}
            answer = None
        elif event.request_id not in inner:
            places[event.request_id] = len(sent)
            if event.reasoning:
                thoughts[len(sent)] = event.reasoning
            answer = _answer(event)
    if answer is not None:
        sent.append(answer)
    if reasoning:
        sent = [
            {**message, "reasoning_content": thoughts[place]} if place in thoughts and _said(sent, place) else message
            for place, message in enumerate(sent)
        ]
    return sent, places


def _said(messages: Sequence[Message], place: int) -> bool:
    return place < len(messages) and messages[place].get("role") == "assistant"


def _answer(response: LlmResponse) -> Message:
    message: Message = {"role": "assistant", "content": response.content or ""}
    return message | ({"tool_calls": list(response.tool_calls)} if response.tool_calls else {})
