"""Tool choice: what each rule says of real steps."""

from dataclasses import replace

import pytest

from .workbench import CART, Bench


@pytest.mark.parametrize(
    ("command", "score"),
    [
        ("cat shop/cart.py", 0.4),
        ("grep -rn total shop", 0.4),
        ("sed -i 's/0.9/0.8/' shop/cart.py", 0.2),
        ("git status", 0.5),
        ("echo hello", 0.0),
        ("python3 -c 'import shop.cart'", 1.0),
        ("printf 'import shop' > try.py && python3 try.py", 0.7),
    ],
)
def test_the_shell_is_for_what_no_tool_does(bench: Bench, command: str, score: float) -> None:
    bench.shell(command)
    assert bench.said()["dedicated_tool"].score == score


def test_tests_are_run_by_the_shell_where_the_task_names_no_test_command(bench: Bench) -> None:
    bench.shell("python3 -m pytest --version")
    assert bench.said()["dedicated_tool"].score == 1.0
    bench.task = bench.task.model_copy(update={"test_command": "python3 -m pytest"})
    assert bench.said()["dedicated_tool"].score == 0.5


def test_looking_on_and_on_is_worth_less(bench: Bench) -> None:
    paid = list[float]()
    for start in range(1, 600, 30):
        bench.read("shop/long.py", start=start, end=start + 29)
        paid.append(bench.said()["looks_when_needed"].score)
    assert paid[0] == 0.9 and paid[-1] < 0.2 and paid == sorted(paid, reverse=True)


def test_looking_after_a_failure_is_right(bench: Bench) -> None:
    bench.read("shop/nothing.py")
    bench.read("shop/cart.py")
    assert bench.said()["looks_when_needed"].score == 1.0


def test_a_file_is_read_before_it_is_changed(bench: Bench) -> None:
    bench.act("file_edit", path="shop/cart.py", old="0.9", new="0.8")
    assert bench.said()["edits_when_informed"].score == 0.1
    bench.read("shop/money.py")
    bench.act("file_edit", path="shop/money.py", old="round(amount, 2)", new="round(amount, 3)")
    assert bench.said()["edits_when_informed"].score == 1.0


def test_runs_are_due_before_the_first_and_after_each_change(bench: Bench) -> None:
    check = "python3 -c 'from shop.cart import Cart; print(Cart().total())'"
    bench.shell(check)
    assert bench.said()["runs_when_due"].score == 0.9
    bench.read()
    bench.fix()
    bench.shell(check)
    assert bench.said()["runs_when_due"].score == 1.0
    bench.shell(check.replace("print", "repr"))
    assert bench.said()["runs_when_due"].score == 0.3


def test_submitting_is_due_after_a_checked_change(bench: Bench) -> None:
    bench.act("submit")
    assert bench.said()["submits_when_due"].score == 0.0
    bench.fix()
    bench.act("submit")
    assert bench.said()["submits_when_due"].score == 0.3
    bench.shell("python3 -c 'from shop.cart import Cart; Cart().total()'")
    bench.act("submit")
    assert bench.said()["submits_when_due"].score == 1.0


def test_an_answer_too_long_to_use_counts_against_the_step_that_asked_for_it(bench: Bench) -> None:
    bench.read("shop/long.py")
    assert bench.said()["keeps_output_usable"].score <= 0.5
    bench.read("shop/long.py", start=1, end=60)
    assert "keeps_output_usable" not in bench.said()


def test_limits_are_worse_the_second_time(bench: Bench) -> None:
    step = bench.shell("python3 -c 'import time; time.sleep(0)'")
    late = replace(step, ok=False, error="timeout", exit_code=None, observation="[timed out after 60 s]")
    bench.steps[:] = [late, replace(late, index=1, action="again", arguments={"command": "sleep 1000"}, data={})]
    assert bench.said(0)["stays_within_limits"].score == 0.3
    assert bench.said(1)["stays_within_limits"].score == 0.0


def test_a_third_failure_of_the_same_kind_is_no_plan(bench: Bench) -> None:
    for name in ("one", "two", "three"):
        bench.read(f"shop/{name}.py")
    assert bench.said()["changes_approach"].score == 0.0
    bench.act("search", pattern="*.py", kind="name")
    assert bench.said()["changes_approach"].score == 1.0


@pytest.mark.parametrize("command", ["vim shop/cart.py", "less shop/cart.py", "curl http://example.org", "git clone x"])
def test_programs_that_cannot_work_here(bench: Bench, command: str) -> None:
    step = bench.shell("true")
    bench.steps[:] = [replace(step, arguments={"command": command}, data={}, exit_code=1)]
    assert bench.said()["can_work_here"].score <= 0.1


def test_rewriting_a_whole_source_file_is_marked_down(bench: Bench) -> None:
    bench.read()
    bench.act("file_write", path="shop/cart.py", content=CART.replace(">", ">="))
    assert bench.said()["edits_in_place"].score == 0.3
    bench.act("file_write", path="try.py", content="print(1)\n")
    assert "edits_in_place" not in bench.said()
