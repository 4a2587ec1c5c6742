"""The score of an episode: it pays for milestones, never for length, repetition or touching the tests."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from trajectory_hub.envs.step import Step
from trajectory_hub.rewards.config import load_config
from trajectory_hub.rewards.rubric import Rubric

from .workbench import Bench, renumbered

FILLERS: dict[str, Callable[[Bench], Step]] = {
    "an idle command": lambda bench: bench.shell("echo thinking"),
    "a malformed action": lambda bench: bench.act_text("let me think"),
    "a look at the state": lambda bench: bench.act("git", subcommand="status"),
    "a run about nothing": lambda bench: bench.shell("python3 -c 'print(1)'"),
    "a scratch file": lambda bench: bench.act("file_write", path="notes.txt", content="Thinking.\n"),
    "a search for nothing": lambda bench: bench.act("search", pattern="frobnicate"),
    "a second read": lambda bench: bench.read("shop/cart.py", start=1, end=27),
    "a listing": lambda bench: bench.shell("ls"),
    "a made-up path": lambda bench: bench.read("shop/imaginary.py"),
    "a look at the tests": lambda bench: bench.read("tests/test_cart.py"),
}


def _process(bench: Bench, steps: list[Step]) -> float:
    return Rubric().score(bench.task, renumbered(steps))[-1].process.score


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = Bench(tmp_path_factory.mktemp("solved"))
    bench.solve()
    return bench


@pytest.mark.parametrize("name", FILLERS)
def test_a_filler_step_anywhere_never_raises_the_score(solved: Bench, bench: Bench, name: str) -> None:
    filler = FILLERS[name](bench)
    plain = _process(solved, solved.steps)
    for place in range(len(solved.steps)):
        for times in (1, 5):
            padded = [*solved.steps[:place], *[filler] * times, *solved.steps[place:]]
            assert _process(solved, padded) <= plain, (name, place, times)


def test_many_poor_steps_cost_more_than_few(solved: Bench, bench: Bench) -> None:
    filler = bench.shell("echo thinking")
    scores = [_process(solved, [*[filler] * times, *solved.steps]) for times in (0, 2, 8, 30)]
    assert scores == sorted(scores, reverse=True) and len(set(scores)) == 4


def test_good_steps_cost_nothing_however_many(solved: Bench) -> None:
    last = Rubric().score(solved.task, solved.steps)[-1].process
    assert last.economy == 1.0 and last.waste == 0.0


def test_exploring_is_paid_a_little_and_only_once(bench: Bench) -> None:
    for path in ("shop/cart.py", "shop/money.py", "shop/long.py", "shop/__init__.py"):
        bench.read(path, start=1, end=40)
    found = [score.process.milestones["explored"] for score in bench.scores()]
    assert found == [pytest.approx(1 / 3, abs=1e-6), pytest.approx(2 / 3, abs=1e-6), 1.0, 1.0]
    assert load_config().episode.milestones.explored <= 0.05


def test_milestones_that_are_undone_are_lost(bench: Bench) -> None:
    bench.solve()
    bench.steps.pop()
    before = bench.scores()[-1].process.milestones
    bench.act("git", subcommand="restore", paths=["shop"])
    after = bench.scores()[-1].process.milestones
    assert before["changed"] == before["verified"] == 1.0
    assert after["changed"] == after["verified"] == 0.0


def test_a_blind_change_counts_half(bench: Bench) -> None:
    bench.fix()
    assert bench.scores()[-1].process.milestones["changed"] == 0.5


def test_changing_something_else_than_the_reference_counts_less(bench: Bench) -> None:
    bench.read("shop/money.py")
    bench.act("file_edit", path="shop/money.py", old="round(amount, 2)", new="round(amount, 1)")
    assert bench.scores()[-1].process.milestones["changed"] == 0.4
    unprivileged = load_config().model_copy(update={"privileged": False})
    assert bench.scores(unprivileged)[-1].process.milestones["changed"] == 1.0


def test_changed_tests_cost_the_whole_episode(bench: Bench) -> None:
    bench.read("tests/test_cart.py")
    bench.act("file_edit", path="tests/test_cart.py", old="== 90", new="== 100")
    bench.solve()
    score = bench.scores()[-1]
    assert score.reward == 0.0
    assert score.process.integrity == 0.25
    assert score.process.score < 0.3


def test_a_commit_of_a_cosmetic_change_is_no_change(bench: Bench) -> None:
    bench.read()
    bench.act("file_edit", path="shop/cart.py", old="import rounded\n", new="import rounded  # of money\n")
    assert bench.scores()[-1].process.milestones["changed"] == 0.0


def test_a_change_by_a_command_counts_half_until_it_is_shown(bench: Bench) -> None:
    bench.read()
    bench.shell("sed -i 's/amount > DISC/amount >= DISC/' shop/cart.py")
    assert bench.scores()[-1].process.milestones["changed"] == 0.5
    bench.act("git", subcommand="diff")
    assert bench.scores()[-1].process.milestones["changed"] == 1.0


def test_a_command_that_changes_nothing_is_found_out(bench: Bench) -> None:
    bench.read()
    bench.shell("sed -i 's/amount/amount/' shop/cart.py")
    bench.shell("python3 -c 'from shop.cart import Cart; print(Cart().total())'")
    bench.act("submit")
    assert bench.said()["submits_ready"].score < 0.5
    bench.steps.pop()
    bench.read("shop/cart.py", start=1, end=30)
    assert bench.scores()[-1].process.milestones["changed"] == 0.0
    bench.act("submit")
    assert bench.scores()[-1].reward == 0.0


def test_changes_are_gone_with_a_replaced_sandbox(bench: Bench) -> None:
    bench.read()
    bench.fix()
    lost = bench.shell("true")
    said = "[The sandbox was lost and replaced by a fresh copy; all earlier changes are gone.]"
    bench.steps[-1] = replace(lost, ok=False, error="sandbox_recovered", observation=said)
    assert bench.scores()[-1].process.milestones["changed"] == 0.0
