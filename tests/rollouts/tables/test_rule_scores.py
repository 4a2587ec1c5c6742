"""`trajhub trace score`: any run's steps are scored beside its log, and tables read what was scored."""

import json
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.cli import app
from trajectory_hub.errors import ConfigError, UsageError
from trajectory_hub.rewards.config import load_config
from trajectory_hub.rewards.recorded import recorded_layer
from trajectory_hub.rollouts import payloads, rule_scoring
from trajectory_hub.rollouts.log_file import EVENTS
from trajectory_hub.rollouts.rule_log import RuleLog
from trajectory_hub.rollouts.rule_scoring import RuleRun, select
from trajectory_hub.rollouts.score_log import episode_worth, read_scores, scored_layers, scores_path
from trajectory_hub.rollouts.tables.build import build_tables
from trajectory_hub.rollouts.tables.query import ask, open_tables
from typer.testing import CliRunner

from .world import Happening, ended, start, stepped, write_episode

_EDIT = {"file_path": "/testbed/src/a.py", "old_string": "x = 1", "new_string": "x = 2"}


def _steps(*, saw: bool = True) -> list[Happening]:
    """An agent reads, changes and tests."""

    def shown(text: str) -> str:
        return text if saw else ""

    return [
        start("recorded", task={"problem_statement": "x of src/a.py is wrong"}),
        *stepped(0, 0, 1, tool="Read", arguments={"file_path": "/testbed/src/a.py"}, saw=shown("     1\tx = 1")),
        *stepped(1, 1, 2, tool="Edit", arguments=_EDIT, saw=shown("The file has been updated.")),
        *stepped(2, 2, 3, command="pytest -q", saw=shown("3 passed in 0.1s")),
        *stepped(3, 3, 4, command="pytest -q", saw=shown("3 passed in 0.1s")),
        ended(5),
    ]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Three foreign episodes: one that is told, one whose results are not, one without steps."""
    folder = tmp_path / "run"
    write_episode(folder, _steps(), "a--s0--a1")
    write_episode(folder, _steps(saw=False), "b--s0--a1", task_id="other")
    write_episode(folder, [start("none"), ended(1)], "c--s0--a1", task_id="bare")
    return folder


def _score(run: Path, **options: Any) -> RuleRun:
    work = RuleRun(run, load_config(None), {}, force=options.pop("force", False))
    work.score(select(run, **options), lambda summary: None)
    return work


def test_each_step_has_a_score_with_its_rules_and_their_evidence(run: Path) -> None:
    summary = _score(run).summary
    assert (summary.episodes, summary.steps, summary.scored, summary.kept) == (3, 8, 4, 0)
    assert dict(summary.unscored) == {
        "the record does not say what its tools answered": 1,
        "the record has no steps": 1,
    }
    rows = [row for row in read_scores(run, recorded_layer()) if row.episode_id == "a--s0--a1"]
    assert [row.step for row in rows] == [0, 1, 2, 3]
    assert rows[0].reward is not None and rows[3].reward is not None and rows[0].reward > rows[3].reward
    again = rows[3].criteria["non_redundancy"]
    assert again.score == 0.0
    assert next(rule for rule in again.rules if rule.rule == "asks_something_new").evidence.startswith("step 2 asked")
    assert rows[-1].process is not None and rows[-1].process > (rows[0].process or 0)
    assert scored_layers(run) == [recorded_layer()]


def test_the_log_stays_as_it_is_and_scores_come_out_the_same(run: Path) -> None:
    before = {path: path.read_bytes() for path in run.glob(f"episodes/*/{EVENTS}")}
    path = _score(run).path
    first = path.read_bytes()
    path.unlink()
    assert _score(run).path.read_bytes() == first
    assert {path: path.read_bytes() for path in before} == before


def test_what_is_current_is_kept_and_what_changed_is_scored_again(run: Path) -> None:
    path = _score(run).path
    first = path.read_bytes()
    assert _score(run).summary.kept == 2
    assert path.read_bytes() == first
    write_episode(run, _steps()[:-1], "b2--s0--a1", task_id="new")
    later = _score(run)
    assert (later.summary.kept, later.summary.episodes) == (2, 4)
    assert _score(run, force=True).summary.kept == 0
    assert first.splitlines()[0] in path.read_bytes().splitlines()


def test_a_filter_leaves_the_other_episodes_scores_alone(run: Path) -> None:
    first = _score(run).path.read_bytes()
    assert _score(run, task_filter="task", force=True).summary.episodes == 1
    assert scores_path(run, recorded_layer()).read_bytes() == first
    assert _score(run, limit=1).summary.episodes == 1
    assert scores_path(run, recorded_layer()).read_bytes() == first


def test_processes_give_what_one_gives(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = _score(run).path.read_bytes()
    monkeypatch.setattr(rule_scoring, "_ALONE", 0)
    work = RuleRun(run, load_config(None), {}, force=True)
    work.score(select(run), lambda summary: None, max_workers=2)
    assert work.path.read_bytes() == alone


def test_interrupted_it_keeps_what_it_has_and_goes_on(run: Path) -> None:
    whole = _score(run).path.read_bytes()
    scores_path(run, recorded_layer()).unlink()
    work = RuleRun(run, load_config(None), {})
    work.score(select(run), lambda summary: work.interrupt())
    assert work.summary.episodes < 3
    assert _score(run).summary.kept >= 1
    assert scores_path(run, recorded_layer()).read_bytes() == whole


def test_two_cannot_score_one_run_at_once(run: Path) -> None:
    with RuleLog(run), pytest.raises(ConfigError, match="another process"):
        _score(run)


def test_a_damaged_file_of_scores_is_named(run: Path) -> None:
    path = _score(run).path
    path.write_text("{}\n")
    with pytest.raises(UsageError, match="line 1 is no score"):
        _score(run)


def test_a_damaged_log_is_told_and_the_others_are_scored(run: Path) -> None:
    log = run / "episodes" / "b--s0--a1" / EVENTS
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([lines[0], b"no event\n", *lines[1:]]))
    summary = _score(run).summary
    assert len(summary.problems) == 1 and "b--s0--a1" in summary.problems[0]
    assert summary.scored == 4


def test_a_patch_that_no_step_explains_leaves_the_whole_without_a_score(tmp_path: Path) -> None:
    run = tmp_path / "run"
    patch = payloads.FinalPatch.of(patch="p", sha256="0" * 64, files=("src/b.py",), lines_added=1, lines_removed=0)
    submit = stepped(1, 1, 2, tool="finish", arguments={"message": "done"}, saw="bye")
    write_episode(run, [start("recorded"), *stepped(0, 0, 1, saw="a  b"), *submit, (patch, 2, 2), ended(3)])
    summary = _score(run).summary
    assert sum(summary.no_process.values()) == 1
    first, last = read_scores(run, recorded_layer())
    assert first.reward is not None and first.process is None
    assert last.reward is None and "goal_progress" not in last.criteria


def test_tables_hold_the_scores_and_are_built_again_when_these_change(run: Path) -> None:
    with open_tables([run]) as connection:
        assert ask(connection, "SELECT count(mean_reward), count(scored_by) FROM episodes").rows == [(0, 0)]
    _score(run)
    question = (
        "SELECT e.scored_by, e.process_score, abs(avg(s.reward) - any_value(e.mean_reward)) < 2e-6 FROM episodes e "
        "JOIN steps s USING (episode_id) WHERE e.mean_reward IS NOT NULL GROUP BY ALL"
    )
    last = [row for row in read_scores(run, recorded_layer()) if row.episode_id == "a--s0--a1"][-1]
    with open_tables([run]) as connection:
        assert ask(connection, question).rows == [(recorded_layer(), last.process, True)]
    assert build_tables(run).built is None
    scores_path(run, recorded_layer()).unlink()
    assert build_tables(run).built == "older than the scores"


def test_what_a_log_itself_says_of_its_worth_counts(recorded: Path) -> None:
    question = "SELECT episode_id, mean_reward, process_score, scored_by FROM episodes ORDER BY 1"
    with open_tables([recorded]) as connection:
        before = ask(connection, question).rows
    assert all(row[3] for row in before)
    summary = _score(recorded).summary
    assert summary.scored > summary.steps / 2 > 0
    with open_tables([recorded]) as connection:
        assert ask(connection, question).rows == before


def test_a_layer_that_scores_the_whole_says_what_episodes_are_worth(run: Path) -> None:
    _score(run)
    last = [row for row in read_scores(run, recorded_layer()) if row.episode_id == "a--s0--a1"][-1]
    assert episode_worth(run, recorded_layer()) == {"a--s0--a1": last.process}


def test_on_the_command_line(run: Path) -> None:
    done = CliRunner().invoke(app, ["trace", "score", str(run), "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)[0]
    assert told["layer"] == recorded_layer()
    assert (told["scored"], told["steps"]) == (4, 8)
    shown = CliRunner().invoke(app, ["trace", "score", str(run), "--show", "a--s0:3"])
    assert shown.exit_code == 0
    assert "asks_something_new: step 2 asked" in shown.stdout
    for wrong in (["--filter", "nothing"], ["--show", "nobody"]):
        assert isinstance(CliRunner().invoke(app, ["trace", "score", str(run), *wrong]).exception, UsageError)
