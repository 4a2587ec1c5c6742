"""Ctrl-C in long commands: the first ends in good order, the second at once."""

import os
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

__all__ = ["interruptible"]


@contextmanager
def interruptible(doing: str, stop: Callable[[], None] | None = None) -> Generator[None]:
    """The first Ctrl-C (or SIGTERM) says what is being done and calls `stop`, the second exits at once with 130.

    Without `stop` the first raises KeyboardInterrupt.
    """
    pressed = 0

    def handle(_signal: int, _frame: object) -> None:
        nonlocal pressed
        pressed += 1
        if pressed > 1:
            os._exit(130)
        print(f"\ntrajhub: {doing}; again to quit at once", file=sys.stderr)
        if stop is None:
            raise KeyboardInterrupt
        stop()

    old = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
