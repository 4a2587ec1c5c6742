"""Labels on disk: what holds, what is history, and that nothing is lost or mixed up."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError
from trajectory_hub.errors import InfrastructureError, UsageError
from trajectory_hub.rewards.human.labels import POINTS, PairAnswer, PairItem, Save, StepAnswer, StepItem, nearest_point
from trajectory_hub.rewards.human.overview import overview
from trajectory_hub.rewards.human.store import LabelStore
from trajectory_hub.rewards.scores import CRITERIA

STEPS = [StepItem.of(run_id="run", episode_id="t--s0--a1", task_id="t", step=n) for n in range(3)]
PAIR = PairItem.of("t", ("run", "t--s1--a1"), ("run", "t--s0--a1"))
WHOLE = dict.fromkeys(CRITERIA, 0.5)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def step_save(
    key: str, item: StepItem = STEPS[0], annotator: str = "ada", minute: int = 0, **values: float | None
) -> Save:
    answer = StepAnswer(values=WHOLE | values)
    created = BEGIN + timedelta(minutes=minute)
    return Save(key=key, item_id=item.item_id, annotator=annotator, created=created, answer=answer, seconds=2.5)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LabelStore]:
    with LabelStore(tmp_path / "labels.sqlite") as opened:
        opened.register([*STEPS, PAIR])
        yield opened


def test_a_save_gives_one_label_a_criterion(store: LabelStore) -> None:
    assert store.save(step_save("1", tool_choice=None, goal_progress=1.0))
    labels = {label.criterion: label for label in store.steps()}
    assert labels.keys() == set(CRITERIA) - {"tool_choice"}
    assert [each.criterion for each in store.not_applicable()] == ["tool_choice"]
    label = labels["goal_progress"]
    assert (label.run_id, label.episode_id, label.task_id, label.step) == ("run", "t--s0--a1", "t", 0)
    assert (label.value, label.annotator, label.created, label.seconds) == (1.0, "ada", BEGIN, 2.5)


def test_a_pair_is_the_same_whichever_comes_first(store: LabelStore) -> None:
    answer = PairAnswer(chosen="b", left="b")
    store.save(Save(key="1", item_id=PAIR.item_id, annotator="ada", created=BEGIN, answer=answer))
    (label,) = store.pairs()
    assert (label.episode_a, label.episode_b, label.chosen, label.left) == ("t--s0--a1", "t--s1--a1", "b", "b")


def test_what_is_saved_twice_counts_once(store: LabelStore) -> None:
    assert store.save(step_save("1"))
    assert not store.save(step_save("1", goal_progress=0.0))
    assert {label.value for label in store.steps()} == {0.5}


def test_the_last_save_holds_and_undo_goes_back_one(store: LabelStore) -> None:
    store.save(step_save("1", goal_progress=0.0))
    store.save(step_save("2", minute=1, goal_progress=0.25))
    store.save(step_save("other", annotator="bob", minute=2, goal_progress=1.0))

    def progress() -> dict[str, float]:
        return {label.annotator: label.value for label in store.steps() if label.criterion == "goal_progress"}

    assert progress() == {"ada": 0.25, "bob": 1.0}
    undone = store.undo("ada")
    assert undone is not None
    assert undone.key == "2"
    assert progress() == {"ada": 0.0, "bob": 1.0}
    assert store.undo("ada", within=[STEPS[1].item_id]) is None, "saves of other items are left alone"
    assert store.undo("ada") is not None
    assert store.undo("ada") is None
    assert progress() == {"bob": 1.0}
    assert [(save.key, save.withdrawn is not None) for save in store.history()] == [
        ("1", True),
        ("2", True),
        ("other", False),
    ]


def test_an_older_save_that_comes_later_does_not_hold(store: LabelStore) -> None:
    store.save(step_save("new", minute=5, goal_progress=1.0))
    store.save(step_save("old", minute=1, goal_progress=0.0))
    held = store.answer("ada", STEPS[0].item_id)
    assert held is not None
    assert held.key == "new"
    assert store.answered("ada") == {STEPS[0].item_id}
    assert store.answer("ada", STEPS[1].item_id) is None
    assert store.answered("bob") == set()


def test_an_answer_must_fit_a_known_item(store: LabelStore) -> None:
    stranger = StepItem.of(run_id="x", episode_id="y", task_id="z", step=0)
    with pytest.raises(UsageError, match="knows no item"):
        store.save(step_save("1", stranger))
    with pytest.raises(UsageError, match="is a pair"):
        store.save(step_save("1").model_copy(update={"item_id": PAIR.item_id}))
    with pytest.raises(UsageError, match="knows no item"):
        store.save_all([step_save("1"), step_save("2", stranger)])
    assert list(store.history()) == [], "all or none"


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf")])
def test_values_lie_between_0_and_1(value: float) -> None:
    with pytest.raises(ValidationError):
        StepAnswer(values={"goal_progress": value})


def test_criteria_and_names_are_checked() -> None:
    with pytest.raises(ValidationError, match="no criterion; there are goal_progress"):
        StepAnswer(values={"goal": 1.0})
    with pytest.raises(ValidationError):
        step_save("1", annotator="a\x1b[31m")
    with pytest.raises(ValidationError):
        step_save("1", annotator="   ")
    assert step_save("1", annotator=" Ada \t Lovelace ").annotator == "Ada Lovelace"


def test_every_point_has_a_value_and_every_value_a_point() -> None:
    assert [nearest_point(value) for value in POINTS.values()] == [1, 2, 3, 4, 5]
    assert [nearest_point(value) for value in (0.1, 0.3, 0.6, 0.9)] == [1, 2, 3, 5]
    assert nearest_point(0.125) == 1


def test_many_threads_and_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "labels.sqlite"
    code = (
        "import sys\nsys.path.insert(0, sys.argv[3])\n"
        "from test_labels_store import *\nstore = LabelStore(sys.argv[1])\nstore.register(STEPS)\n"
        "for n in range(25):\n    store.save(step_save(f'{sys.argv[2]}-{n}', annotator=sys.argv[2], minute=n))\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    folder = str(Path(__file__).parent)
    processes = [subprocess.Popen([*command, name, folder]) for name in ("ada", "bob")]
    with LabelStore(path) as store:
        store.register(STEPS)
        with ThreadPoolExecutor(4) as pool:
            saves = [step_save(f"t{n}", annotator=f"thread-{n % 4}", minute=n) for n in range(100)]
            assert all(pool.map(store.save, saves))
        assert [process.wait(60) for process in processes] == [0, 0]
        assert len(list(store.history())) == 150
        assert len(list(store.holding())) == 6


def test_labels_are_written_ahead_and_flushed(store: LabelStore) -> None:
    connection = store._db  # pyright: ignore[reportPrivateUsage]
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_files_that_hold_no_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no label file"):
        LabelStore(tmp_path / "absent.sqlite", create=False)
    text = tmp_path / "text"
    text.write_text("no database at all, and long enough to be looked at " * 30)
    with pytest.raises(UsageError, match="cannot be used as a label file"):
        LabelStore(text)
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE t (x)")
    database.close()
    with pytest.raises(UsageError, match="database of another program"):
        LabelStore(other)
    with pytest.raises(UsageError, match="cannot be opened"):
        LabelStore(tmp_path / "no" / "folder" / "labels.sqlite")


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.sqlite"
    LabelStore(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(UsageError, match="has version 99"):
        LabelStore(path)


def test_a_full_disk_is_said_and_nothing_half_is_kept(store: LabelStore) -> None:
    connection = store._db  # pyright: ignore[reportPrivateUsage]
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    saves = [step_save(f"{n}", minute=n).model_copy(update={"note": "x" * 9000}) for n in range(20)]
    with pytest.raises(InfrastructureError, match="was not written"):
        store.save_all(saves)
    assert list(store.history()) == []
    connection.execute("PRAGMA max_page_count = 100000")
    assert store.save(step_save("1"))


def test_figures_of_a_file(store: LabelStore) -> None:
    store.save(step_save("1", tool_choice=None))
    store.save(step_save("2", annotator="bob", minute=1))
    store.save(step_save("3", STEPS[1], annotator="bob", minute=2))
    store.undo("bob")
    answer = PairAnswer(chosen="a", left="a")
    store.save(Save(key="4", item_id=PAIR.item_id, annotator="ada", created=BEGIN, answer=answer))
    found = overview(store)
    assert (found["items"], found["labelled"], found["by several"]) == (4, 2, 1)
    ada, bob = found["annotators"]
    assert (ada["steps"], ada["scores"], ada["not applicable"], ada["pairs"], ada["left"]) == (1, 4, 1, 1, "1 of 1")
    assert (bob["steps"], bob["withdrawn"], bob["median s"]) == (1, 1, 2.5)
