"""From messages to token ids, and which of them the agent said.

Three ways tell the agent's tokens from all others, best first: the chat template's own `{% generation %}` marks; TRL's
training template of a family that it knows; or rendering the conversation up to and with each answer, and taking what
the answer added. Data in token form say it themselves. Whichever it was, no token of anybody else may be among them.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ...errors import ConfigError
from ..trajectories.messages import Message

__all__ = ["Rendered", "Renderer", "Span", "runs"]

Span = tuple[int, int]
"""First token, and the one behind the last."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A conversation in tokens."""

    ids: list[int]
    spans: tuple[Span, ...]
    """The agent's tokens, one span a turn: what it would generate, up to its end-of-turn token."""

    def mask(self, first: int = 0) -> list[int]:
        """1 for the agent's tokens of the turns from `first` on, 0 for others."""
        mask = [0] * len(self.ids)
        for start, end in self.spans[first:]:
            mask[start:end] = [1] * (end - start)
        return mask


def runs(mask: Sequence[int]) -> tuple[Span, ...]:
    """The stretches of ones."""
    found, start = list[Span](), None
    for position, bit in enumerate([*mask, 0]):
        if bit and start is None:
            start = position
        elif not bit and start is not None:
            found.append((start, position))
            start = None
    return tuple(found)


class Renderer:
    """Renders conversations by a tokenizer's chat template. Raises ConfigError for one that it cannot learn from."""

    def __init__(self, tokenizer: Any, template: str | None = None, template_kwargs: Mapping[str, Any] | None = None):
        self.tokenizer = tokenizer
        self._kwargs = dict(template_kwargs or {})
        if template is not None:
            tokenizer.chat_template = _read(Path(template))
        if not tokenizer.chat_template:
            raise ConfigError(
                f"the tokenizer of {tokenizer.name_or_path} has no chat template: give chat_template=FILE.jinja, "
                "or data in token form (trajhub export … -c conversation.tokens=true)"
            )
        if not tokenizer.is_fast:
            raise ConfigError(f"{type(tokenizer).__name__} does not tell where its tokens stand in the text")
        self._template, self.how = self._marked()
        self._special = set(tokenizer.all_special_ids)

    def _marked(self) -> tuple[str | None, str]:
        """A template with generation marks, and where it is from."""
        from trl.chat_template_utils import get_training_chat_template, has_generation_markers

        if has_generation_markers(self.tokenizer.chat_template):
            return None, "marks of the chat template"
        try:
            return get_training_chat_template(self.tokenizer), "TRL's training template of this family"
        except ValueError:
            return None, "incremental rendering"

    def render(self, messages: Sequence[Message], tools: Sequence[Message], kwargs: Mapping[str, Any]) -> Rendered:
        """The conversation with a span for each of its answers. Raises ConfigError."""
        answers = [position for position, message in enumerate(messages) if message["role"] == "assistant"]
        text = self._text(messages, tools, kwargs)
        if self.how == "incremental rendering":
            return self._by_rendering(text, messages, answers, tools, kwargs)
        told = self._apply(
            messages,
            tools,
            kwargs,
            return_dict=True,
            return_assistant_tokens_mask=True,
            tokenizer_kwargs={"return_offsets_mapping": True},
        )
        ids, mask = list(told["input_ids"]), list(told["assistant_masks"])
        self._check(text, messages, mask, told["offset_mapping"])
        spans = tuple(self._trimmed(ids, span) for span in runs(mask))
        if len(spans) != len(answers):
            return self._by_rendering(text, messages, answers, tools, kwargs)
        return Rendered(ids, spans)

    def _apply(
        self, messages: Sequence[Message], tools: Sequence[Message], kwargs: Mapping[str, Any], **options: Any
    ) -> Any:
        return self.tokenizer.apply_chat_template(
            list(messages),
            tools=list(tools) or None,
            chat_template=self._template,
            **{**self._kwargs, **kwargs},
            **options,
        )

    def _text(
        self, messages: Sequence[Message], tools: Sequence[Message], kwargs: Mapping[str, Any], **options: Any
    ) -> str:
        return cast("str", self._apply(messages, tools, kwargs, tokenize=False, **options))

    def _by_rendering(
        self,
        text: str,
        messages: Sequence[Message],
        answers: Sequence[int],
        tools: Sequence[Message],
        kwargs: Mapping[str, Any],
    ) -> Rendered:
        stretches = list[Span]()
        for position in answers:
            head = self._text(messages[:position], tools, kwargs, add_generation_prompt=True)
            whole = self._text(messages[: position + 1], tools, kwargs)
            if not (text.startswith(whole) and whole.startswith(head)):
                raise ConfigError(
                    "the chat template writes earlier turns otherwise once later ones follow, so a conversation cannot "
                    "be learnt whole: export it with unit=step or conversation.tokens=true, or give chat_template=FILE "
                    "with {% generation %} marks"
                )
            stretches.append((len(head), len(whole)))
        told = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids: list[int] = list(told["input_ids"])
        offsets: Sequence[Span] = told["offset_mapping"]
        spans = tuple(self._trimmed(ids, span) for span in _tokens_within(offsets, stretches))
        found = Rendered(ids, spans)
        self._check(text, messages, found.mask(), offsets)
        return found

    def _trimmed(self, ids: Sequence[int], span: Span) -> Span:
        """Without white space that the template writes behind the end-of-turn token."""
        start, end = span
        last = end
        while last > start and not self.tokenizer.decode(ids[last - 1]).strip():
            last -= 1
        return (start, last) if last > start and ids[last - 1] in self._special else span

    def _check(
        self, text: str, messages: Sequence[Message], mask: Sequence[int], offsets: Sequence[Sequence[int]]
    ) -> None:
        """Raise ConfigError when a token of a message that is not the agent's is among the agent's."""
        starts = [int(first) for first, _ in offsets]
        for message, (start, end) in _located(text, messages):
            for position in range(max(bisect_right(starts, start) - 1, 0), bisect_left(starts, end)):
                if mask[position] and offsets[position][1] > start:
                    raise ConfigError(
                        f"the chat template marks the token {text[starts[position] : offsets[position][1]]!r} of a "
                        f"{message['role']} message as the agent's: correct its {{% generation %}} marks"
                    )


def _tokens_within(offsets: Sequence[Sequence[int]], stretches: Sequence[Span]) -> Iterator[Span]:
    """The tokens that lie wholly in each stretch of text; both in order."""
    position = 0
    for start, end in stretches:
        while position < len(offsets) and offsets[position][0] < start:
            position += 1
        first = position
        while position < len(offsets) and offsets[position][1] <= end:
            position += 1
        yield first, position


def _located(text: str, messages: Sequence[Message]) -> Iterator[tuple[Message, Span]]:
    """Where what others than the agent said stands: those contents that occur just once, so that it is certain."""
    for message in messages:
        content = str(message.get("content") or "").strip()
        if message["role"] != "assistant" and content and text.count(content) == 1:
            found = text.index(content)
            yield message, (found, found + len(content))


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read the chat template {path}: {error.strerror}") from None
