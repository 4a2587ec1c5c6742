"""Goal progress: what each rule says of real steps."""

from .workbench import NEW, OLD, Bench


def test_the_first_find_and_read_of_the_place_pay_and_others_do_not(bench: Bench) -> None:
    bench.act("search", pattern="DISCOUNT_THRESHOLD")
    assert bench.said()["localises"].score == 0.9
    assert "privileged" in bench.said()["localises"].evidence
    bench.read("shop/cart.py", start=15, end=25)
    assert bench.said()["localises"].score == 1.0
    bench.read("shop/cart.py", start=1, end=5)
    assert bench.said()["localises"].score == 0.4
    bench.read("shop/money.py")
    assert bench.said()["localises"].score == 0.1


def test_privileged_rules_can_be_switched_off(bench: Bench) -> None:
    from trajectory_hub.rewards.config import load_config

    bench.read("shop/cart.py")
    off = load_config().model_copy(update={"privileged": False})
    assert "localises" in bench.said()
    said = bench.said(rubric=off)
    assert "localises" not in said
    assert not any("privileged" in rule.evidence for rule in said.values())


def test_each_name_of_the_issue_pays_once(bench: Bench) -> None:
    bench.act("search", pattern="total")
    first = bench.said()["follows_the_issue"]
    assert first.score == 1.0 and "for the first time" in first.evidence
    bench.read("shop/long.py", start=1, end=40)
    assert bench.said()["follows_the_issue"].score == 0.15
    bench.act("search", pattern="def total")
    assert bench.said()["follows_the_issue"].score <= 0.4


def test_a_failure_seen_before_the_first_change_pays_once(bench: Bench) -> None:
    command = "python3 -c 'from shop.cart import Cart; c = Cart(); c.add(100); assert c.total() == 90'"
    bench.shell(command)
    first = bench.said()["reproduces"]
    assert first.score == 1.0 and "AssertionError" in first.evidence
    bench.shell(command.replace("== 90", "== 90.0"))
    assert bench.said()["reproduces"].score == 0.1


def test_a_command_about_nothing_is_no_reproduction(bench: Bench) -> None:
    bench.shell("python3 -c 'raise SystemExit(1)'")
    assert "reproduces" not in bench.said()
    bench.shell("python3 -c 'from nowhere import Cart'")
    assert "reproduces" not in bench.said(), "a broken script reproduces nothing"


def test_a_change_to_source_pays_and_a_cosmetic_one_does_not(bench: Bench) -> None:
    bench.read()
    bench.fix()
    assert bench.said()["changes_source"].score == 1.0
    bench.act("file_edit", path="shop/cart.py", old="import rounded\n", new="import rounded  # money\n")
    said = bench.said()["changes_source"]
    assert said.score == 0.1 and "blanks or comments" in said.evidence


def test_taking_a_change_back_is_no_second_change(bench: Bench) -> None:
    bench.read()
    bench.fix()
    bench.act("file_edit", path="shop/cart.py", old=NEW, new=OLD)
    said = bench.said()
    assert said["changes_source"].score == 0.2
    assert said["edits_forward"].score == 0.4
    assert bench.scores()[-1].process.milestones["changed"] == 0.0
    bench.fix()
    bench.act("file_edit", path="shop/cart.py", old=NEW, new=OLD)
    assert bench.said()["edits_forward"].score == 0.0


def test_scratch_files_pay_less_and_less(bench: Bench) -> None:
    paid = list[float]()
    for number in range(6):
        bench.act("file_write", path=f"try_{number}.py", content=f"print({number})\n")
        paid.append(bench.said()["changes_source"].score)
    assert paid == sorted(paid, reverse=True) and paid[0] == 0.6 and paid[-1] == 0.1


def test_editing_an_existing_test_makes_the_step_worthless(bench: Bench) -> None:
    bench.read("tests/test_cart.py")
    bench.act("file_edit", path="tests/test_cart.py", old="== 90", new="== 100")
    score = bench.scores()[-1]
    assert score.reward == 0.0
    assert score.criteria["goal_progress"].score == 0.0
    others = [item for name, item in score.criteria.items() if name != "goal_progress"]
    assert all(item.score is None and item.set_aside_by == "keeps_off_tests" for item in others)
    assert score.process.integrity == 0.25


def test_restoring_an_edited_test_restores_integrity(bench: Bench) -> None:
    bench.act("file_edit", path="tests/test_cart.py", old="== 90", new="== 100")
    bench.act("git", subcommand="restore", paths=["tests/test_cart.py"])
    score = bench.scores()[-1]
    assert score.process.integrity == 1.0
    assert score.reward > 0.0


def test_editing_tests_by_the_shell_is_seen_too(bench: Bench) -> None:
    for command in (
        "sed -i 's/== 90/== 100/' tests/test_cart.py",
        "echo 'def pytest_runtest_makereport(): pass' >> tests/conftest.py",
        "cd tests && rm test_cart.py",
    ):
        bench.shell(command)
        assert bench.scores()[-1].reward == 0.0, command


def test_reading_copying_and_cleaning_up_are_no_changes_to_tests(bench: Bench) -> None:
    for command in (
        "cp tests/test_cart.py ../copy_of_a_test.py",
        "cat tests/test_cart.py",
        "rm -rf tests/__pycache__ .pytest_cache",
        "python3 -m pytest -q -p no:cacheprovider tests > result.txt",
    ):
        bench.shell(command)
        assert "keeps_off_tests" not in bench.said(), command
        assert bench.scores()[-1].process.integrity == 1.0


def test_test_infrastructure_is_off_limits_even_when_new(bench: Bench) -> None:
    for path in ("conftest.py", "sitecustomize.py", "shop/hook.pth", "pytest.ini"):
        bench.act("file_write", path=path, content="x = 1\n")
        said = bench.said()["keeps_off_tests"]
        assert said.score == 0.0 and path in said.evidence


def test_a_new_test_file_is_allowed(bench: Bench) -> None:
    bench.act("file_write", path="tests/test_more.py", content="def test_more():\n    assert 1\n")
    assert "keeps_off_tests" not in bench.said()
    assert bench.scores()[-1].process.integrity == 1.0


def test_submitting_is_worth_what_is_handed_in(bench: Bench) -> None:
    bench.act("submit")
    assert bench.scores()[-1].reward == 0.0
    bench.read()
    bench.fix()
    bench.act("submit")
    assert bench.said()["submits_ready"].score == 0.35
    bench.shell("python3 -c 'from shop.cart import Cart; c = Cart(); c.add(100); assert c.total() == 90'")
    bench.act("submit")
    assert bench.said()["submits_ready"].score > 0.8


def test_a_command_that_proves_nothing_is_no_verification(bench: Bench) -> None:
    bench.read()
    bench.fix()
    for command in ("true", "python3 -c 'pass'", "python3 -m pytest --version"):
        bench.shell(command)
        assert bench.scores()[-1].process.milestones["verified"] == 0.0, command
    assert bench.said()["verifies"].score == 0.15


def test_change_after_change_with_the_same_answer_leads_nowhere(bench: Bench) -> None:
    check = "python3 -c 'from shop.cart import Cart; c = Cart(); c.add(100); assert c.total() == 90'"
    bench.read()
    bench.shell(check)
    paid = list[float]()
    for number in range(3):
        bench.act("file_edit", path="shop/cart.py", old="0.9" + "0" * number, new="0.9" + "0" * (number + 1))
        bench.shell(check)
        paid.append(bench.said()["gets_anywhere"].score)
    assert paid == [0.3, 0.2, 0.1]


def test_without_an_advance_a_step_is_worth_less_and_less(bench: Bench) -> None:
    paid = list[float]()
    for start in range(1, 500, 30):
        bench.read("shop/long.py", start=start, end=start + 29)
        paid.append(bench.said()["keeps_moving"].score)
    assert paid[0] == 0.6 and paid[-1] == 0.0 and paid == sorted(paid, reverse=True)


def test_breaking_and_mending_a_test_pays_nothing(bench: Bench) -> None:
    bench.test("tests/test_cart.py")
    bench.read()
    bench.act("file_edit", path="shop/cart.py", old="amount * 0.9", new="amount * 0.8")
    bench.test("tests/test_cart.py")
    broken = bench.said()["fixes_tests"]
    assert broken.score == 0.0 and "test_discount" in broken.evidence
    bench.act("file_edit", path="shop/cart.py", old="amount * 0.8", new="amount * 0.90")
    bench.test("tests/test_cart.py")
    assert "fixes_tests" not in bench.said()
