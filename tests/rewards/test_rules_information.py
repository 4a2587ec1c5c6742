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


def test_a_thought_takes_up_what_was_shown(bench: Bench) -> None:
    bench.act("file_read", "First the cart.", path="shop/cart.py")
    assert "takes_up_the_result" not in bench.said()
    bench.act("search", "`rounded` comes from another module and ValueError is raised for amounts.", pattern="rounded")
    taken = bench.said()["takes_up_the_result"]
    assert taken.score > 0.6 and "from step 0" in taken.evidence
    bench.act("file_read", "Something else entirely.", path="shop/cart.py", start=2)
    bench.act("file_read", "Something else entirely.", path="shop/money.py")
    assert bench.said()["takes_up_the_result"].score == 0.6
    bench.act("shell", "Now run it.", command="python3 -c 'import shop'")
    bench.act("search", "Onwards.", pattern="def total")
    little = bench.said()["takes_up_the_result"]
    assert little.score == 0.3 and "next to nothing" in little.evidence
    bench.read("shop/long.py", start=1, end=40)
    assert bench.said()["takes_up_the_result"].score == 0.0, "silent after having spoken"


def test_without_thoughts_silence_means_nothing(bench: Bench) -> None:
    bench.solve()
    names = {rule.rule for score in bench.scores() for c in score.criteria.values() for rule in c.rules}
    assert names.isdisjoint({"takes_up_the_result", "says_what_it_does", "thinks_something_new"})


def test_a_change_made_of_an_answer_builds_on_it(bench: Bench) -> None:
    bench.read("shop/cart.py")
    bench.fix()
    built = bench.said()["builds_on_the_result"]
    assert built.score > 0.85 and "step 0" in built.evidence
    bench.test("tests/test_cart.py")
    assert bench.said()["builds_on_the_result"].score < 0.65, "the run would have come after any change"
    bench.shell("echo done")
    assert "builds_on_the_result" not in bench.said()


def test_a_refusal_after_another_kind_of_step_misreads_it(bench: Bench) -> None:
    bench.read("shop/cart.py")
    assert "reads_the_state_rightly" not in bench.said()
    bench.act("file_edit", "Raise the rate for large baskets.", path="shop/cart.py", old="no such text", new="x")
    first = bench.said()["reads_the_state_rightly"]
    bench.act("file_edit", "Raise the rate for large baskets.", path="shop/cart.py", old="nor such a text", new="x")
    again = bench.said()["reads_the_state_rightly"]
    assert first.score < again.score < 1.0 and "is refused after step 0" in first.evidence
    bench.act_text("no call at all")
    bench.read("shop/money.py")
    assert "does not exist" in bench.said()["reads_the_state_rightly"].evidence
