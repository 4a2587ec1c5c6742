"""Messages as token ids, by the tokenizer and the chat template of the server that samples.

A prompt is never rendered again: what follows an answer is only the ids of what the template puts between that answer
and the next. They are found by comparing: a stub conversation is rendered with two different answers, and everything
after the place where they differ is the same whatever was answered. So no tokenizer is needed here, and no ids that
were sampled are ever replaced by those of re-tokenised text.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

from .conversation import Message

__all__ = ["PLAIN_PROTOCOL", "PlainRenderer", "Renderer", "Sampled", "TemplateRenderer"]

Ids = tuple[int, ...]
Tools = Sequence[Mapping[str, Any]]
_CLOSING = 3
"""Ids at the beginning of what follows an answer among which the answer's own end token may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """An answer as it was sampled."""

    ids: Ids
    ended: bool
    """It ended by itself; else it was cut off."""
    stop: str | None = None
    """The text at which it was made to end, which its ids hold."""


class Renderer(Protocol):
    """From messages to ids."""

    def opening(self, messages: Sequence[Message], tools: Tools) -> Ids:
        """A conversation up to where the first answer begins."""
        ...

    def between(self, answer: Sampled, messages: Sequence[Message]) -> Ids:
        """What comes between the end of `answer` and the beginning of the next one: `messages`."""
        ...


class TemplateRenderer:
    """By the model's chat template."""

    def __init__(self, render: Callable[[Sequence[Message], Tools], Ids], role: Literal["tool", "user"]) -> None:
        self._render = render
        self._role = role
        self._stub: Ids = ()
        """How the stub conversation begins, up to the end of its answer."""

    def opening(self, messages: Sequence[Message], tools: Tools) -> Ids:
        """A conversation up to where the first answer begins."""
        return self._render([self._named(_template_message(message)) for message in messages], tools)

    def between(self, answer: Sampled, messages: Sequence[Message]) -> Ids:
        """What comes between two answers. An end token that was sampled is not repeated, one that was not is added."""
        heard = [self._named(message) for message in messages]
        rendered = self._render(_stub("A", heard), ())
        if not self._stub or rendered[: len(self._stub)] != self._stub:
            other = self._render(_stub("B", heard), ())
            self._stub = rendered[: len(rendered) - _common_end(rendered, other)]
        after = rendered[len(self._stub) :]
        closing = after[:_CLOSING]
        if answer.ended and answer.ids and answer.ids[-1] in closing:
            return after[closing.index(answer.ids[-1]) + 1 :]
        return after

    def _named(self, message: Message) -> Message:
        return {"role": self._role, "content": message["content"]} if message["role"] == "tool" else message


def _stub(answer: str, heard: Sequence[Message]) -> list[Message]:
    return [{"role": "user", "content": "?"}, {"role": "assistant", "content": answer}, *heard]


def _common_end(left: Ids, right: Ids) -> int:
    count = 0
    for one, other in zip(reversed(left), reversed(right), strict=False):
        if one != other:
            break
        count += 1
    return count


def _template_message(message: Message) -> Message:
    """A remembered answer as templates want it: arguments as objects, which they write as JSON themselves."""
    if not message.get("tool_calls"):
        return message
    calls = [
        {**call, "function": {**call["function"], "arguments": _parsed(call["function"]["arguments"])}}
        for call in cast("list[dict[str, Any]]", message["tool_calls"])
    ]
    return {**message, "tool_calls": calls}


def _parsed(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


PLAIN_PROTOCOL = """\
What follows is a record in sections. Each begins with a line `### Issue`, `### Action` or `### Observation`. An \
action is one line that holds one JSON object: {"thought": "<why>", "name": "<tool>", "arguments": {...}}. An \
observation is what came of it. The tools, one a line, with the JSON Schema of their arguments:"""


class PlainRenderer:
    """By a text protocol, for models without a chat template.

    A record is a preamble and sections; a section is a headline, a body, and a blank line:

        record   = preamble, issue, { action, observation }, "### Action" NEWLINE
        issue    = "### Issue" NEWLINE, body, NEWLINE
        action   = "### Action" NEWLINE, one line of JSON, NEWLINE
        observation = "### Observation" NEWLINE, body, NEWLINE

    A line of a body that begins with `### ` is written with a backslash before it. The model's answer ends at its
    first newline.
    """

    def __init__(self, tokenize: Callable[[str, bool], Ids]) -> None:
        """`tokenize` is given a text and whether it begins a prompt."""
        self._tokenize = tokenize

    def opening(self, messages: Sequence[Message], tools: Tools) -> Ids:
        """The preamble, what was said, and the headline of the first answer."""
        described = [json.dumps(tool["function"], ensure_ascii=False) for tool in tools]
        system = "\n\n".join(str(message["content"]) for message in messages if message["role"] == "system")
        rest = [message for message in messages if message["role"] != "system"]
        sections = [_section(message, "Issue" if index == 0 else "Observation") for index, message in enumerate(rest)]
        return self._tokenize("\n".join([f"{system}\n\n{PLAIN_PROTOCOL}", *described, "", *sections, _HEADLINE]), True)

    def between(self, answer: Sampled, messages: Sequence[Message]) -> Ids:
        """The sections between two answers."""
        sections = "\n".join([*(_section(message, "Observation") for message in messages), _HEADLINE])
        return self._tokenize(sections if answer.stop == "\n" else f"\n{sections}", False)


_HEADLINE = "### Action\n"


def _section(message: Message, title: str) -> str:
    if message["role"] == "assistant":
        return f"{_HEADLINE}{_line(message)}"
    body = "\n".join(f"\\{line}" if line.startswith("### ") else line for line in str(message["content"]).split("\n"))
    return f"### {title}\n{body}\n"


def _line(message: Message) -> str:
    """A remembered answer as one line."""
    if not message.get("tool_calls"):
        return str(message["content"]).replace("\n", " ")
    function = message["tool_calls"][0]["function"]
    value = {"thought": message["content"], "name": function["name"], "arguments": _parsed(function["arguments"])}
    return json.dumps(value, ensure_ascii=False)
