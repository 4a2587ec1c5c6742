"""Argument correctness: what each rule says of real steps."""

import pytest

from .workbench import Bench


@pytest.mark.parametrize(
    "action", ["I will read the file.", "{", '{"name": "file_reed", "arguments": {}}', '{"name": "file_read"}']
)
def test_a_malformed_action_is_worth_nothing(bench: Bench, action: str) -> None:
    bench.act_text(action)
    score = bench.scores()[-1]
    assert score.reward == 0.0
    said = bench.said()["well_formed"]
    assert said.score == 0.0 and action[:20] in said.evidence


def test_refused_arguments_count_by_how_wrong_they_are(bench: Bench) -> None:
    bench.read("shop/cart.py")
    assert bench.said()["accepted"].score == 1.0
    bench.read("shop/nothing.py")
    assert bench.said()["accepted"].score == 0.0
    bench.act("file_edit", path="shop/cart.py", old="number", new="count")
    assert bench.said()["accepted"].score == 0.3
    bench.read("shop")
    assert bench.said()["accepted"].score == 0.4


@pytest.mark.parametrize(
    ("command", "score"),
    [
        ("python3 -c 'import shop.cart'", 1.0),
        ("python3 -c 'assert False'", 1.0),
        ("no_such_program --now", 0.0),
        ("ls shop/nothing.py", 0.2),
        ("grep --no-such-option x shop/cart.py", 0.2),
    ],
)
def test_a_command_is_judged_by_whether_it_runs(bench: Bench, command: str, score: float) -> None:
    bench.shell(command)
    assert bench.said()["command_runs"].score == score


def test_a_path_comes_from_somewhere(bench: Bench) -> None:
    bench.read("shop/money.py")
    assert bench.said()["grounded_path"].score == 0.7, "a lucky guess"
    bench.read("shop/cart.py")
    assert bench.said()["grounded_path"].score == 1.0, "cart is named by the statement"
    bench.act("search", pattern="*.py", kind="name")
    bench.read("shop/long.py", start=1, end=50)
    assert bench.said()["grounded_path"].score == 1.0


def test_a_made_up_path_is_worth_nothing_and_less_when_the_right_one_was_shown(bench: Bench) -> None:
    bench.read("src/money.py")
    assert bench.said()["grounded_path"].score == 0.1
    bench.read("src/money.py")
    assert bench.said()["grounded_path"].score == 0.0
    bench.act("search", pattern="def rounded")
    bench.read("lib/money.py")
    said = bench.said()["grounded_path"]
    assert said.score == 0.0 and "shop/money.py" in said.evidence


def test_a_pattern_comes_from_somewhere(bench: Bench) -> None:
    for pattern, score in (
        ("DISCOUNT_THRESHOLD", 1.0),
        ("frobnicate_all", 0.2),
        ("((", 0.3),
        ("def rounded", 0.5),
        ("amount", 1.0),
    ):
        bench.act("search", pattern=pattern)
        assert bench.said()["grounded_pattern"].score == score, pattern


def test_a_search_brings_something_but_not_everything(bench: Bench) -> None:
    for pattern, score in (("frobnicate_all", 0.2), ("VALUE", 0.4), ("def total", 1.0)):
        bench.act("search", pattern=pattern)
        assert bench.said()["search_yields"].score == score, pattern


def test_a_range_lies_inside_the_file(bench: Bench) -> None:
    for start, end, score in ((900, 950, 0.0), (3, 4, 0.4), (3, 20, 1.0)):
        bench.read("shop/cart.py", start=start, end=end)
        assert bench.said()["range_fits"].score == score
    bench.read("shop/money.py")
    assert "range_fits" not in bench.said()


def test_replaced_text_was_shown(bench: Bench) -> None:
    bench.act("file_edit", path="shop/cart.py", old="    def pay_everything_now(self):\n", new="x")
    assert bench.said()["replaced_text_known"].score == 0.0
    bench.act("file_edit", path="shop/cart.py", old="amount * 0.9", new="amount * 0.90")
    assert bench.said()["replaced_text_known"].score == 0.7
    bench.read()
    bench.fix()
    assert bench.said()["replaced_text_known"].score == 1.0
    bench.act("file_edit", path="shop/cart.py", old="    def total(self):\n    pass", new="x")
    assert bench.said()["replaced_text_known"].score == 0.3


def test_a_test_run_runs_tests(bench: Bench) -> None:
    bench.test("tests/test_cart.py::test_empty")
    assert bench.said()["selects_real_tests"].score == 1.0
    bench.test("tests/test_cart.py::test_nothing")
    assert bench.said()["selects_real_tests"].score == 0.2


def test_refused_arguments_are_corrected(bench: Bench) -> None:
    bench.read("shop/money.txt")
    bench.read("shop/money.txt")
    assert bench.said()["corrects_itself"].score == 0.0
    bench.read("shop/money.rst")
    assert bench.said()["corrects_itself"].score == 0.1
    bench.read("shop/money.py")
    assert bench.said()["corrects_itself"].score == 1.0


def test_a_call_is_what_its_thought_announces(bench: Bench) -> None:
    bench.read("shop/cart.py")
    assert "says_what_it_does" not in bench.said(), "no thought was given so far"
    bench.act("search", "Where is DISCOUNT_THRESHOLD set?", pattern="DISCOUNT_THRESHOLD")
    named = bench.said()["says_what_it_does"]
    assert named.score > 0.6 and "DISCOUNT_THRESHOLD" in named.evidence
    bench.act("search", "Let me change the amount that is compared.", pattern="class Money")
    assert bench.said()["says_what_it_does"].score == 0.3
    bench.read("shop/money.py")
    assert bench.said()["says_what_it_does"].score == 0.1
