"""One question to one model: the request, its answers, and what they took."""

from collections.abc import Mapping
from typing import Any, cast

from ..service.client import Reply
from ..service.usage import Price, Usage, read_usage
from .budget import token_estimate
from .cache import Record
from .config import MemberConfig
from .prompt import Prompt
from .schema import Answer, MalformedAnswer, parse_answer, response_format

__all__ = ["Exchange", "request_body"]

_KEPT = 2_000
"""Characters of an invalid answer that are kept."""


def request_body(member: MemberConfig, messages: list[dict[str, str]]) -> dict[str, Any]:
    """What is sent. A field that `extra_body` sets to null is left out."""
    body = {
        "model": member.model,
        "messages": messages,
        "max_tokens": member.max_tokens,
        "temperature": member.temperature,
        "top_p": member.top_p,
        **response_format(member),
        **member.extra_body,
    }
    return {name: value for name, value in body.items() if value is not None}


class Exchange:
    """One question, asked again while the answers are not valid."""

    def __init__(self, member: MemberConfig, price: Price | None, body: dict[str, Any]) -> None:
        self.member, self.price, self.body = member, price, body
        self.answer: Answer | None = None
        self.error: str | None = None
        self._text: str | None = None
        self._attempts = list[dict[str, Any]]()
        self._usage, self._latency, self._requests = Usage(), 0.0, 0
        self._cost: float | None = 0.0

    @property
    def input_tokens(self) -> int:
        """Estimate for one request, the schema included, which some services count."""
        format_size = len(str(self.body.get("response_format", "")))
        return token_estimate(sum(len(message["content"]) for message in self.body["messages"]) + format_size)

    def going_on(self, retries: int) -> bool:
        """Whether to ask, or ask again."""
        if self.answer is None and self._requests > retries:
            self.error = f"no valid answer in {self._requests} tries; the last one: {self._attempts[-1]['error']}"
        return self.answer is None and self._requests <= retries

    def next_body(self) -> dict[str, Any]:
        """The request; from the second time on it says what was wrong, in the same message, as some models take no
        two messages of a user in a row.
        """
        if not self._attempts:
            return self.body
        *before, last = self.body["messages"]
        said = f"{last['content']}\n\nYour last answer was not valid: {self._attempts[-1]['error']}. Answer again."
        return {**self.body, "messages": [*before, {**last, "content": said}]}

    def take(self, reply: Reply) -> tuple[Usage, float | None]:
        """Read an answer; what it took."""
        usage = read_usage(reply.body)
        cost = self.price.cost(usage) if self.price else None
        self._usage, self._latency = self._usage.plus(usage), self._latency + reply.duration_ms
        self._cost = None if cost is None or self._cost is None else self._cost + cost
        self._requests += 1
        text, finish = _content(reply), reply.choice.get("finish_reason")
        try:
            if finish == "length":
                raise MalformedAnswer(f"it was cut off at {self.member.max_tokens} tokens")
            self.answer, self._text = parse_answer(text), text
        except MalformedAnswer as error:
            self._attempts.append({"error": str(error), "answer": text[:_KEPT], "finish_reason": finish})
        return usage, cost

    def spent(self) -> dict[str, Any]:
        """What all its requests took."""
        cost = self._cost if self._requests else None
        latency = self._latency if self._requests else None
        return {"requests": self._requests, "usage": self._usage, "cost_usd": cost, "latency_ms": latency}

    def record(self, prompt: Prompt, key: str, sample: int) -> Record:
        """The exchange as the cache keeps it."""
        return Record(
            key=key,
            model=self.member.model,
            endpoint=self.member.base_url,
            prompt=f"{prompt.name}@{prompt.version}",
            prompt_sha256=prompt.sha256,
            sample=sample,
            request=self.body,
            answer=self._text,
            error=self.error,
            attempts=tuple(self._attempts),
            requests=self._requests,
            usage=self._usage,
            cost_usd=self._cost,
            latency_ms=round(self._latency, 3),
        )


def _content(reply: Reply) -> str:
    message = cast("Mapping[str, Any]", reply.choice["message"])
    content = message.get("content")
    if isinstance(content, list):
        parts = cast("list[Any]", content)
        return "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))  # pyright: ignore
    return content if isinstance(content, str) else str(message.get("refusal") or "")
