"""`trajhub check` on runs made from other agents' records: tokens, times, duplicates, scores beside the logs."""

from pathlib import Path

from trajectory_hub.eval.checks.finding import CheckReport, Severity
from trajectory_hub.eval.checks.run import check_run
from trajectory_hub.rewards.config import load_config
from trajectory_hub.rewards.recorded import recorded_layer
from trajectory_hub.rollouts import payloads
from trajectory_hub.rollouts.rule_scoring import RuleRun, select
from trajectory_hub.rollouts.score_log import scores_path

from ..rollouts.tables.world import Happening, answered, asked, ended, start, stepped, write_episode

NO_TASKS = "no tasks here"


def episode(timing: str = "recorded") -> list[Happening]:
    """A request, its answer, a call, its result."""
    return [start(timing), asked(1, 0), answered(1, 0, 1), *stepped(0, 1, 2, saw="a.py\nb.py\nc.py"), ended(3)]


def said(report: CheckReport, check: str) -> list[tuple[Severity, str]]:
    return [(one.severity, one.message) for one in report.findings if one.check == check]


def test_a_sound_record_has_no_finding_of_these(tmp_path: Path) -> None:
    write_episode(tmp_path / "run", episode())
    report = check_run(tmp_path / "run", NO_TASKS)
    assert {report.checks[name] for name in ("tokens", "times", "duplicates", "rescored")} == {0}


def test_tokens_that_cannot_be_are_named(tmp_path: Path) -> None:
    usage = payloads.Usage(input_tokens=10, cached_input_tokens=20, output_tokens=5, reasoning_tokens=6)
    wrong = payloads.LlmResponse.of(request_id="r1", content="x", usage=usage)
    total = payloads.Usage(input_tokens=11, output_tokens=5)
    happenings = [start("recorded"), asked(1, 0), (wrong, 0.0, 1.0), ended(3, usage=total)]
    write_episode(tmp_path / "run", happenings)
    found = said(check_run(tmp_path / "run", NO_TASKS), "tokens")
    assert [severity for severity, _ in found] == [Severity.WARNING] * 3
    assert "20 prompt tokens are of the cache, of 10 in all" in found[0][1]
    assert "6 tokens are reasoning, of 5 generated" in found[1][1]
    assert "the end says 11 input tokens; the answers add up to 10" in found[2][1]


def test_our_own_record_must_not_contradict_itself(tmp_path: Path) -> None:
    wrong = payloads.LlmResponse.of(request_id="r1", content="x", usage=payloads.Usage(input_tokens=-1))
    write_episode(tmp_path / "run", [start(), asked(1, 0), (wrong, 0.0, 1.0), ended(3)])
    assert said(check_run(tmp_path / "run", NO_TASKS), "tokens") == [(Severity.ERROR, "input tokens are -1")]


def test_an_answer_before_its_question_is_named_where_times_are_known(tmp_path: Path) -> None:
    for timing, findings in (("recorded", 1), ("none", 0)):
        call, result = stepped(0, 5, 6, saw="x")
        early = (result[0], 1.0, 2.0)
        write_episode(tmp_path / timing, [start(timing), call, early, ended(7)])
        found = said(check_run(tmp_path / timing, NO_TASKS), "times")
        assert len(found) == findings
        assert all("3.000 s before it was asked" in message for _, message in found)


def test_one_session_under_two_names_is_a_duplicate_and_two_bare_outcomes_are_none(tmp_path: Path) -> None:
    run = tmp_path / "run"
    write_episode(run, episode(), "a--s0--a1", task_id="one")
    write_episode(run, episode(), "b--s0--a1", task_id="another")
    for name in ("c", "d"):
        write_episode(run, [start("none"), ended(1)], f"{name}--s0--a1", task_id="bare")
    assert said(check_run(run, NO_TASKS), "duplicates") == [(Severity.WARNING, "the same episode as b--s0--a1")]


def test_scores_beside_the_log_are_made_again(tmp_path: Path) -> None:
    run = tmp_path / "run"
    write_episode(run, episode())
    plain = load_config(None).model_copy(update={"privileged": False})
    RuleRun(run, plain, {}).score(select(run), lambda summary: None)
    assert not said(check_run(run, NO_TASKS), "rescored")
    path = scores_path(run, recorded_layer())
    text = path.read_text()
    reward = text.split('"reward":')[1].split(",")[0]
    path.write_text(text.replace(f'"reward":{reward}', '"reward":0.123'))
    found = said(check_run(run, NO_TASKS), "rescored")
    assert found == [(Severity.ERROR, f"scores say 0.123; the rules give {reward}")]
    RuleRun(run, plain.model_copy(update={"outcome_weight": 0.5}), {}).score(select(run), lambda summary: None)
    assert [severity for severity, _ in said(check_run(run, NO_TASKS), "rescored")] == [Severity.NOTE]
