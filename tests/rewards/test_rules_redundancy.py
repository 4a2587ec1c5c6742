"""Non-redundancy: what each rule says of real steps."""

from dataclasses import replace

from .workbench import NEW, OLD, Bench

CHECK = "python3 -c 'from shop.cart import Cart; c = Cart(); c.add(100); assert c.total() == 90'"


def test_the_same_call_with_nothing_changed_is_worth_nothing(bench: Bench) -> None:
    bench.read("shop/cart.py", start=1, end=20)
    bench.read("./shop/cart.py", start=1, end=20)
    score = bench.scores()[-1]
    assert score.reward == 0.0
    assert score.criteria["tool_choice"].set_aside_by == "asks_something_new"
    said = bench.said()["asks_something_new"]
    assert "step 0" in said.evidence and "A shopping cart" in said.evidence


def test_the_same_call_after_a_change_is_another_question(bench: Bench) -> None:
    bench.shell(CHECK)
    bench.read()
    bench.fix()
    bench.shell(CHECK)
    assert bench.said()["asks_something_new"].score == 0.9
    bench.read()
    assert bench.said()["asks_something_new"].score == 0.8
    bench.act("search", pattern="def rounded")
    bench.act("file_edit", path="shop/cart.py", old="0.9", new="0.90")
    bench.act("search", pattern="def rounded")
    assert bench.said()["asks_something_new"].score == 0.2


def test_nothing_is_held_against_a_repetition_after_the_sandbox_was_lost(bench: Bench) -> None:
    step = bench.shell("python3 -c 'import shop'")
    bench.steps[:] = [replace(step, ok=False, error="sandbox_recovered", exit_code=None), replace(step, index=1)]
    assert "asks_something_new" not in bench.said()


def test_lines_shown_before_are_not_paid_again(bench: Bench) -> None:
    bench.read("shop/long.py", start=1, end=100)
    bench.read("shop/long.py", start=51, end=150)
    said = bench.said()["reads_new_lines"]
    assert said.score == 0.5 and "50 of 100 lines" in said.evidence
    bench.shell("sed -n '60,90p' shop/long.py")
    assert bench.said()["reads_new_lines"].score == 0.0


def test_many_small_windows_are_one_read(bench: Bench) -> None:
    for start in range(1, 60, 10):
        bench.read("shop/long.py", start=start, end=start + 9)
    assert bench.said()["reads_in_one_go"].score == 0.1


def test_a_check_with_nothing_changed_says_nothing_new(bench: Bench) -> None:
    bench.test("tests/test_cart.py")
    bench.test("tests/test_cart.py::test_empty")
    said = bench.said()["checks_something_new"]
    assert said.score <= 0.6
    bench.test()
    bench.test("tests")
    assert bench.said()["checks_something_new"].score == 0.1


def test_a_pattern_is_searched_once(bench: Bench) -> None:
    bench.act("search", pattern="def total")
    bench.act("search", pattern="DEF TOTAL", path="shop", ignore_case=True)
    assert bench.said()["searches_something_new"].score == 0.2
    bench.act("search", pattern="def add", path="shop")
    assert bench.said()["searches_something_new"].score == 1.0


def test_edits_do_not_go_in_circles(bench: Bench) -> None:
    bench.read()
    paid = list[float]()
    for old, new in ((OLD, NEW), (NEW, OLD), (OLD, NEW), (NEW, OLD)):
        bench.act("file_edit", path="shop/cart.py", old=old, new=new)
        paid.append(bench.said()["edits_forward"].score)
    assert paid == [1.0, 0.4, 0.4, 0.0]


def test_known_lines_are_not_news(bench: Bench) -> None:
    bench.read("shop/cart.py")
    bench.act("search", pattern="def")
    assert bench.said()["shows_new_lines"].score == 1.0, "numbered otherwise, and of other files"
    bench.act("search", pattern="def ", path="shop")
    assert bench.said()["shows_new_lines"].score < 0.5


def test_another_question_with_the_same_answer(bench: Bench) -> None:
    bench.shell("cat shop/cart.py")
    bench.shell("cat ./shop/cart.py #")
    said = bench.said()["gets_another_answer"]
    assert said.score == 0.2 and "step 0" in said.evidence


def test_the_same_attempt_in_other_words(bench: Bench) -> None:
    script = "from shop.cart import Cart\ncart = Cart()\ncart.add(100)\nprint(cart.total())\n"
    bench.act("file_write", path="try.py", content=script)
    bench.act("file_write", path="try.py", content=script + "print(cart)\n")
    assert bench.said()["tries_something_else"].score <= 0.5
    bench.act("file_write", path="note.py", content="import json\nprint(json.dumps({'a': 1, 'b': [2, 3, 4, 5, 6]}))\n")
    assert bench.said()["tries_something_else"].score == 1.0


def test_nearly_the_call_before_is_the_call_before(bench: Bench) -> None:
    text = "def total(self):\n    amount = sum(price * number for price, number in self.items)\n    return amount\n"
    bench.act("file_edit", path="shop/cart.py", old=text, new=text.replace("amount", "total"))
    bench.act("file_edit", path="shop/cart.py", old=text.replace("items", "goods"), new=text.replace("amount", "total"))
    refused = bench.said()["differs_from_the_last"]
    assert refused.score < 0.2 and "with step 0" in refused.evidence
    bench.steps[-1] = replace(bench.steps[-1], ok=True, error=None)
    assert refused.score < bench.said()["differs_from_the_last"].score < 0.4, "the second may be a correction"


def test_the_next_part_of_a_file_is_another_call(bench: Bench) -> None:
    bench.read("shop/long.py", start=1, end=100)
    bench.read("shop/long.py", start=101, end=200)
    assert bench.said()["differs_from_the_last"].score == 1.0
    bench.act("search", pattern="def rounded")
    assert "differs_from_the_last" not in bench.said(), "another tool"


def test_a_thought_in_the_words_of_the_last_is_not_new(bench: Bench) -> None:
    first = "The discount is missing at the threshold, so I look at the total of the cart."
    bench.act("file_read", first, path="shop/cart.py")
    assert "thinks_something_new" not in bench.said()
    bench.act("search", first.replace("look at", "check"), pattern="DISCOUNT_THRESHOLD")
    said = bench.said()["thinks_something_new"]
    assert said.score < 0.3 and "thought of step 0" in said.evidence
    bench.act("file_edit", "Comparing with >= repairs it.", path="shop/cart.py", old=OLD, new=NEW)
    assert "thinks_something_new" not in bench.said(), "too short to be compared"
    bench.act(
        "run_tests", "Comparing with >= repairs it, which existing tests must confirm.", tests=["tests/test_cart.py"]
    )
    bench.act("git", "Everything passes; finally reviewing my own modification before handing over.", subcommand="diff")
    assert bench.said()["thinks_something_new"].score == 1.0
