"""Labels go to Label Studio and Argilla and come back; what those tools' own code wrote is read."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from trajectory_hub.errors import UsageError
from trajectory_hub.rewards.human.exchange import deposit, identity
from trajectory_hub.rewards.human.files import read_labels, write_labels
from trajectory_hub.rewards.human.labels import PairAnswer, PairItem, Save, Side, StepAnswer, StepItem
from trajectory_hub.rewards.human.store import LabelStore
from trajectory_hub.rewards.scores import CRITERIA

DATA = Path(__file__).parents[1] / "data" / "labels"
FORMS = ("label-studio", "argilla", "jsonl")
STEPS = [StepItem.of(run_id="run", episode_id="t--s0--a1", task_id="t", step=n) for n in range(3)]
PAIRS = [PairItem.of("t", ("run", f"t--s{n}--a1"), ("run", f"t--s{n + 1}--a1")) for n in range(4)]
VALUES: dict[str, float | None] = dict(zip(CRITERIA, (0.0, 0.25, 0.5, 0.75, 1.0), strict=True))
BEGIN = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
ROWS: tuple[tuple[StepItem | PairItem, str, StepAnswer | PairAnswer, str, float | None], ...] = (
    (STEPS[0], "ada", StepAnswer(values=VALUES), "first\nline", 3.5),
    (STEPS[0], "ada", StepAnswer(values=VALUES | {"tool_choice": None}), "", 4.0),
    (STEPS[0], "Bob Ärger", StepAnswer(values=VALUES | {"tool_choice": 0.3}), "<b>&amp;", None),
    (STEPS[1], "ada", StepAnswer(values={"goal_progress": 1.0}), "", None),
    (PAIRS[0], "ada", PairAnswer(chosen="a", left="b"), "", 1.0),
    (PAIRS[0], "Bob Ärger", PairAnswer(chosen="b"), "", None),
    (PAIRS[1], "ada", PairAnswer(chosen="tie", left="a"), "equal", None),
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LabelStore]:
    """Labels of every kind: re-labelled, withdrawn, between two points, of two annotators, and items without any."""
    with LabelStore(tmp_path / "labels.sqlite") as opened:
        opened.register([*STEPS, *PAIRS])
        for number, (item, name, answer, note, seconds) in enumerate(ROWS):
            created = BEGIN + timedelta(seconds=number)
            opened.save(
                Save(key=f"key-{number}", item_id=item.item_id, annotator=name, created=created, answer=answer,
                     note=note, seconds=seconds)
            )  # fmt: skip
        assert opened.undo("Bob Ärger") is not None
        yield opened


def everything(store: LabelStore) -> tuple[Any, ...]:
    history = sorted(store.history(), key=lambda save: save.key)
    labels = [sorted(map(str, each)) for each in (store.steps(), store.not_applicable(), store.pairs())]
    return (history, list(store.items()), *labels)


def back(source: Path, form: str, path: Path, users: dict[str, str] | None = None) -> LabelStore:
    """A new store with what a file brings."""
    store = LabelStore(path)
    arrived = read_labels(source, form, users)
    assert arrived.ignored == []
    deposit(arrived, store)
    return store


@pytest.mark.parametrize("form", FORMS)
def test_nothing_we_hold_is_lost_on_the_way_and_back(store: LabelStore, form: str, tmp_path: Path) -> None:
    assert write_labels(store, tmp_path / "out", form) == {"step": 3, "pair": 4}
    with back(tmp_path / "out", form, tmp_path / "back.sqlite") as returned:
        assert everything(returned) == everything(store)
        again = read_labels(tmp_path / "out", form)
        assert deposit(again, returned) == 0, "what is known is not added twice"
        assert deposit(again, store) == 0
        assert everything(returned) == everything(store)


@pytest.mark.parametrize("form", FORMS)
def test_a_store_without_labels_can_be_sent_to_be_labelled(form: str, tmp_path: Path) -> None:
    with LabelStore(tmp_path / "empty.sqlite") as empty:
        empty.register(STEPS)
        write_labels(empty, tmp_path / "out", form)
    with back(tmp_path / "out", form, tmp_path / "back.sqlite") as returned:
        assert {item.item_id for item in returned.items()} == {item.item_id for item in STEPS}
        assert list(returned.history()) == []


def tasks_of(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "steps" / "tasks.json").read_text())


def test_what_is_answered_in_label_studio_comes_back_as_new(store: LabelStore, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_labels(store, out, "label-studio", users={"ada": "ada@example.org", "Bob Ärger": "7"})
    tasks = tasks_of(out)
    first = next(task for task in tasks if task["data"]["item_id"] == STEPS[0].item_id)
    assert [each["completed_by"] for each in first["annotations"]] == [{"email": "ada@example.org"}, 7]
    first["annotations"][0]["result"][0]["value"]["choices"] = ["5"]
    first["annotations"][0] |= {"updated_by": 7, "updated_at": "2026-02-01T00:00:00.123456Z", "lead_time": 12.5}
    free = next(task for task in tasks if not task["annotations"])
    made = [{"from_name": name, "to_name": "step", "type": "choices", "value": {"choices": ["2"]}} for name in CRITERIA]
    made.append({"from_name": "note", "to_name": "step", "type": "textarea", "value": {"text": ["one", "two"]}})
    new = {"result": made, "completed_by": {"id": 3, "email": "eve@example.org"}, "created_at": "2026-02-02T00:00:00Z"}
    skipped: dict[str, Any] = {"result": [], "was_cancelled": True, "completed_by": 9}
    free["annotations"] = [new, skipped, {"result": [], "completed_by": 4}]
    (out / "steps" / "tasks.json").write_text(json.dumps(tasks))
    arrived = read_labels(out, "label-studio", {"ada": "ada@example.org", "Bob Ärger": "7"})
    assert arrived.new == 2
    assert arrived.ignored == [
        f"an answer of Label Studio user 4 to {free['data']['item_id']} is empty or not one of ours"
    ]
    assert deposit(arrived, store) == 2
    changed, answered = [save for save in store.history() if not save.key.startswith("key-")]
    assert (changed.annotator, changed.seconds) == ("Bob Ärger", 12.5), "who changed it says it"
    assert isinstance(changed.answer, StepAnswer)
    assert changed.answer.values["goal_progress"] == 1.0
    assert changed.created.isoformat() == "2026-02-01T00:00:00.123456+00:00"
    assert (answered.annotator, answered.note) == ("Label Studio user eve@example.org", "one\ntwo")
    assert isinstance(answered.answer, StepAnswer)
    assert set(answered.answer.values.values()) == {0.25}
    held = store.answer("ada", STEPS[0].item_id)
    assert held is not None
    assert held.key == "key-1", "what ada said in our file is not touched"
    assert deposit(read_labels(out, "label-studio", {"Bob Ärger": "7"}), store) == 0


def test_a_task_that_lost_its_meta_is_known_by_its_item(store: LabelStore, tmp_path: Path) -> None:
    write_labels(store, tmp_path / "out", "label-studio")
    tasks = tasks_of(tmp_path / "out")
    for task in tasks:
        del task["meta"]
    path = tmp_path / "export.json"
    path.write_text(json.dumps(tasks))
    known = {item.item_id: item for item in store.items()}
    arrived = read_labels(path, "label-studio", known=known)
    assert (len(arrived.items), arrived.new, arrived.ignored) == (3, 3, [])
    strange = read_labels(path, "label-studio")
    assert len(strange.ignored) == 3
    assert "task 1 is none of ours" in strange.ignored[0]


def test_what_is_answered_in_argilla_comes_back_as_new(store: LabelStore, tmp_path: Path) -> None:
    out, users = tmp_path / "out", {"ada": "11111111-1111-4111-8111-111111111111"}
    write_labels(store, out, "argilla", users=users)
    path = out / "steps" / "records.json"
    rows = json.loads(path.read_text())
    first = next(row for row in rows if row["id"] == STEPS[0].item_id)
    by = [each["user_id"] for each in first["responses"]["goal_progress"]]
    assert by == [users["ada"], str(identity("Bob Ärger"))]
    for response in first["responses"]["goal_progress"]:
        response["value"] = "4"
        del response["status"]  # as argilla's own to_dict leaves it
    free = next(row for row in rows if not row["responses"])
    stranger = "22222222-2222-4222-8222-222222222222"
    one = {"value": "does not apply", "user_id": stranger, "status": "submitted"}
    draft = {"value": "1", "user_id": users["ada"], "status": "draft"}
    free["responses"] = {"goal_progress": [one, draft], "tool_choice": [one | {"value": "5"}], "unknown": [one]}
    path.write_text(json.dumps(rows))
    arrived = read_labels(out, "argilla", users)
    assert (arrived.new, arrived.ignored) == (3, [])
    assert deposit(arrived, store) == 3
    made = {save.annotator: save for save in store.history() if not save.key.startswith("key-")}
    assert made.keys() == {"ada", "Bob Ärger", f"Argilla user {stranger}"}
    values = [save.answer.values for save in made.values() if isinstance(save.answer, StepAnswer)]
    assert [each["goal_progress"] for each in values] == [0.75, 0.75, None]
    assert values[2] == {"goal_progress": None, "tool_choice": 1.0}
    assert deposit(read_labels(out, "argilla", users), store) == 0


def test_which_side_is_shown_makes_no_difference(store: LabelStore, tmp_path: Path) -> None:
    """A pair that says its sides in the text comes back right, whichever was put on the left."""
    shown = dict[str, Side]()

    def texts(item: StepItem | PairItem, left: Side) -> dict[str, str]:
        shown[item.item_id] = left
        return {"statement": "s", "left": f"shows {left}", "right": "the other", "before": "", "step": ""}

    write_labels(store, tmp_path / "out", "label-studio", texts)
    path = tmp_path / "out" / "pairs" / "tasks.json"
    tasks = json.loads(path.read_text())
    assert {shown[task["data"]["item_id"]] for task in tasks} == {"a", "b"}
    result = {"from_name": "choice", "to_name": "right", "type": "choices", "value": {"choices": ["left"]}}
    for task in tasks:
        assert task["data"]["left"] == f"shows {shown[task['data']['item_id']]}"
        task["annotations"] = [{"id": 5, "result": [result], "completed_by": 1}]
    path.write_text(json.dumps(tasks))
    arrived = read_labels(tmp_path / "out" / "pairs", "label-studio")
    made = {save.item_id: save.answer for save in arrived.saves if save.key.startswith("label-studio")}
    assert {name: answer.chosen for name, answer in made.items() if isinstance(answer, PairAnswer)} == {
        item.item_id: shown[item.item_id] for item in PAIRS
    }


def test_proposals_are_sent_on_request_and_never_come_back_as_labels(store: LabelStore, tmp_path: Path) -> None:
    for form, name in (("label-studio", "predictions"), ("argilla", "suggestions")):
        write_labels(store, tmp_path / form, form, scores_of=lambda _: {"goal_progress": 0.8})
        rows = json.loads(next((tmp_path / form / "steps").glob("*.json")).read_text())
        assert all(row[name] for row in rows)
        arrived = read_labels(tmp_path / form / "steps", form)
        assert arrived.new == 0
        assert all("no labels of people" in sentence for sentence in arrived.ignored)
    write_labels(store, tmp_path / "plain", "label-studio")
    assert not any(task["predictions"] for task in tasks_of(tmp_path / "plain"))


def test_the_configuration_asks_what_the_tasks_answer(store: LabelStore, tmp_path: Path) -> None:
    write_labels(store, tmp_path / "out", "label-studio")
    for kind in ("steps", "pairs"):
        view = ElementTree.parse(tmp_path / "out" / kind / "config.xml").getroot()
        shown = {text.attrib["name"]: text.attrib["value"] for text in view.iter("Text")}
        choices = {
            each.attrib["name"]: [c.attrib["value"] for c in each.iter("Choice")] for each in view.iter("Choices")
        }
        for task in json.loads((tmp_path / "out" / kind / "tasks.json").read_text()):
            assert {value.removeprefix("$") for value in shown.values()} <= task["data"].keys()
            for result in (each for annotation in task["annotations"] for each in annotation["result"]):
                assert result["to_name"] in shown
                if result["type"] == "choices":
                    assert result["value"]["choices"][0] in choices[result["from_name"]]


@pytest.mark.parametrize("form", ["label-studio", "argilla"])
def test_what_the_tools_themselves_wrote_is_read(form: str) -> None:
    """Exports made by those tools from a file of ours (see the README beside them), in which one answer was changed."""
    arrived = read_labels(DATA / form, form)
    assert (len(arrived.items), arrived.new, arrived.ignored) == (7, 1, [])
    changed = [save for save in arrived.saves if not save.key.startswith("key-")]
    assert [type(save.answer) for save in changed] == [StepAnswer]
    untouched = {save.key for save in arrived.saves if save.key.startswith("key-")}
    assert untouched == {f"key-{number}" for number in range(7)} - {"key-3"}


def test_damage_is_named(store: LabelStore, tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    for text in ("{", '{"a": 1}', "[1]"):
        broken.write_text(text)
        with pytest.raises(UsageError, match=r"broken\.json: this is not a JSON export of Label Studio"):
            read_labels(broken, "label-studio")
        with pytest.raises(UsageError, match=r"broken\.json: this is no records\.json of Argilla 2"):
            read_labels(broken, "argilla")
        with pytest.raises(UsageError, match="line 1 is no item"):
            read_labels(broken, "jsonl")
    with pytest.raises(UsageError, match="is not there"):
        read_labels(tmp_path / "nothing", "argilla")
    write_labels(store, tmp_path / "out", "label-studio")
    with pytest.raises(UsageError, match="is there already"):
        write_labels(store, tmp_path / "out", "label-studio")
    tasks = tasks_of(tmp_path / "out")
    tasks[0]["meta"]["trajhub"]["item"]["step"] += 1
    broken.write_text(json.dumps(tasks))
    with pytest.raises(UsageError, match="is not the id of what it should stand for"):
        read_labels(broken, "label-studio")
