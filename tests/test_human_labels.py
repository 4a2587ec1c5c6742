"""The human study: its formats read as steps, its labels aligned, and our scores held against them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trajectory_hub.benchmarks.detection import area, best_threshold, detect, fit, folds
from trajectory_hub.benchmarks.human_labels import main, measure
from trajectory_hub.benchmarks.human_study import StudyTrajectory, read_study
from trajectory_hub.errors import UsageError
from trajectory_hub.rewards.rubric import Rubric

STUDY = Path(__file__).parents[2] / "shared" / "data" / "llm-agents-study"
THOUGHTS, RESULTS = "thoughts_actions", "results_actions"
ROOT = "/workspace/demo__shop__1.0"
EDITOR = [
    ("Look around first.", f'{{"command": "ls -R {ROOT}"}}', f"ls -R {ROOT}\ncart.py"),
    ("Run it.", '{"command": "python check.py"}', "python check.py\nTraceback:\nValueError: bad cart\n---\nhm"),
    ("None", f'{{"command": "view", "path": "{ROOT}/cart.py"}}', "\n     3\tdef a():\n     4\t    pass"),
    (
        "Fix it; Action={'x'} comes.",
        '{"command": "str_replace", "path": "cart.py", "old_str": "a", "new_str": "b"}',
        "ERROR:\nNo replacement was performed, old_str `a` did not appear verbatim",
    ),
]
REPAIR: list[tuple[str, str, dict[str, Any], str]] = [
    ("Read the lines.", "read_range", {"filepath": "a/B.java", "startline": 3, "endline": 4}, "Line 3:int;\nLine 4:}"),
    ("Search for it.", "search_code_base", {"key_words": ["total", "cart"]}, "returned too much output"),
    ("Conclude.", "express_hypothesis", {"hypothesis": "the total is wrong"}, "state changed"),
    ("Repair it.", "write_fix", {"changes_dicts": [{"file_name": "a/B.java", "modifications": []}]},
     "Lines written successfully\nThere are 2 failing test cases"),
    ("Suggest.", "suggest_fix", {}, "Error: Cannot execute 'suggest_fix': unknown command."),
]  # fmt: skip
SEARCHER = [
    ("Search.", 'search_class("Cart"), search_method("total")', "Found 1 class"),
    ("Think.", "Analyze", "The result is contained in the reasoning"),
    ("<file>shop/cart.py</file> patched", "write_patch", None),
]


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def _listed(calls: list[str]) -> str:
    return "\n".join(f"Action at iteration {number}: {call}" for number, call in enumerate(calls))


def _labels(root: Path, agent: str, task: str, **labels: list[str]) -> None:
    for relation, said in labels.items():
        _put(root / f"{agent}_csv" / relation / f"{task}.csv", "".join(f"{line}\r\n" for line in ["label", *said]))


def _editor(root: Path, task: str = "demo__shop-1") -> None:
    kind = ("execute_bash", "execute_bash", "str_replace_editor", "str_replace_editor")
    calls = [str({"arguments": call, "name": name}) for (_, call, _), name in zip(EDITOR, kind, strict=True)]
    folder = root / "trajectories" / "openhands"
    _put(folder / "actions_actions" / f"{task}.txt", _listed(calls))
    said = [f"Iteration {n}: Thought={EDITOR[n][0]}; Action={call}" for n, call in enumerate(calls)]
    _put(folder / THOUGHTS / f"{task}.txt", "\n---\n".join(said))
    after = [*calls[1:], "END"]
    got = [f"Result at iteration {n}: {EDITOR[n][2]}; Next action: {call}" for n, call in enumerate(after)]
    _put(folder / RESULTS / f"{task}.txt", "\n---\n".join(got))


def _repair(root: Path, task: str = "Shop_1") -> None:
    calls = [str({"name": name, "args": arguments}) for _, name, arguments, _ in REPAIR]
    folder = root / "trajectories" / "repairagent"
    _put(folder / "actions_actions" / f"{task}.txt", _listed(calls))
    said = [
        f"Thought and Action at iteration {n}: Thought={REPAIR[n][0]}; Action={c}\n---\n" for n, c in enumerate(calls)
    ]
    _put(folder / THOUGHTS / f"{task}.txt", "".join(said))
    intro = "The result of executing that last command is:\n Command"
    got = [
        f"Result at iteration {n}: {intro} {REPAIR[n][1]} returned: {REPAIR[n][3]}\n"
        f"; Action at iteration{n + 1} : {call}\n---\n"
        for n, call in enumerate([*calls[1:], "END OF TRAJECTORY"])
    ]
    _put(folder / RESULTS / f"{task}.txt", "".join(got))


def _searcher(root: Path, task: str = "demo__shop-2") -> None:
    folder = root / "trajectories" / "autocoderover"
    calls = [call for _, call, _ in SEARCHER]
    heads = [f"Action at Iteration {n}: {call}\n\n" for n, call in enumerate(calls)]
    _put(folder / "action_actions" / f"{task}.txt", "".join(heads))
    said = [f"Thought at Iteration {n}: {SEARCHER[n][0]}\n{head}" for n, head in enumerate(heads)]
    _put(folder / THOUGHTS / f"{task}.txt", "".join(said))
    got = [f"Result at Iteration {n}: {SEARCHER[n][2]}\n{heads[n + 1]}" for n in range(2)]
    _put(folder / RESULTS / f"{task}.txt", "".join(got))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Three trajectories in the formats of the three agents, each with labels."""
    _editor(tmp_path)
    _labels(
        tmp_path, "openhands", "demo__shop-1",
        action_action=["Follow-up", "Divergence", "Repetition"], thought_action=["Alignment"] * 3 + ["Misalignment"],
        thought_thought=["Follow-up"] * 3,
        result_action=["Triggering", "Informative", "No Influence", "Informative", "Triggering"],
        result_thought=["Follow-up"] * 9,
    )  # fmt: skip
    _repair(tmp_path)
    _labels(
        tmp_path, "repairagent", "Shop_1",
        action_action=["Follow-up"] * 4, thought_action=["Alignment"] * 5, result_thought=["Follow-up"] * 5,
    )  # fmt: skip
    _searcher(tmp_path)
    _labels(
        tmp_path, "autocoderover", "demo__shop-2", action_action=["Follow-up"] * 2, thought_action=["Alignment"] * 2
    )
    return tmp_path


def _by_agent(study: Path) -> dict[str, StudyTrajectory]:
    return {trajectory.agent: trajectory for trajectory in read_study(study)}


def test_calls_become_calls_of_our_tools(study: Path) -> None:
    found = _by_agent(study)
    assert [step.tool for step in found["openhands"].steps] == ["shell", "shell", "file_read", "file_edit"]
    assert [step.tool for step in found["repairagent"].steps] == ["file_read", "search", "think", "file_edit", None]
    assert [step.tool for step in found["autocoderover"].steps] == ["search", "think", "file_edit"]
    shell, edit = found["openhands"].steps[1], found["openhands"].steps[3]
    assert shell.exit_code == 1 and shell.observation == "Traceback:\nValueError: bad cart\n---\nhm"
    assert not edit.ok and edit.error == "not_found"
    assert edit.thought == "Fix it; Action={'x'} comes." and found["openhands"].steps[2].thought is None
    assert found["openhands"].steps[2].data == {"path": f"{ROOT}/cart.py", "start": 3, "end": 4}
    assert found["openhands"].task.workdir == ROOT
    read, search, _, fix, unknown = found["repairagent"].steps
    assert read.data == {"path": "a/B.java", "start": 3, "end": 4} and not search.ok
    assert search.arguments["pattern"] == "total cart" and fix.exit_code == 1 and unknown.malformed
    assert found["autocoderover"].steps[0].arguments["pattern"] == "Cart total"
    assert found["autocoderover"].steps[2].arguments["path"] == "shop/cart.py"
    assert found["autocoderover"].steps[2].observation == ""


def test_labels_belong_to_the_later_step_and_what_does_not_fit_is_told(study: Path) -> None:
    found = _by_agent(study)["openhands"]
    assert found.labels["action_action"] == {1: "Follow-up", 2: "Divergence", 3: "Repetition"}
    assert found.labels["thought_action"][3] == "Misalignment"
    assert found.labels["result_action"] == {1: "Triggering", 2: "Informative", 3: "No Influence"}
    assert "result_thought" not in found.labels
    told = {misfit.relation: (misfit.labels, misfit.surplus) for misfit in found.misfits}
    assert told == {"result_action": (2, True), "result_thought": (9, False)}
    assert next(m.why for m in found.misfits if not m.surplus) == "9 labels for 4 iterations"
    assert {m.relation: m.labels for m in _by_agent(study)["autocoderover"].misfits}["thought_action"] == 2


def test_a_trajectory_that_contradicts_itself_is_told_and_the_others_are_read(study: Path) -> None:
    results = study / "trajectories" / "openhands" / RESULTS / "demo__shop-1.txt"
    results.write_text(results.read_text("utf-8").replace("check.py", "other.py", 1), "utf-8")
    broken = _by_agent(study)["openhands"]
    assert broken.steps == () and broken.misfits[0].relation == "trajectory"
    assert "result 0 is followed by" in broken.misfits[0].why
    assert measure(study)["trajectories"] == 3


def test_a_folder_that_is_no_study_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="no trajectories of the study"):
        next(read_study(tmp_path))
    assert main([str(tmp_path)]) == 2
    assert "no trajectories of the study" in capsys.readouterr().err


def test_the_command_prints_the_same_each_time(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = study / "out.json"
    assert main([str(study), "--json", str(target)]) == 0
    first = capsys.readouterr().out
    written: dict[str, Any] = json.loads(target.read_text("utf-8"))
    assert main([str(study), "--json", str(target)]) == 0
    assert capsys.readouterr().out == first and json.loads(target.read_text("utf-8")) == written
    assert "Labels held against no step" in first and "9 labels for 4 iterations" in first
    assert written["rules_version"] == Rubric().version
    repetition = next(label for label in written["labels"] if label["label"] == "Repetition")
    assert repetition["positives"] == 1 and not repetition["enough"]
    assert set(repetition["scores"]) == {"rules", "criterion", "learnt"}


def test_figures_are_those_of_their_definitions() -> None:
    score = np.array([0.9, 0.8, 0.8, 0.4, 0.2, 0.1])
    label = np.array([True, True, False, False, True, False])
    # pairs: 0.9 beats three; 0.8 beats two and ties one; 0.2 beats one: 3 + 2.5 + 1 of 9
    assert area(score, label) == pytest.approx(6.5 / 9)
    found = detect(score, label, score >= 0.8, np.arange(6))
    assert found.auc == pytest.approx(6.5 / 9)
    assert found.precision == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    assert found.f1 == pytest.approx(2 * 2 / (3 + 3))
    assert found.auc_interval is not None and found.auc_interval[0] < 6.5 / 9 < found.auc_interval[1]
    assert best_threshold(score, label) == 0.2  # F1 is 6/8 there, 4/6 at 0.8
    assert best_threshold(score, np.zeros(6, dtype=bool)) == float("inf")
    assert area(score, np.ones(6, dtype=bool)) is None


def test_intervals_grow_when_items_come_in_clusters() -> None:
    rng = np.random.default_rng(1)
    label = np.repeat(rng.random(20) < 0.5, 10)
    score = label + np.repeat(rng.normal(size=20), 10)
    alone = detect(score, label, score > 1, np.arange(200)).auc_interval
    clustered = detect(score, label, score > 1, np.repeat(np.arange(20), 10)).auc_interval
    assert alone is not None and clustered is not None
    assert clustered[1] - clustered[0] > 2 * (alone[1] - alone[0])


def test_fitted_weights_are_never_negative_and_find_what_matters() -> None:
    rng = np.random.default_rng(2)
    features = rng.random((400, 3))
    label = features[:, 0] - features[:, 1] + 0.1 * rng.normal(size=400) > 0.2
    weights = fit(features, label)
    assert weights[0] > 1.0 and weights[1] == 0.0 and 0.0 <= weights[2] < 0.5 * weights[0]


def test_each_group_is_left_out_once() -> None:
    parts = folds(["a", "b", "a", "c"])
    assert [test.tolist() for _, test in parts] == [
        [True, False, True, False], [False, True, False, False], [False, False, False, True]
    ]  # fmt: skip
    assert all((train ^ test).all() for train, test in parts)


@pytest.mark.skipif(not STUDY.is_dir(), reason="the study's data are not here (see ../shared/data)")
def test_the_rules_say_of_the_study_what_people_say() -> None:
    found = measure(STUDY)
    assert found["trajectories"] == 42 and not [m for m in found["misfits"] if m["relation"] == "trajectory"]
    figures = {(label["relation"], label["label"]): label["scores"] for label in found["labels"]}
    repetition = figures["action_action", "Repetition"]["rules"]["agents"]
    assert repetition["f1"] >= 0.7 and repetition["auc"] >= 0.85
    assert figures["thought_thought", "Redundancy"]["rules"]["agents"]["auc"] >= 0.85
    assert figures["result_thought", "No Influence"]["rules"]["agents"]["auc"] >= 0.85
    assert figures["result_thought", "Misinterpretation"]["rules"]["agents"]["auc"] >= 0.85
    assert figures["thought_action", "Misalignment"]["criterion"]["agents"]["auc"] >= 0.85
