"""What a host has to say: messages that wait until the driver has taken them."""

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from .messages import Answer, Message

__all__ = ["Outbox"]


class Outbox:
    """Messages in order, each answered once. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._pending: dict[int, tuple[Message, Future[Any]]] = {}
        self._count = 0
        self._nudged = False

    def post(self, message: Message) -> "Future[Any]":
        """Send a message; the future holds its answer."""
        answer: Future[Any] = Future()
        with self._changed:
            self._pending[self._count] = message, answer
            self._count += 1
            self._changed.notify_all()
        return answer

    def ask(self, message: Message) -> Any:
        """Send a message and wait for its answer. Raises what went wrong when the driver dealt with it."""
        return self.post(message).result()

    def settle(self, answers: Mapping[int, Answer]) -> None:
        """Hand out answers. One to a message that was answered before is dropped."""
        for number, answer in answers.items():
            with self._changed:
                _, waiting = self._pending.pop(number, (None, None))
            if waiting is not None and answer.error is not None:
                waiting.set_exception(answer.error)
            elif waiting is not None:
                waiting.set_result(answer.value)

    def collect(self, wait: float) -> tuple[tuple[int, Message], ...]:
        """The messages without an answer, as soon as there is one, somebody nudges, or `wait` seconds are over."""
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._nudged, wait)
            self._nudged = False
            return tuple((number, message) for number, (message, _) in self._pending.items())

    def nudge(self) -> None:
        """End a `collect` that waits, or the next one."""
        with self._changed:
            self._nudged = True
            self._changed.notify_all()
