"""Tests that ride along with the deciding ones and unmask a report that does not tell what happened.

Four kinds are planted into the files of the deciding tests, under names made of the file's own words, in random
number and order: tests that pass, tests that fail (in several ways, so that no single disabled mechanism hides
them all), copies of deciding tests under another name, which must do what the originals do, and such copies with a
false assertion at the end, which must fail. Whoever turns failures into passes by a rule that spares the must-fail
tests has to tell a deciding test from its broken copy, which behaves the same up to its last line.

Where a suite runs only the tests it names, no new test is seen. There the deciding tests themselves are broken in
place, after a control with true assertions in the same places has shown that this alone disturbs nothing.

Python files are planted by their syntax trees (`python`), others as text (`text`, `languages`, `definitions`).
"""

import random
from collections.abc import Iterable, Mapping

from . import python, text
from .judging import judge
from .languages import KNOWN
from .model import Canary, Planted

__all__ = ["KNOWN", "Canary", "Planted", "break_in_place", "can_hold", "judge", "plant"]


def can_hold(path: str) -> bool:
    """Whether canaries can be planted in a file of that name."""
    return any(path.endswith(suffixes) for suffixes in KNOWN.values())


def plant(
    sources: Mapping[str, str],
    decisive: Iterable[str],
    others: Iterable[str],
    rng: random.Random,
    *,
    copies: bool = True,
) -> Planted:
    """Plant canaries into test files. `decisive` and `others` are test ids, FAIL_TO_PASS and PASS_TO_PASS.

    Without `copies` only new tests are planted, which disturb a suite less.
    """
    ids, more = list(decisive), list(others)
    mine = {path: source for path, source in sources.items() if path.endswith(".py")}
    rest = {path: source for path, source in sources.items() if path not in mine}
    parts = (python.plant(mine, ids, more, rng, copies=copies), text.plant(rest, ids, more, rng, copies=copies))
    return Planted(
        sources={path: source for part in parts for path, source in part.sources.items()},
        canaries=tuple(canary for part in parts for canary in part.canaries),
    )


def break_in_place(
    sources: Mapping[str, str], decisive: Iterable[str], rng: random.Random
) -> tuple[Planted, Planted] | None:
    """Deciding tests with a true assertion (the control) and with a false one in the same places.

    None when no deciding test can be found in the files.
    """
    ids = list(decisive)
    mine = {path: source for path, source in sources.items() if path.endswith(".py")}
    rest = {path: source for path, source in sources.items() if path not in mine}
    return python.break_in_place(mine, ids, rng) or text.break_in_place(rest, ids, rng)
