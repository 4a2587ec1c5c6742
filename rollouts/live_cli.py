"""What is shown while a run goes on: a live table on a terminal, a line an episode elsewhere."""

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .. import console

if TYPE_CHECKING:
    from rich.table import Table

    from .run_dir import Episode
    from .runner import Runner

__all__ = ["watching"]

_SHOWN = 20


@contextmanager
def watching(runner: "Runner", *, quiet: bool) -> Generator[None]:
    """Show how `runner` gets on, on standard error."""
    runner.on_notice = _notice
    if quiet:
        yield
        return
    screen = console.console(stderr=True)
    if not screen.is_terminal:

        def say(episode: "Episode") -> None:
            print(_line(runner, episode), file=sys.stderr, flush=True)

        runner.on_episode = say
        yield
        return
    from rich.live import Live

    began = time.monotonic()
    with Live(get_renderable=lambda: _table(runner, began), console=screen, refresh_per_second=4, transient=True):
        yield


def _notice(text: str) -> None:
    print(f"trajhub: {console.safe(text)}", file=sys.stderr, flush=True)


def _line(runner: "Runner", episode: "Episode") -> str:
    end = episode.end
    seconds = (episode.duration_ms or 0.0) / 1000
    said = "no end" if end is None else f"{end.stop_reason}, {end.steps} steps, {seconds:.1f} s"
    blame = f", {episode.failure} failure" if episode.failure else ""
    return f"[{runner.ended}/{runner.total}] {console.safe(episode.folder.name)}: {said}{blame}"


def _table(runner: "Runner", began: float) -> "Table":
    from rich.markup import escape
    from rich.table import Table

    underway = runner.underway()
    view = Table(title=escape(_heading(runner, time.monotonic() - began)), title_justify="left")
    for column in ("task", "seed", "steps", "now", "seconds"):
        view.add_column(column)
    for one in underway[:_SHOWN]:
        doing, seconds = console.safe(one.doing), f"{one.seconds:.0f}"
        view.add_row(escape(one.task_id), str(one.seed), str(one.steps), escape(doing), seconds)
    if len(underway) > _SHOWN:
        view.add_row(f"and {len(underway) - _SHOWN} more", "", "", "", "")
    return view


def _heading(runner: "Runner", elapsed: float) -> str:
    left = runner.total - runner.ended
    eta = f", about {_clock(elapsed / runner.ended * left)} left" if runner.ended and left else ""
    spent = f", {runner.money.spent_usd:.4f} USD" if runner.money.spent_usd else ""
    stopped = f" — stopping: {runner.stopped}" if runner.stopped else ""
    return f"{runner.ended} of {runner.total} episodes, {_clock(elapsed)}{eta}{spent}{stopped}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"
