"""The labelling page in a real browser, served by the real command."""

import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Response, Route, expect, sync_playwright
from trajectory_hub.rewards.human.labels import PairItem, StepItem
from trajectory_hub.rewards.human.session import QUESTIONS
from trajectory_hub.rewards.scores import CRITERIA

from . import label_world as world
from .label_served import CONTRAST, FLAGS, Served

pytestmark = pytest.mark.browser
expect.set_options(timeout=60_000)  # on a busy machine a page may take long
Serve = Callable[..., Served]
Open = Callable[..., Page]
TITLES = [title for title, _ in QUESTIONS.values()]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's chromium, or the program that TRAJHUB_CHROMIUM names."""
    path = os.environ.get("TRAJHUB_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert path, "no browser is there: apt-get install chromium, or set TRAJHUB_CHROMIUM"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world.write_world(tmp_path_factory.mktemp("label"))


@pytest.fixture
def serve(run: Path, tmp_path: Path) -> Iterator[Serve]:
    started = list[Served]()

    def start(*arguments: str) -> Served:
        started.append(Served(tmp_path / "labels.sqlite", run, *arguments))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.stop(signal.SIGKILL)


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """A page of its own session; anything a page complains about fails the test."""
    contexts, complaints = list[Any](), list[str]()

    def start(url: str, *, width: int = 1280, height: int = 860, scheme: Any = "light") -> Page:
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme))
        page: Page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.goto(url)
        expect(page.locator("#heading")).to_be_visible()
        return page

    yield start
    for context in contexts:
        context.close()
    assert complaints == []


def place(page: Page) -> int:
    """The number of the item that is shown."""
    match = re.match(r"(?:Item|Pair) (\d+) of", page.inner_text("#title"))
    assert match is not None
    return int(match[1])


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def moved(page: Page, key: str, title: str) -> None:
    """Press a key that leads to the item whose title begins so."""
    page.keyboard.press(key)
    expect(page.locator("#title")).to_have_text(re.compile(title))
    expect(page.locator("#heading")).to_be_focused()


def scored(page: Page, *digits: str) -> None:
    """Score the item that is shown, and save it."""
    here = page.inner_text("#title")
    press(page, *digits, "Enter")
    expect(page.locator("#title")).not_to_have_text(here)
    expect(page.locator("#heading")).to_be_focused()


def by_annotator(served: Served) -> dict[str, list[list[float]]]:
    """The values of each annotator, item by item, in the order of labelling."""
    found: dict[str, dict[str, list[float]]] = {}
    with served.store() as store:
        for label in store.steps():
            found.setdefault(label.annotator, {}).setdefault(label.item_id, []).append(label.value)
    return {name: list(items.values()) for name, items in found.items()}


def test_two_annotators_score_steps_by_keyboard_at_once(serve: Serve, open_page: Open) -> None:
    served = serve("--limit", "8")
    ada, bob = open_page(served.address("ada")), open_page(served.address("bob"))
    for _ in range(3):
        scored(ada, "5", "4", "3", "2", "1")
        scored(bob, "1", "1", "j", "k", "2", "2", "0")
    expect(ada.locator("#count")).to_have_text("3 done")
    expect(bob.locator("#count")).to_have_text("3 done")
    assert by_annotator(served) == {"ada": [[1.0, 0.75, 0.5, 0.25, 0.0]] * 3, "bob": [[0.0, 0.0, 0.25, 0.25]] * 3}
    with served.store() as store:
        assert {each.criterion for each in store.not_applicable()} == {CRITERIA[-1]}
        assert {label.criterion for label in store.steps() if label.annotator == "ada"} == set(CRITERIA)
        orders = [[save.item_id for save in store.history() if save.annotator == name] for name in ("ada", "bob")]
        assert orders[0] != orders[1], "each has an order of their own"
        seconds = [label.seconds for label in store.steps()]
        assert all(each is not None and 0 < each < 60 for each in seconds)


def test_arrows_move_and_change_and_a_comment_is_kept(serve: Serve, open_page: Open) -> None:
    served = serve("--limit", "2")
    page = open_page(served.address("ada"))
    press(page, "3", "ArrowUp", "ArrowRight", "ArrowDown", "2", "4", "4", "4", "c")
    page.keyboard.type("5 looked twice; u")
    press(page, "Control+Enter")
    expect(page.locator("#count")).to_have_text("1 done")
    assert by_annotator(served)["ada"] == [[0.75, 0.25, 0.75, 0.75, 0.75]]
    with served.store() as store:
        assert {label.note for label in store.steps()} == {"5 looked twice; u"}


def test_an_unfinished_answer_is_not_saved_and_says_what_lacks(serve: Serve, open_page: Open) -> None:
    served = serve("--limit", "2")
    page = open_page(served.address("ada"))
    press(page, "5", "5", "Enter")
    expect(page.locator("#said")).to_have_text("3 of 5 criteria need a score, or 0.")
    expect(page.locator(".missing")).to_have_count(3)
    assert by_annotator(served) == {}


def test_reload_goes_on_where_the_annotator_was(serve: Serve, open_page: Open) -> None:
    served = serve("--limit", "6")
    page = open_page(served.address("ada"))
    for _ in range(2):
        scored(page, "5", "5", "5", "5", "5")
    shown = page.inner_text("#read")
    press(page, "2", "4")
    page.reload()
    expect(page.locator("#heading")).to_be_focused()
    assert place(page) == 3
    assert page.inner_text("#read") == shown
    chosen = page.locator("input:checked")
    assert [each.get_attribute("aria-label") for each in chosen.all()] == ["2 of 5", "4 of 5"]
    other = open_page(served.address("ada"))
    assert place(other) == 3, "on another machine, the first that is open"
    moved(page, "p", "Item 2 of 6, saved")
    expect(page.locator("input:checked")).to_have_count(5)
    moved(page, "n", "Item 3 of 6")
    for _ in range(4):
        scored(page, "1", "1", "1", "1", "1")
    expect(page.locator("#heading")).to_have_text("All done")
    page.reload()
    expect(page.locator("#heading")).to_have_text("All done")


def test_a_save_survives_the_death_of_the_server(serve: Serve, open_page: Open, browser: Browser) -> None:
    served = serve("--limit", "4")
    page = browser.new_page()  # which may complain that nobody answers any more
    page.goto(served.address("ada"))
    expect(page.locator("#heading")).to_be_focused()
    press(page, "5", "5", "5", "5", "5")
    with page.expect_response(re.compile("api/save")):
        page.keyboard.press("Enter")
    assert served.stop(signal.SIGKILL) == -signal.SIGKILL
    page.close()
    assert by_annotator(served) == {"ada": [[1.0] * 5]}
    again = serve("--limit", "4")
    resumed = open_page(again.address("ada"))
    expect(resumed.locator("#count")).to_have_text("1 done")
    assert place(resumed) == 2
    assert by_annotator(again) == {"ada": [[1.0] * 5]}


def test_an_answer_is_kept_when_the_server_is_gone(serve: Serve, open_page: Open, browser: Browser) -> None:
    served = serve("--limit", "2")
    page = browser.new_context().new_page()
    page.goto(served.address("ada"))
    expect(page.locator("#heading")).to_be_focused()
    assert served.stop() == 0, "Ctrl-C is how a session ends"
    press(page, "5", "5", "5", "5", "5", "Enter")
    expect(page.locator("#trouble")).to_contain_text("Not saved: the labelling server does not answer")
    expect(page.locator("input:checked")).to_have_count(5)
    page.context.close()


def test_undo_takes_the_last_save_back_and_history_is_kept(serve: Serve, open_page: Open) -> None:
    served = serve("--limit", "3")
    page = open_page(served.address("ada"))
    first = page.inner_text("#read")
    scored(page, "5", "5", "5", "5", "5")
    moved(page, "u", "Item 1 of 3$")
    assert page.inner_text("#read") == first
    expect(page.locator("#count")).to_have_text("0 done")
    assert by_annotator(served) == {}
    press(page, "1")
    scored(page)
    assert by_annotator(served) == {"ada": [[0.0, 1.0, 1.0, 1.0, 1.0]]}
    with served.store() as store:
        history = list(store.history())
    assert [save.withdrawn is None for save in history] == [False, True]
    moved(page, "u", "Item 1 of 3$")
    page.keyboard.press("u")
    expect(page.locator("#said")).to_have_text("There is nothing to undo.")


def test_it_works_without_a_keyboard(serve: Serve, open_page: Open) -> None:
    """By pointer, and by the names that a screen reader says."""
    served = serve("--limit", "2")
    page = open_page(served.address("ada"), width=420)
    for title, point in zip(TITLES, ("1 of 5", "2 of 5", "does not apply", "4 of 5", "5 of 5"), strict=True):
        group = page.get_by_role("group", name=re.compile(title))
        group.get_by_role("radio", name=point).check()
    page.get_by_role("button", name=re.compile("Save")).click()
    expect(page.locator("#count")).to_have_text("1 done")
    assert by_annotator(served)["ada"] == [[0.0, 0.25, 0.75, 1.0]]
    page.get_by_role("status").get_by_role("button", name=re.compile("Undo")).click()
    expect(page.locator("#count")).to_have_text("0 done")
    expect(page.locator("input:checked")).to_have_count(5)


def test_nobody_scores_what_is_not_yet_shown(serve: Serve, open_page: Open) -> None:
    served = serve("--limit", "3")
    page = open_page(served.address("ada"))
    held = list[Route]()
    page.route("**/api/item*", lambda route: held.append(route))
    press(page, "3", "3", "3", "3", "3")
    with page.expect_request("**/api/item*"):
        page.keyboard.press("Enter")
    press(page, "1", "2", "Enter")
    held[0].continue_()
    expect(page.locator("#title")).to_have_text("Item 2 of 3")
    expect(page.locator("input:checked")).to_have_count(0)
    assert by_annotator(served)["ada"] == [[0.5] * 5]


def test_hostile_text_is_inert_and_visible(serve: Serve, open_page: Open) -> None:
    served = serve("--filter", "acme__hostile-2")
    page = open_page(served.address("ada"))
    texts = list[str]()
    total = int(page.inner_text("#title").split()[-1])
    for number in range(1, total + 1):
        for row in page.locator("#before .row summary").all():
            row.click()
        page.keyboard.press("o")
        texts.append(page.locator("#read").evaluate("(element) => element.textContent"))
        assert (
            page.locator("#read").evaluate("(e) => e.querySelectorAll('script, img, a, iframe, link, style').length")
            == 0
        )
        if number < total:
            moved(page, "n", f"Item {number + 1} of {total}")
    assert page.evaluate("window.owned") is None
    said = "\n".join(texts)
    assert "<script>window.owned = 1</script></script><img src=x onerror='window.owned=1'>" in said
    assert "[a link](javascript:window.owned=1)" in said
    for sign in ("⟨ESC⟩[31mred", "⟨BEL⟩", "⟨NUL⟩", "⟨BS⟩", "⟨DEL⟩", "⟨U+009B⟩", "⟨U+202E⟩gnp.exe⟨U+202C⟩", "⟨U+2066⟩",
                 "zero⟨U+200B⟩width", "⟨U+E0041⟩tag", "⟨U+FEFF⟩"):  # fmt: skip
        assert sign in said
    assert re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b\ufeff]", said) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def forbidden() -> list[str]:
    """What would tell an annotator who did it or how it ended."""
    known = [*world.SECRETS, "OUTCOME-SECRET", "DATA-SECRET", "0.123456", "0.4321", "rules@1", "--s0--a1", "--s1--a1"]
    return [*known, "resolved", "reward", "verdict", "run_id", "episode", "agent", "model", "seed", "outcome"]


@pytest.mark.parametrize("kind", ["--steps", "--pairs"])
def test_nothing_of_agent_model_or_outcome_is_sent(serve: Serve, browser: Browser, kind: str) -> None:
    served = serve(kind)
    page = browser.new_context().new_page()
    answers = list[Response]()
    page.on("response", lambda answer: answers.append(answer))
    page.goto(served.address("ada"))
    expect(page.locator("#heading")).to_be_focused()
    total = int(page.inner_text("#title").split()[-1])
    for number in range(2, total + 1):
        moved(page, "n", f"{number} of {total}")
    press(page, *(["5"] * 5 if kind == "--steps" else ["a"]), "Enter")
    expect(page.locator("#count")).to_have_text("1 done")
    press(page, "u")
    expect(page.locator("#count")).to_have_text("0 done")
    bodies = {answer.url: answer.text() for answer in answers}
    said = [body.lower() for url, body in bodies.items() if "/api/" in url]
    assert len(said) > total
    assert {word for word in forbidden() if any(word.lower() in body for body in said)} == set()
    headers = " ".join(f"{name}: {value}" for answer in answers for name, value in answer.headers.items()).lower()
    assert {word for word in world.SECRETS if word in headers} == set()
    page.context.close()


def test_pairs_are_chosen_by_keyboard_whatever_side_they_are_on(serve: Serve, open_page: Open) -> None:
    served = serve("--pairs", "--filter", "acme__durations-1")
    sides = set[str]()
    for number in range(6):
        page = open_page(served.address(f"annotator-{number}"))
        left = page.locator(".side").nth(0).inner_text()
        fixed = "b" if "It changed nothing." in left else "a"
        sides.add(fixed)
        press(page, fixed, "Enter")
        expect(page.locator("#heading")).to_have_text("All done")
    assert sides == {"a", "b"}, "which side a trajectory is on is random"
    with served.store() as store:
        labels = list(store.pairs())
    episodes = {label.episode_a if label.chosen == "a" else label.episode_b for label in labels}
    assert episodes == {"acme__durations-1--s0--a1"}
    assert {label.left for label in labels} == {"a", "b"}
    assert len(labels) == 6


def test_a_tie_and_reading_steps_of_a_pair(serve: Serve, open_page: Open) -> None:
    served = serve("--pairs", "--limit", "1")
    page = open_page(served.address("ada"))
    press(page, "j", "j", "Space")
    expect(page.locator(".row[open]")).to_have_count(1)
    press(page, "t", "Escape")
    page.locator("#save").click()
    expect(page.locator("#heading")).to_have_text("All done")
    with served.store() as store:
        assert [label.chosen for label in store.pairs()] == ["tie"]


@pytest.mark.parametrize("kind", ["--steps", "--pairs"])
@pytest.mark.parametrize("width", [1280, 420])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_everywhere(serve: Serve, open_page: Open, kind: str, width: int, scheme: str) -> None:
    """No sideways scrolling, contrast of at least 4.5 to 1, every control with a name, and light differs from dark."""
    served = serve(kind, "--limit", "2")
    page = open_page(served.address("ada"), width=width, scheme=scheme)
    for row in page.locator(".row summary").all()[:4]:
        row.click()
    press(page, "4" if kind == "--steps" else "t")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(CONTRAST) == []
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(ground.removeprefix("rgb(").split(",")[0]) < 60) == (scheme == "dark")
    for control in page.locator("button:visible, input:visible, textarea:visible").all():
        assert control.evaluate("(e) => (e.ariaLabel || e.labels?.[0]?.textContent || e.textContent).trim()")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_name_is_asked_for_and_can_be_changed(serve: Serve, browser: Browser) -> None:
    served = serve("--limit", "2")
    page = browser.new_context().new_page()
    page.goto(served.url)
    page.keyboard.type("  Ada   Lovelace ")
    page.keyboard.press("Enter")
    expect(page.locator("#who")).to_have_text("Ada Lovelace")
    expect(page.locator("#heading")).to_be_focused()
    scored(page, "3", "3", "3", "3", "3")
    page.locator("#who").click()
    page.locator("#name").fill("bob")
    page.keyboard.press("Enter")
    expect(page.locator("#count")).to_have_text("0 done")
    assert list(by_annotator(served)) == ["Ada Lovelace"]
    page.context.close()


def test_ids_tell_nothing(run: Path) -> None:
    step = StepItem.of(run_id="run-7f3a", episode_id="e", task_id="t", step=3)
    pair = PairItem.of("t", ("run-7f3a", "e"), ("run-7f3a", "f"))
    assert pair == PairItem.of("t", ("run-7f3a", "f"), ("run-7f3a", "e"))
    assert re.fullmatch(r"(step|pair)-[0-9a-f]{24}", step.item_id)
    assert re.fullmatch(r"(step|pair)-[0-9a-f]{24}", pair.item_id)
