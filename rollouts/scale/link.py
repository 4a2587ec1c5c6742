"""The driver's end of a line: a thread that gives orders and takes news until the host is let go of, or lost."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from ...errors import TrajHubError
from ..crew import Order, Report, Underway
from .clerk import Clerk
from .line import HostLost, Line
from .messages import Answer, Message, News, Orders, Over

__all__ = ["Gone", "Link"]


@dataclass(frozen=True, slots=True)
class Gone:
    """A link has ended."""

    link: "Link"
    orders: int
    """Of it that were not done."""
    why: str | None
    """None when it was let go of."""


class Link:
    """One host at work. `tell` is called in its thread: with a report for each order, then with `Gone`."""

    def __init__(self, line: Line, clerk: Clerk, tell: Callable[[Report | Gone], None]) -> None:
        self.line = line
        self.underway: tuple[Underway, ...] = ()
        self._clerk, self._tell = clerk, tell
        self._lock = threading.Lock()
        self._held: dict[str, Order] = {}
        self._unsent: list[Order] = []
        self._stop: str | None = None
        self._hurry = self._close = self._ended = False
        self._thread = threading.Thread(target=self._run, daemon=True, name=f"trajhub-link-{line.name}")
        self._thread.start()

    @property
    def held(self) -> int:
        """Orders it has and has not done."""
        return len(self._held)

    @property
    def free(self) -> int:
        """Workers without an order; negative when orders wait."""
        return self.line.share.workers - len(self._held)

    @property
    def room(self) -> int:
        """Orders it would take."""
        return 0 if self._ended else max(0, self.free + self.line.share.ahead)

    def give(self, order: Order) -> None:
        """Have an order done."""
        with self._lock:
            ended = self._ended
            if not ended:
                self._held[order.header.episode_id] = order
                self._unsent.append(order)
        if ended:
            self._tell(Report(order=order, begun=False, place=self.line.name))
        else:
            self.line.nudge()

    def stop(self, why: str) -> None:
        """Have the host end what goes on."""
        self._stop = why
        self.line.nudge()

    def hurry(self) -> None:
        """Have the host end steps under way."""
        self._hurry = True
        self.line.nudge()

    def close(self) -> None:
        """Have the host let go of everything."""
        self._close = True
        self.line.nudge()

    def join(self, timeout: float) -> bool:
        """Wait for the end; whether it came."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        why: str | None = "the connection to it broke down"
        try:
            self._talk()
            why = None
        except HostLost as error:
            why = str(error)
        finally:
            self._over(why)

    def _talk(self) -> None:
        answers: dict[int, Answer] = {}
        while True:
            orders = self._orders(answers)
            news: News = self.line.exchange(orders)
            with self._lock:
                del self._unsent[: len(orders.jobs)]
            answers = {number: self._answer(message) for number, message in news.messages}
            self.underway = news.underway
            if news.closed:
                return

    def _orders(self, answers: dict[int, Answer]) -> Orders:
        with self._lock:
            jobs = tuple(self._unsent)
        return Orders(
            answers=answers,
            jobs=jobs,
            spent_usd=self._clerk.spent_usd,
            stop=self._stop,
            hurry=self._hurry,
            close=self._close,
        )

    def _answer(self, message: Message) -> Answer:
        try:
            value = self._clerk.take(message)
        except TrajHubError as error:
            return Answer(error=error)
        if isinstance(message, Over):
            with self._lock:
                order = self._held.pop(message.episode)
            self._tell(Report(order=order, begun=message.begun, error=message.error, place=self.line.name))
        return Answer(value)

    def _over(self, why: str | None) -> None:
        with self._lock:
            self._ended = True
            left = list(self._held.values())
            self._held.clear()
        self.underway = ()
        if why is not None:
            for order in left:
                self._tell(self._clerk.lost(order, self.line.name, why))
        self._tell(Gone(self, len(left), why))
