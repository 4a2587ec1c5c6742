"""Asking the judge: from a view of a step to answers, each question at most once, within the budget."""

import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

from ...errors import ConfigError, ServiceError
from ..service.client import ChatClient, ContextOverflow, Reply
from ..service.usage import Price, PriceTable, Usage, default_prices, read_usage
from .budget import JudgeLedger, token_estimate
from .cache import JudgeCache, Record, key_of
from .config import JudgeConfig, MemberConfig
from .prompt import load_prompt
from .schema import Answer, MalformedAnswer, parse_answer, response_format
from .view import StepView

__all__ = ["Judge", "Outcome", "Pending", "request_body"]

Trouble = Literal["malformed", "service", "too_long", "budget", "stopped"]
_KEPT = 2_000
"""Characters of an invalid answer that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of asking one model once."""

    model: str
    endpoint: str
    sample: int
    key: str
    """Address of the whole exchange in the cache."""
    answer: Answer | None = None
    error: str | None = None
    """Why there is no answer."""
    trouble: Trouble | None = None
    cached: bool = False
    requests: int = 0
    """Answers it took, also where they came from the cache."""
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    latency_ms: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON: everything but the reasons, which the cache holds."""
        scores = {name: one["score"] for name, one in self.answer.model_dump().items()} if self.answer else None
        return {
            "model": self.model,
            "endpoint": self.endpoint,
            "sample": self.sample,
            "key": self.key,
            "scores": scores,
            "error": self.error,
            "trouble": self.trouble,
            "cached": self.cached,
            "requests": self.requests,
            "usage": self.usage.model_dump(exclude_none=True),
            "cost_usd": self.cost_usd,
            "latency_ms": self.latency_ms,
        }


@dataclass(frozen=True, slots=True)
class Pending:
    """Questions about one step that are being asked."""

    view: StepView
    asked: tuple[tuple[Future[Outcome], bool], ...]
    """Each with whether somebody else asked the same before."""

    def outcomes(self) -> tuple[Outcome, ...]:
        """Wait for all of them. Raises ConfigError when the service refuses the key or the model."""
        found = [(future.result(), shared) for future, shared in self.asked]
        return tuple(
            replace(outcome, cached=True) if shared and outcome.answer else outcome for outcome, shared in found
        )


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


class Judge:
    """The models of a configuration, with one cache and one budget. Thread-safe; close it after use."""

    def __init__(self, config: JudgeConfig, prices: PriceTable | None = None, cache: Path | None = None) -> None:
        """`cache` is used where the configuration names none; without either, answers are kept in memory.

        Raises ConfigError when no model is named, a prompt cannot be used or a limit in money cannot be kept.
        """
        if not config.models:
            raise ConfigError("the judge has no model: --model MODEL@http://HOST:PORT/v1, or judge.models in a file")
        self.config = config
        self.prompt = load_prompt(config.prompt)
        self.ledger = JudgeLedger(config.budget)
        self.stopped: str | None = None
        """Why nothing more is asked."""
        table = prices or default_prices()
        self._members = [(member, table.price(member.model)) for member in config.members]
        for member, price in self._members:
            self.ledger.check(member.model, price)
        self._clients = [ChatClient(member) for member, _ in self._members]
        self._cache = JudgeCache(config.cache or cache)
        self._pool = ThreadPoolExecutor(config.workers, "trajhub-judge")
        self._lock = threading.RLock()
        self._flying: dict[str, Future[Outcome]] = {}
        self._failures = 0
        self._cancelled = threading.Event()

    @property
    def name(self) -> str:
        """The layer's name: version of the prompt, and the models."""
        times = f"*{self.config.samples}" if self.config.samples > 1 else ""
        known = "" if self.prompt.name == "step" else f"{self.prompt.name}-"
        return f"judge@{known}{self.prompt.version}:" + "+".join(
            f"{member.model}{times}" for member, _ in self._members
        )

    @property
    def asks(self) -> int:
        """Questions about each step."""
        return len(self._members) * self.config.samples

    def submit(self, view: StepView) -> Pending:
        """Begin to ask about a step."""
        messages = view.messages(self.prompt)
        return Pending(
            view,
            tuple(
                self._submit(index, messages, sample)
                for index in range(len(self._members))
                for sample in range(self.config.samples)
            ),
        )

    def record(self, key: str) -> Record | None:
        """The whole exchange behind an answer: what the judge saw, and what it said."""
        return self._cache.get(key)

    def stop(self, why: str) -> None:
        """Ask nothing more; requests under way are waited for, pauses between tries end."""
        self.stopped = self.stopped or why
        self._cancelled.set()

    def close(self) -> None:
        """Stop, and close connections and cache."""
        self.stop("closed")
        self._pool.shutdown(wait=True)
        for client in self._clients:
            client.close()
        self._cache.close()

    def _submit(self, index: int, messages: list[dict[str, str]], sample: int) -> tuple[Future[Outcome], bool]:
        body = request_body(self._members[index][0], messages)
        key = key_of(body, sample)
        with self._lock:
            flying = self._flying.get(key)
            if flying is not None:
                return flying, True
            future = self._pool.submit(self._answer, index, body, sample, key)
            self._flying[key] = future
        future.add_done_callback(lambda _: self._landed(key))
        return future, False

    def _landed(self, key: str) -> None:
        with self._lock:
            self._flying.pop(key, None)

    def _answer(self, index: int, body: dict[str, Any], sample: int, key: str) -> Outcome:
        member, price = self._members[index]
        blank = Outcome(model=member.model, endpoint=member.base_url, sample=sample, key=key)
        known = self._known(key, blank)
        if known is not None:
            return known
        exchange = _Exchange(member, price, body)
        while exchange.going_on(self.config.malformed_retries):
            trouble = self._ask(index, exchange)
            if trouble is not None:
                kind, error = trouble
                return replace(blank, trouble=kind, error=error, **exchange.spent())
        return self._keep(blank, exchange)

    def _known(self, key: str, blank: Outcome) -> Outcome | None:
        record = self._cache.get(key)
        if record is None or (record.answer is None and self.config.retry_failed):
            return None
        try:
            answer = parse_answer(record.answer) if record.answer is not None else None
        except MalformedAnswer:
            return None  # an older version took it for valid
        return replace(
            blank,
            answer=answer,
            error=record.error,
            trouble=None if answer else "malformed",
            cached=True,
            requests=record.requests,
            usage=record.usage,
            cost_usd=record.cost_usd,
            latency_ms=record.latency_ms,
        )

    def _ask(self, index: int, exchange: "_Exchange") -> tuple[Trouble, str] | None:
        """Ask once; what stood in the way, if there is no answer at all."""
        if self.stopped is not None:
            return "stopped", self.stopped
        hold = self.ledger.hold(exchange.input_tokens, exchange.member.max_tokens, exchange.price)
        if isinstance(hold, str):
            return "budget", hold
        reply: Reply | None = None
        try:
            body = exchange.next_body()
            reply = self._clients[index].complete(body, deadline=float("inf"), cancelled=self._cancelled)
        except ContextOverflow as error:
            return "too_long", f"the step does not fit the model's context: {error}"
        except ServiceError as error:
            return ("service", self._failed(error)) if self.stopped is None else ("stopped", self.stopped)
        except ConfigError as error:
            self.stop(str(error))
            raise
        finally:
            usage, cost = exchange.take(reply) if reply is not None else (None, None)
            self.ledger.settle(hold, usage, cost)
        self._failures = 0
        return None

    def _failed(self, error: ServiceError) -> str:
        with self._lock:
            self._failures += 1
            if self._failures >= self.config.give_up_after and self.stopped is None:
                self.stop(f"the service failed {self._failures} requests in a row, last: {error}")
        return str(error)

    def _keep(self, blank: Outcome, exchange: "_Exchange") -> Outcome:
        self._cache.put(exchange.record(blank, self.prompt.name, self.prompt.version, self.prompt.sha256))
        trouble: Trouble | None = None if exchange.answer else "malformed"
        return replace(blank, answer=exchange.answer, error=exchange.error, trouble=trouble, **exchange.spent())


class _Exchange:
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

    def record(self, blank: Outcome, name: str, version: str, digest: str) -> Record:
        """The exchange as the cache keeps it."""
        return Record(
            key=blank.key,
            model=blank.model,
            endpoint=blank.endpoint,
            prompt=f"{name}@{version}",
            prompt_sha256=digest,
            sample=blank.sample,
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
