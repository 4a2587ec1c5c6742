"""An episode as a conversation: what its model was sent and answered, or what a chat policy would have sent.

Where a model acted, the recorded requests and answers are the conversation. Where a program acted (a scripted, a random
or the reference policy), it is told as a chat policy would: the system prompt, the first observation, then each action
as a tool call with the thought as content, and each observation as the result of that call.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ...envs.step import Step
from ...rollouts.payloads import LlmRequest, LlmResponse
from ...rollouts.policies.chat import REMINDER
from ...tools.prompt import SYSTEM_PROMPT
from ...tools.reading import UnreadableAction, read_action
from ..config import ConversationConfig
from .foreign_messages import foreign_messages
from .messages import Message, assistant, canonical, characters
from .records import Record

__all__ = ["Conversation", "Turn", "conversation_of"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer of the agent."""

    message: int
    """Position of the answer among the messages."""
    steps: tuple[int, ...]
    """Positions of the steps that its calls became; an answer without a call is a step too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """Messages that end with the agent's last answer."""

    messages: tuple[Message, ...]
    turns: tuple[Turn, ...]
    tools: tuple[Message, ...]
    recorded: bool
    """Whether these are the messages that a model was sent; else they are built from the steps."""

    @property
    def prompt(self) -> tuple[Message, ...]:
        """What the agent was told before it acted."""
        return self.messages[: self.turns[0].message]

    @property
    def characters(self) -> int:
        """Of all messages."""
        return characters(self.messages)


def conversation_of(record: Record, config: ConversationConfig | None = None) -> Conversation | None:
    """The conversation of an episode; None when the agent never answered. Raises NotPortable."""
    config = config or ConversationConfig()
    steps = record.trajectory.steps
    foreign = foreign_messages(record.talk, record.asked, reasoning=config.reasoning) if record.foreign else None
    if foreign is not None:
        recorded, messages = True, foreign[0]
        turns = [Turn(place, done) for place, done in foreign[1]]
    else:
        said = _recorded(record.talk, reasoning=config.reasoning)
        recorded = said is not None and _matches(said, steps)
        messages = said if said is not None and recorded else _built(record)
        while messages and messages[-1]["role"] != "assistant":
            messages.pop()
        turns = _turns(messages, len(steps))
    if not turns:
        return None
    messages = messages[: turns[-1].message + 1]
    if config.system_prompt is not None:
        rest = messages[1:] if messages[0]["role"] == "system" else messages
        shift = len(rest) + 1 - len(messages)
        messages = [{"role": "system", "content": config.system_prompt}, *rest]
        turns = [Turn(turn.message + shift, turn.steps) for turn in turns]
    return Conversation(
        messages=tuple(canonical(messages)),
        turns=tuple(turns),
        tools=tuple(record.trajectory.start.tools),
        recorded=recorded,
    )


def _recorded(talk: Sequence[LlmRequest | LlmResponse], *, reasoning: bool) -> list[Message] | None:
    """The last request's messages and the last answer; None when no model was asked."""
    sent = list[Message]()
    thoughts = list[str | None]()
    answer: LlmResponse | None = None
    for event in talk:
        if isinstance(event, LlmRequest):
            sent = [*sent[: event.kept_messages], *event.messages]
            answer = None
        else:
            answer = event
            thoughts.append(event.reasoning)
    if not thoughts:
        return None
    if answer is not None:
        message: Message = {"role": "assistant", "content": answer.content or ""}
        if answer.tool_calls:
            message["tool_calls"] = list(answer.tool_calls)
        sent.append(message)
    return _with_reasoning(sent, thoughts) if reasoning else sent


def _with_reasoning(messages: list[Message], thoughts: Sequence[str | None]) -> list[Message]:
    left = iter(thoughts)
    told = list[Message]()
    for message in messages:
        thought = next(left, None) if message["role"] == "assistant" else None
        told.append({**message, "reasoning_content": thought} if thought else message)
    return told


def _matches(messages: Sequence[Message], steps: Sequence[Step]) -> bool:
    """Whether the answers account for all steps: not when another policy began the episode."""
    called = list[str | None]()
    for message in messages:
        if message["role"] == "assistant":
            called += [str(call["function"]["name"]) for call in message.get("tool_calls") or ()] or [None]
    return len(called) >= len(steps) and all(
        step.tool in (None, name) for step, name in zip(steps, called, strict=False)
    )


def _built(record: Record) -> list[Message]:
    steps = record.trajectory.steps
    if not steps:
        return []
    messages: list[Message] = [
        {"role": "system", "content": _system_prompt(record)},
        {"role": "user", "content": record.trajectory.start.observation},
    ]
    for step in steps:
        messages += _told(step)
    return messages


def _system_prompt(record: Record) -> str:
    return record.outline.source.chat.get("system_prompt") or SYSTEM_PROMPT


def _told(step: Step) -> list[Message]:
    """A step as an answer and what came back."""
    try:
        call = read_action(step.action)
    except UnreadableAction:
        if step.tool is None:
            return [assistant(step.action), {"role": "user", "content": REMINDER}]
        name, arguments, thought = step.tool, step.arguments, step.thought
    else:
        name, arguments, thought = call.name, call.arguments, step.thought or call.thought
    return [assistant(thought or "", [(name, arguments)]), {"role": "tool", "content": step.observation}]


def _turns(messages: Sequence[Message], steps: int) -> list[Turn]:
    """Which answer holds which steps; answers after the last step are left out."""
    turns, done = list[Turn](), 0
    for position, message in enumerate(messages):
        if message["role"] != "assistant" or done >= steps:
            continue
        last = min(done + len(message.get("tool_calls") or (None,)), steps)
        turns.append(Turn(position, tuple(range(done, last))))
        done = last
    return turns
