"""Policies that only want reward: whatever they repeat, it runs dry."""

from collections.abc import Callable

import pytest
from trajectory_hub.rewards.config import load_config

from .workbench import Bench

STEPS = 40


def _reads(bench: Bench, number: int) -> None:
    bench.read("shop/long.py", start=1 + 19 * number, end=40 + 19 * number)


def _searches(bench: Bench, number: int) -> None:
    bench.act("search", pattern=f"VALUE_{number}")


def _scratch_files(bench: Bench, number: int) -> None:
    bench.act("file_write", path=f"try_{number}.py", content=f"from shop.cart import Cart\nprint({number})\n")


def _runs(bench: Bench, number: int) -> None:
    bench.shell(f"python3 -c 'from shop.cart import Cart; print(Cart().total() + {number})'")


def _marks_and_checks(bench: Bench, number: int) -> None:
    if number % 2 == 0:
        bench.act("file_edit", path="shop/cart.py", old="0.9" + "0" * (number // 2), new="0.90" + "0" * (number // 2))
    else:
        bench.shell(f"python3 -c 'from shop.cart import Cart; print(Cart().total() * {number})'")


def _edits_and_reverts(bench: Bench, number: int) -> None:
    old, new = ("0.9", "0.8") if number % 2 == 0 else ("0.8", "0.9")
    bench.act("file_edit", path="shop/cart.py", old=old, new=new)


def _reads_and_searches(bench: Bench, number: int) -> None:
    (_reads if number % 2 else _searches)(bench, number)


def _refused_and_corrected(bench: Bench, number: int) -> None:
    bench.read(f"shop/long{'' if number % 2 else number}.py", start=1 + number, end=20 + number)


ENDLESS = (
    _reads,
    _searches,
    _scratch_files,
    _runs,
    _marks_and_checks,
    _edits_and_reverts,
    _reads_and_searches,
    _refused_and_corrected,
)


@pytest.mark.parametrize("policy", ENDLESS)
def test_no_endless_policy_keeps_its_reward(bench: Bench, policy: Callable[[Bench, int], None]) -> None:
    bench.act("search", pattern="DISCOUNT_THRESHOLD")
    bench.read("shop/cart.py")
    for number in range(STEPS):
        policy(bench, number)
    scores = bench.scores()
    late = [score.reward for score in scores[-20:]]
    assert sum(late) / len(late) < load_config().episode.sound
    assert scores[-1].process.score < max(score.process.score for score in scores[:20])
