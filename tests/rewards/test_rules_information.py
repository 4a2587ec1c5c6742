"""Use of information: what each rule says of real steps."""

from .workbench import Bench

CHECK = "python3 -c 'from shop.cart import Cart; c = Cart(); c.add(100); assert c.total() == 90'"


def test_a_step_goes_on_from_what_was_shown(bench: Bench) -> None:
    bench.read("shop/long.py", start=1, end=30)
    assert bench.said()["follows_a_lead"].score == 0.2
    bench.act("search", pattern="def rounded")
    bench.read("shop/money.py")
    said = bench.said()["follows_a_lead"]
    assert said.score == 1.0 and "step 1" in said.evidence


def test_a_mere_listing_is_a_weak_lead(bench: Bench) -> None:
    bench.shell("ls -R shop")
    bench.read("shop/long.py", start=1, end=30)
    assert bench.said()["follows_a_lead"].score == 0.4


def test_a_failure_is_taken_up(bench: Bench) -> None:
    bench.shell(CHECK)
    bench.act("search", pattern="AssertionError raised")
    assert bench.said()["heeds_failure"].score >= 0.8
    bench.shell(CHECK.replace("90", "90.0"))
    bench.shell("echo fine")
    assert bench.said()["heeds_failure"].score == 0.0
    bench.shell(CHECK.replace("90", "90.00"))
    bench.act("submit")
    said = bench.said()["heeds_failure"]
    assert said.score == 0.0 and "AssertionError" in said.evidence


def test_lines_are_read_before_they_are_changed(bench: Bench) -> None:
    bench.fix()
    assert bench.said()["edits_what_was_read"].score == 0.0
    bench.read("shop/long.py", start=1, end=30)
    bench.act("file_edit", path="shop/long.py", old="VALUE_900 = 900", new="VALUE_900 = 901")
    assert bench.said()["edits_what_was_read"].score == 0.5
    bench.act("file_edit", path="shop/long.py", old="VALUE_20 = 20", new="VALUE_20 = 21")
    assert bench.said()["edits_what_was_read"].score == 1.0


def test_after_a_flood_the_next_question_is_narrower(bench: Bench) -> None:
    bench.shell("cat shop/long.py")
    bench.shell("cat shop/long.py shop/cart.py")
    assert bench.said()["narrows_after_flood"].score == 0.0
    bench.shell("head -n 40 shop/long.py")
    assert bench.said()["narrows_after_flood"].score == 1.0


def test_hits_are_opened(bench: Bench) -> None:
    bench.act("search", pattern="def total")
    bench.read("shop/money.py")
    assert bench.said()["opens_what_it_finds"].score == 0.4
    bench.read("shop/cart.py")
    assert bench.said()["opens_what_it_finds"].score == 1.0


def test_search_after_search_is_worth_less(bench: Bench) -> None:
    for pattern in ("def total", "def add", "def rounded", "class Cart", "import"):
        bench.act("search", pattern=pattern)
    assert bench.said()["opens_what_it_finds"].score == 0.0


def test_what_failed_is_run_again(bench: Bench) -> None:
    bench.shell(CHECK)
    bench.read()
    bench.fix()
    bench.shell("python3 -c 'from shop.cart import Cart; print(Cart())'")
    assert bench.said()["returns_to_the_failure"].score == 0.5
    bench.act("file_edit", path="shop/cart.py", old="amount * 0.9", new="amount * 0.90")
    bench.shell(CHECK)
    assert bench.said()["returns_to_the_failure"].score == 1.0


def test_submitting_heeds_the_last_check(bench: Bench) -> None:
    bench.act("submit")
    assert bench.said()["submits_on_evidence"].score == 0.0
    bench.shell(CHECK)
    bench.act("submit")
    assert bench.said()["submits_on_evidence"].score == 0.0
    bench.read()
    bench.fix()
    bench.act("submit")
    assert bench.said()["submits_on_evidence"].score == 0.3
    bench.shell(CHECK)
    bench.act("submit")
    assert bench.said()["submits_on_evidence"].score == 1.0


def test_a_refused_edit_is_learnt_from(bench: Bench) -> None:
    bench.act("file_edit", path="shop/cart.py", old="amount > DISCOUNT_TRESHOLD", new="x")
    bench.act("file_edit", path="shop/cart.py", old="amount >DISCOUNT_THRESHOLD", new="x")
    assert bench.said()["learns_from_refusal"].score == 0.1
    bench.fix()
    assert bench.said()["learns_from_refusal"].score == 1.0
