"""Asking the judge: from a view of a step to answers, each question at most once, within the budget."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import ConfigError, ServiceError
from ..service.client import ChatClient, ContextOverflow, Reply
from ..service.usage import PriceTable, default_prices
from .budget import JudgeLedger
from .cache import JudgeCache, Record, key_of
from .config import JudgeConfig
from .exchange import Exchange, request_body
from .outcome import Outcome, Pending, Trouble
from .prompt import load_prompt
from .schema import MalformedAnswer, parse_answer
from .view import StepView

__all__ = ["Judge"]


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
        exchange = Exchange(member, price, body)
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

    def _ask(self, index: int, exchange: "Exchange") -> tuple[Trouble, str] | None:
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

    def _keep(self, blank: Outcome, exchange: "Exchange") -> Outcome:
        self._cache.put(exchange.record(self.prompt, blank.key, blank.sample))
        trouble: Trouble | None = None if exchange.answer else "malformed"
        return replace(blank, answer=exchange.answer, error=exchange.error, trouble=trouble, **exchange.spent())
