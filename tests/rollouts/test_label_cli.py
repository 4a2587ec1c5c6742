"""`trajhub label` and `trajhub labels` as a user meets them; recorded runs as things to label."""

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.cli import app
from trajectory_hub.errors import TrajHubError, UsageError
from trajectory_hub.rewards.human.labels import PairAnswer, PairItem, Save, StepAnswer, StepItem
from trajectory_hub.rewards.human.sampling import take
from trajectory_hub.rewards.human.store import LabelStore
from trajectory_hub.rewards.scores import CRITERIA
from trajectory_hub.rollouts.label_items import LabelRuns
from typer.testing import CliRunner, Result

from . import label_world as world

RECORDED = Path(__file__).parents[1] / "data" / "runs-1.0"


def trajhub(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, TrajHubError):
        raise result.exception
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result


def choice(*arguments: str | Path) -> list[dict[str, Any]]:
    return json.loads(trajhub("label", *arguments, "--dry-run", "--json").stdout)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return world.write_world(tmp_path)


def test_a_dry_run_says_what_would_be_labelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runs = RECORDED / "reference", RECORDED / "random"
    found = choice(*runs)
    assert len(found) == 49
    assert choice(*runs) == found
    assert choice(*runs, "--limit", "7") == found[:7]
    assert choice(*reversed(runs), "--limit", "7") == found[:7]
    assert choice(*runs, "--limit", "7", "--seed", "1") != found[:7]
    assert {each["task_id"] for each in choice(*runs, "--filter", "*-2")} == {"trajhub__tiny-2"}
    balanced = Counter(each["run_id"] for each in choice(*runs, "--strategy", "outcome", "--limit", "10"))
    assert balanced == {"reference": 5, "random": 5}
    said = trajhub("label", *runs, "--pairs", "--dry-run").stdout
    assert said.startswith("10 to label"), "four trajectories a task; the two of the reference are the same"
    assert list(tmp_path.iterdir()) == []


def test_pairs_are_of_one_task_and_of_different_deeds() -> None:
    runs = LabelRuns([RECORDED / "reference", RECORDED / "random"])
    items = [each.item for each in runs.pairs()]
    assert all(isinstance(item, PairItem) for item in items)
    assert {item.task_id for item in items} == {"trajhub__tiny-1", "trajhub__tiny-2"}
    assert not any(item.run_a == item.run_b == "reference" for item in items if isinstance(item, PairItem))
    strata = Counter(each.outcome for each in runs.pairs())
    assert strata == {"resolved and unresolved": 8, "unresolved and unresolved": 2}


def test_layers_that_disagree_are_found(tmp_path: Path) -> None:
    """The rules give each step of the log the scores of the world; the judge agrees but for one step."""
    steps = world.ordinary()
    judged = [dict(each["scores"]) for each in steps]
    judged[3] |= {"use_of_information": 0.9}
    episodes = [{"task": "t", "seed": 0, "steps": steps, "resolved": True, "judge": judged}]
    episodes.append({"task": "t", "seed": 1, "steps": world.ordinary(fixed=False), "resolved": False})
    runs = LabelRuns([world.write_run(tmp_path / "run", episodes)])
    first, *rest = take(runs.steps(), "disagreement", limit=None, seed=0)
    assert isinstance(first.item, StepItem)
    assert (first.item.step, first.disagreement) == (3, pytest.approx(0.8))
    assert {each.disagreement for each in rest} == {0.0}
    assert len(rest) == len(steps) - 1, "steps that the judge did not see are no choice"
    with pytest.raises(UsageError, match="no scores of a judge"):
        choice(RECORDED / "reference", "--strategy", "disagreement")


def test_a_run_cannot_be_given_twice(run: Path) -> None:
    with pytest.raises(UsageError, match="a second time"):
        LabelRuns([run, run])
    with pytest.raises(UsageError, match="is not a run"):
        LabelRuns([run.parent])


def test_the_command_serves_until_it_is_interrupted(run: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.sqlite"
    command = [sys.executable, "-m", "trajectory_hub", "label", str(run), "--labels", str(labels), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    first = [process.stdout.readline() for _ in range(5)]
    assert first[0] == "19 steps to label. Open this in a browser on this machine:\n"
    assert first[2].startswith("  http://127.0.0.1:")
    assert first[4] == "Every label is saved at once. Ctrl-C ends.\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    assert f"Results: {labels}" in errors
    assert f"Next:    trajhub labels list --labels {labels}" in errors
    with LabelStore(labels, create=False) as store:
        assert sum(1 for _ in store.items()) == 19, "what was chosen is on record, so that it can be exported"


@pytest.fixture
def labels(run: Path, tmp_path: Path) -> Path:
    """A few labels of the run."""
    path = tmp_path / "labels.sqlite"
    runs = LabelRuns([run])
    with LabelStore(path) as store:
        steps, pairs = [each.item for each in runs.steps()][:4], [each.item for each in runs.pairs()]
        store.register([*steps, *pairs])
        for number, item in enumerate(steps[:2]):
            answer = StepAnswer(values=dict.fromkeys(CRITERIA, number / 4))
            store.save(Save(key=f"s{number}", item_id=item.item_id, annotator="ada", created=Save.now(), answer=answer))
        pair = PairAnswer(chosen="a", left="b")
        store.save(Save(key="p", item_id=pairs[0].item_id, annotator="b\u202eob", created=Save.now(), answer=pair))
    return path


def test_labels_are_listed(labels: Path) -> None:
    said = trajhub("labels", "list", "--labels", labels)
    rows = [line.split() for line in said.stdout.splitlines()]
    assert rows[1][:3] == ["annotator", "steps", "scores"]
    assert rows[2][:3] == ["ada", "2", "10"]
    assert "\u202e" not in said.stdout
    assert "6 items, 3 labelled, 0 by more than one person." in said.stdout
    found = json.loads(trajhub("labels", "list", "--labels", labels, "--json").stdout)
    assert [each["annotator"] for each in found["annotators"]] == ["ada", "b\u202eob"]
    with pytest.raises(UsageError, match="there is no label file"):
        trajhub("labels", "list", "--labels", labels.with_name("other"))


@pytest.mark.parametrize("form", ["label-studio", "argilla", "jsonl"])
def test_labels_go_and_come_back(run: Path, labels: Path, tmp_path: Path, form: str) -> None:
    out, other = tmp_path / "out", tmp_path / "other.sqlite"
    said = trajhub("labels", "export", out, "--labels", labels, "--format", form, "--run", run)
    assert said.stdout == "step: 4\npair: 2\n"
    dry = trajhub("labels", "import", out, "--labels", other, "--format", form, "--dry-run")
    assert dry.stdout.startswith("3 saves of 6 items read, 0 of them made there; 0 added.")
    done = json.loads(trajhub("labels", "import", out, "--labels", other, "--format", form, "--json").stdout)
    assert done == {"items": 6, "saves": 3, "made_there": 0, "added": 3, "ignored": []}
    with LabelStore(labels) as sent, LabelStore(other) as returned:
        assert list(sent.history()) == list(returned.history())
        assert list(sent.items()) == list(returned.items())


def test_other_tools_see_the_texts_and_nothing_of_the_source(run: Path, labels: Path, tmp_path: Path) -> None:
    trajhub("labels", "export", tmp_path / "out", "--labels", labels, "--run", run, "--mask", "Duration")
    tasks = json.loads((tmp_path / "out" / "steps" / "tasks.json").read_text())
    shown = json.dumps([task["data"] for task in tasks], ensure_ascii=False)
    assert "▇▇▇.parse" in shown
    assert "Duration" not in shown
    assert [word for word in (*world.SECRETS, "OUTCOME-SECRET", "DATA-SECRET") if word in shown] == []
    assert all(task["predictions"] == [] for task in tasks)
    trajhub("labels", "export", tmp_path / "with", "--labels", labels, "--run", run, "--propose")
    tasks = json.loads((tmp_path / "with" / "steps" / "tasks.json").read_text())
    assert {each["model_version"] for task in tasks for each in task["predictions"]} == {"rules"}


def test_what_cannot_be_done_is_said(run: Path, labels: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--user needs NAME=ID"):
        trajhub("labels", "export", tmp_path / "out", "--labels", labels, "--user", "ada")
    with pytest.raises(UsageError, match="there is no"):
        trajhub("labels", "import", tmp_path / "nothing", "--labels", tmp_path / "new.sqlite")
    assert not (tmp_path / "new.sqlite").exists()
    with pytest.raises(UsageError, match="nothing to label"):
        trajhub("label", run, "--filter", "nothing", "--labels", tmp_path / "new.sqlite", "--port", "0")
