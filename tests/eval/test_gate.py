"""The decision: GO when shown, NO-GO when not, and no decision on what cannot be relied on."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.envs.verdict import CanaryKind, CanaryReport, CanaryResult, Reason
from trajectory_hub.errors import Failure, StopReason, UsageError
from trajectory_hub.eval.gate import GateConfig, GateReport, TooMuchExcluded, Unusable, compare, gate
from trajectory_hub.rollouts.episode_place import EpisodeFolder
from trajectory_hub.rollouts.files import write_json
from trajectory_hub.rollouts.migrate import migrate_run
from trajectory_hub.rollouts.run_dir import EPISODES, MANIFEST, episode_name
from trajectory_hub.rollouts.verdicts import write_verdict_files

from .graded import PATCH, Outcome, graded_episode, graded_run, judge, tasks, verdict

OLD = Path(__file__).parents[1] / "data" / "runs-1.0"
COUNT = 24
Make = Callable[..., Path]


def weak(index: int, seed: int) -> Outcome:
    """A quarter of the tasks."""
    return index % 4 == 0


def strong(index: int, seed: int) -> Outcome:
    """Three quarters of the tasks, all of the weak one's among them."""
    return index % 4 != 3


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return graded_run(tmp_path_factory.mktemp("gate") / "base", COUNT, weak)


@pytest.fixture(scope="module")
def better(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return graded_run(tmp_path_factory.mktemp("gate") / "better", COUNT, strong)


@pytest.fixture
def copy(better: Path, tmp_path: Path) -> Path:
    """The better run, to be tampered with."""
    return Path(shutil.copytree(better, tmp_path / "better"))


def decide(base: Path, candidate: Path, **config: Any) -> GateReport:
    return gate([base], [candidate], GateConfig(**config))


def episode(run: Path, index: int, attempt: int = 1) -> Path:
    return run / EPISODES / episode_name(tasks(COUNT)[index], 0, attempt)


def edit(run: Path, **changes: Any) -> None:
    """Change `run.json`."""
    write_json(run / MANIFEST, json.loads((run / MANIFEST).read_text()) | changes)


def test_a_clear_gain_is_go(base: Path, better: Path) -> None:
    report = decide(base, better)
    one = report.best
    assert (report.decision, report.gain) == ("GO", 0.5)
    assert report.interval[0] > 0.2
    assert (one.pairs_gained, one.pairs_lost, one.tasks) == (12, 0, COUNT)
    assert one.mcnemar is not None and one.mcnemar.p_value == pytest.approx(2 / 2**12)
    assert one.p_permutation == pytest.approx(one.mcnemar.p_value)
    assert {each.task for each in one.gained} == {name for i, name in enumerate(tasks(COUNT)) if i % 4 in (1, 2)}
    assert all(Path(each.candidate_episodes[0], "events.jsonl").exists() for each in one.gained)


def test_a_loss_and_no_difference_are_no_go(base: Path, better: Path, tmp_path: Path) -> None:
    assert decide(better, base).decision == "NO-GO"
    same = graded_run(tmp_path / "same", COUNT, weak)
    report = decide(base, same)
    assert (report.decision, report.gain) == ("NO-GO", 0.0)
    assert report.interval[0] < 0 < report.interval[1]


def test_a_small_gain_is_no_go_although_it_is_positive(base: Path, tmp_path: Path) -> None:
    little = graded_run(tmp_path / "little", COUNT, lambda i, s: i % 4 == 0 or i < 3)
    report = decide(base, little)
    assert report.gain > 0.03
    assert report.decision == "NO-GO"
    assert any("does not show that there is no gain" in one for one in report.cautions)


def test_min_gain_is_a_floor_for_the_measured_gain_or_for_the_interval(base: Path, better: Path) -> None:
    low = decide(base, better).interval[0]
    assert decide(base, better, min_gain=0.49).decision == "GO"
    assert decide(base, better, min_gain=0.51).decision == "NO-GO"
    strict = {"rule": "exceeds_min_gain"}
    assert decide(base, better, min_gain=low - 0.01, **strict).decision == "GO"
    assert decide(base, better, min_gain=low + 0.01, **strict).decision == "NO-GO"


def test_seeds_are_averaged_within_a_task_and_pass_k_is_told(tmp_path: Path) -> None:
    base = graded_run(tmp_path / "base", 12, lambda i, s: s == 0 and i < 6, seeds=4)
    better = graded_run(tmp_path / "better", 12, lambda i, s: s < 2, seeds=4)
    report = gate([base], [better])
    one = report.best
    assert one.gain == pytest.approx(0.5 - 0.125)
    assert one.mcnemar is None
    assert [(rate.k, rate.at, rate.all) for rate in one.side.passes] == [
        (1, 0.5, 0.5),
        (2, pytest.approx(1 - 1 / 6), pytest.approx(1 / 6)),
        (4, 1.0, 0.0),
    ]
    assert one.power.within is not None and set(one.power.tasks_needed) == {1, 2, 4, 8, 16}


def test_several_runs_of_a_side_are_averaged(base: Path, better: Path, tmp_path: Path) -> None:
    other = graded_run(tmp_path / "other", COUNT, weak)
    report = gate([base], [better, other])
    assert report.gain == pytest.approx(0.25)
    assert report.best.by_run == (0.5, 0.0)
    assert any("Between runs the gain varies" in one for one in report.cautions)


def test_who_does_not_submit_may_be_counted_as_not_resolved(base: Path, copy: Path) -> None:
    shutil.rmtree(episode(copy, 1))
    graded_episode(copy, tasks(COUNT)[1], 0, True, stop=StopReason.STEP_LIMIT)
    assert decide(base, copy).gain == 0.5
    report = decide(base, copy, submitted=True)
    assert report.gain == pytest.approx(11 / 24)
    assert report.command.endswith("--submitted")


def test_several_candidates_share_alpha(base: Path, better: Path, tmp_path: Path) -> None:
    middling = graded_run(tmp_path / "middling", COUNT, lambda i, s: i % 4 == 0 or i < 8)
    assert decide(base, middling).decision == "GO"
    p_value = decide(base, middling).p_value
    others = {f"same{n}": [graded_run(tmp_path / f"same{n}", COUNT, weak)] for n in range(2)}
    report = compare([base], {"middling": [middling], "better": [better], **others})
    found = {one.side.name: one for one in report.candidates}
    assert [found[name].decision for name in ("better", "middling", "same0")] == ["GO", "NO-GO", "NO-GO"]
    assert found["middling"].p_adjusted == pytest.approx(3 * p_value)
    assert found["better"].level == pytest.approx(1 - 0.05 / 4)
    assert report.best.side.name == "better"


# What infrastructure spoilt is left out and told ---------------------------------------------------------------------


def test_infrastructure_failures_do_not_count(base: Path, tmp_path: Path) -> None:
    spoilt = graded_run(tmp_path / "spoilt", COUNT, lambda i, s: Failure.SERVICE if i == 1 else strong(i, s))
    one = decide(base, spoilt).best
    assert (one.side.excluded, one.side.counted, one.pairs_dropped) == ({"service": 1}, COUNT - 1, 1)
    assert one.gain == pytest.approx(11 / 23)
    assert one.worst_case == pytest.approx(11 / 24)


@pytest.mark.parametrize("blamed", [Failure.ENVIRONMENT, Failure.SERVICE, Failure.GRADER])
def test_too_many_of_them_leave_no_decision(base: Path, tmp_path: Path, blamed: Failure) -> None:
    spoilt = graded_run(tmp_path / "spoilt", COUNT, lambda i, s: blamed if i % 4 == 3 else True)
    with pytest.raises(TooMuchExcluded, match=f"6 of 24 episodes do not count .6 {blamed}"):
        decide(base, spoilt)


def test_a_forged_report_counts_against_the_model(base: Path, tmp_path: Path) -> None:
    forger = graded_run(tmp_path / "forger", COUNT, lambda i, s: Reason.FORGED if i % 4 else True)
    one = decide(base, forger).best
    assert (one.side.excluded, one.side.counted, one.gain) == ({}, COUNT, 0.0)


def test_a_retry_after_an_infrastructure_failure_counts(base: Path, copy: Path) -> None:
    shutil.rmtree(episode(copy, 1))
    graded_episode(copy, tasks(COUNT)[1], 0, Failure.ENVIRONMENT)
    graded_episode(copy, tasks(COUNT)[1], 0, True, attempt=2)
    one = decide(base, copy).best
    assert (one.gain, one.side.excluded, one.side.evidence[0].episodes) == (0.5, {}, COUNT + 1)


# Never GO on what is missing ------------------------------------------------------------------------------------------


def remove(run: Path) -> None:
    shutil.rmtree(episode(run, 5))


def unfinished(run: Path) -> None:
    remove(run)
    graded_episode(run, tasks(COUNT)[5], 0, True, stop=None)


def interrupted(run: Path) -> None:
    remove(run)
    graded_episode(run, tasks(COUNT)[5], 0, None, stop=StopReason.INTERRUPTED)


def ungraded(run: Path) -> None:
    remove(run)
    graded_episode(run, tasks(COUNT)[5], 0, None)


def lost_attempt(run: Path) -> None:
    remove(run)
    graded_episode(run, tasks(COUNT)[5], 0, True, attempt=2)


def picked(run: Path) -> None:
    graded_episode(run, tasks(COUNT)[3], 0, True, attempt=2)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (remove, "was never begun"),
        (unfinished, "did not end"),
        (interrupted, "was interrupted"),
        (ungraded, "was not graded"),
        (lost_attempt, "an attempt is missing"),
        (picked, "outcomes may not be picked"),
    ],
)
def test_what_is_missing_is_refused(base: Path, copy: Path, spoil: Callable[[Path], None], told: str) -> None:
    spoil(copy)
    with pytest.raises(Unusable, match=told):
        decide(base, copy)


# Never GO on what does not belong together ----------------------------------------------------------------------------


def other_digest(told: dict[str, Any]) -> None:
    told["tasks"][tasks(COUNT)[2]] = "0" * 16


def other_seeds(told: dict[str, Any]) -> None:
    told["seeds"] = [7]


def fewer_tasks(told: dict[str, Any]) -> None:
    del told["tasks"][tasks(COUNT)[2]]


def other_env(told: dict[str, Any]) -> None:
    told["config"]["env"]["max_steps"] = 7


def other_grader(told: dict[str, Any]) -> None:
    told["config"]["grader"]["canaries"] = False


def other_harness(told: dict[str, Any]) -> None:
    told["versions"]["swebench"] = "4.0.0"


def other_image(told: dict[str, Any]) -> None:
    told["images"][f"image-{tasks(COUNT)[2]}"] = "sha256:other"


def other_sampling(told: dict[str, Any]) -> None:
    told["config"]["vllm"]["temperature"] = 0.1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (other_digest, "its content is not the same"),
        (other_env, "env.max_steps"),
        (other_grader, "grader.canaries"),
        (other_harness, "versions.swebench"),
        (other_image, "images"),
        (other_sampling, "vllm.temperature"),
    ],
)
def test_runs_of_other_conditions_are_refused(
    base: Path, copy: Path, change: Callable[[dict[str, Any]], None], told: str
) -> None:
    content = json.loads((copy / MANIFEST).read_text())
    change(content)
    write_json(copy / MANIFEST, content)
    with pytest.raises(Unusable, match=told):
        decide(base, copy)


def test_images_that_were_not_there_at_the_start_are_compared_by_what_was_graded_in(tmp_path: Path) -> None:
    names = dict.fromkeys(f"image-{name}" for name in tasks(6))
    made = [
        graded_run(tmp_path / str(number), 6, weak, images=images, said={"image_id": image})
        for number, (images, image) in enumerate(((names, "sha256:a"), (dict.fromkeys(names, "sha256:a"), "sha256:a"),
                                                  (names, "sha256:b")))
    ]  # fmt: skip
    assert gate(made[:1], made[1:2]).decision == "NO-GO"
    with pytest.raises(Unusable, match="graded_in"):
        gate(made[:1], made[2:])


@pytest.mark.parametrize("change", [other_seeds, fewer_tasks])
def test_a_manifest_that_hides_episodes_is_refused(
    base: Path, copy: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    content = json.loads((copy / MANIFEST).read_text())
    change(content)
    write_json(copy / MANIFEST, content)
    with pytest.raises(Unusable, match=r"is not one of run\.json"):
        decide(base, copy)


def test_other_tasks_and_other_seeds_are_refused(base: Path, tmp_path: Path) -> None:
    fewer = graded_run(tmp_path / "fewer", COUNT - 1, strong)
    with pytest.raises(Unusable, match=rf"task {tasks(COUNT)[-1]}: only .* has it"):
        decide(base, fewer, may_differ=("tasks.*",))
    deeper = graded_run(tmp_path / "deeper", COUNT, strong, seeds=2)
    with pytest.raises(Unusable, match="seeds"):
        decide(base, deeper, may_differ=("seeds",))


def test_a_named_setting_may_differ_and_is_told(base: Path, copy: Path) -> None:
    content = json.loads((copy / MANIFEST).read_text())
    other_sampling(content)
    write_json(copy / MANIFEST, content)
    report = decide(base, copy, may_differ=("vllm.temp*",))
    assert report.decision == "GO"
    assert any("vllm.temperature differs" in one for one in report.cautions)


def test_patience_may_differ_silently(base: Path, copy: Path) -> None:
    content = json.loads((copy / MANIFEST).read_text())
    content["config"] |= {"workers": 7, "policy": "vllm:other"}
    write_json(copy / MANIFEST, content)
    assert decide(base, copy).cautions == decide(base, copy).cautions
    assert not any("workers" in one for one in decide(base, copy).cautions)


def test_a_run_is_not_compared_with_itself(base: Path, tmp_path: Path) -> None:
    again = shutil.copytree(base, tmp_path / "again")
    with pytest.raises(Unusable, match="given twice"):
        decide(base, Path(again))


# Never GO on what was tampered with -----------------------------------------------------------------------------------


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def flipped_in_the_log(run: Path) -> None:
    rewrite(episode(run, 3) / "events.jsonl", '"resolved":false', '"resolved":true')


def line_removed(run: Path) -> None:
    path = episode(run, 3) / "events.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:1] + lines[2:]))


def chain_stripped(run: Path) -> None:
    for path in run.glob(f"{EPISODES}/*/events.jsonl"):
        lines = (json.loads(line) | {"schema_version": "1.0"} for line in path.read_text().splitlines())
        path.write_text("".join(json.dumps({k: v for k, v in line.items() if k != "chain"}) + "\n" for line in lines))


def other_patch(run: Path) -> None:
    (episode(run, 3) / "patch.diff").write_text(PATCH.format(value="the fix"))


def verdict_of_another_patch(run: Path) -> None:
    folder = fresh(run, 3)
    judge(folder, verdict(tasks(COUNT)[3], PATCH.format(value="the fix"), True))


def verdict_of_another_task(run: Path) -> None:
    judge(fresh(run, 3), verdict(tasks(COUNT)[0], own_patch(run, 3), True))


def verdict_against_its_tests(run: Path) -> None:
    failed = {"FAIL_TO_PASS": {"success": [], "failure": ["t::a"]}, "PASS_TO_PASS": {"success": ["t::b"]}}
    said = verdict(tasks(COUNT)[3], own_patch(run, 3), True, tests_status=failed)
    judge(fresh(run, 3), said)


def verdict_against_its_canaries(run: Path) -> None:
    canary = CanaryResult(name="t", kind=CanaryKind.MUST_FAIL, file="t.py", expected="failed", seen="PASSED", ok=False)
    caught = CanaryReport(state="ran", results=(canary,))
    judge(fresh(run, 3), verdict(tasks(COUNT)[3], own_patch(run, 3), True, canaries=caught))


def second_verdict(run: Path) -> None:
    judge(episode(run, 3), verdict(tasks(COUNT)[3], own_patch(run, 3), True))


def file_beside_the_log(run: Path) -> None:
    write_verdict_files(EpisodeFolder(episode(run, 3)), verdict(tasks(COUNT)[3], own_patch(run, 3), True))


def episode_of_another_run(run: Path) -> None:
    shutil.rmtree(episode(run, 3))
    stranger = graded_run(run.parent / "stranger", 4, lambda i, s: True)
    shutil.copytree(episode(stranger, 3), episode(run, 3))


def shown_the_reference(run: Path) -> None:
    shutil.rmtree(episode(run, 3))
    graded_episode(run, tasks(COUNT)[3], 0, True, privileged=True)


def own_patch(run: Path, index: int) -> str:
    return (episode(run, index) / "patch.diff").read_text()


def fresh(run: Path, index: int) -> Path:
    """The episode again, without a verdict."""
    shutil.rmtree(episode(run, index))
    return graded_episode(run, tasks(COUNT)[index], 0, None)


@pytest.mark.parametrize(
    ("tamper", "told"),
    [
        (flipped_in_the_log, "was changed after it was written"),
        (line_removed, "lines were removed, added or moved"),
        (chain_stripped, "was taken away"),
        (other_patch, "differs from the final_patch event"),
        (verdict_of_another_patch, "is about patch"),
        (verdict_of_another_task, "is about task"),
        (verdict_against_its_tests, "although t::a failed"),
        (verdict_against_its_canaries, "shows that the report was forged"),
        (second_verdict, "contradict each other"),
        (file_beside_the_log, "differs from the verdict event"),
        (episode_of_another_run, "run_id is 'stranger'"),
        (shown_the_reference, "shown the reference patch"),
    ],
)
def test_what_was_tampered_with_is_refused(base: Path, copy: Path, tamper: Callable[[Path], None], told: str) -> None:
    tamper(copy)
    with pytest.raises(Unusable, match=told):
        decide(base, copy)


def test_a_new_chain_does_not_match_a_published_seal(base: Path, better: Path, tmp_path: Path) -> None:
    seal = decide(base, better).best.side.evidence[0].seal
    assert decide(base, better, seals={str(better): seal}).decision == "GO"
    forged = graded_run(tmp_path / "better", COUNT, lambda i, s: True)
    with pytest.raises(Unusable, match="was published"):
        decide(base, forged, seals={str(forged): seal})


def test_old_runs_need_a_word_because_their_logs_carry_no_chain(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="--unchained accepts that"):
        gate([OLD / "random"], [OLD / "random"])
    copies = [Path(shutil.copytree(OLD / "random", tmp_path / name)) for name in ("a", "b")]
    edit(copies[1], run_id="another")
    with pytest.raises(Unusable, match="run_id"):
        gate(copies[:1], copies[1:], GateConfig(unchained=True))


def test_a_policy_that_saw_the_reference_is_refused() -> None:
    with pytest.raises(Unusable, match="shown the reference patches"):
        gate([OLD / "random"], [OLD / "reference"], GateConfig(unchained=True))


def test_a_migrated_run_carries_a_chain(tmp_path: Path) -> None:
    migrate_run(OLD / "random", tmp_path / "random")
    with pytest.raises(Unusable, match="given twice"):
        gate([tmp_path / "random"], [tmp_path / "random"])


def test_what_is_no_run_is_refused(base: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"neither a run .*; give {base}$"):
        decide(base.parent, base)
    with pytest.raises(UsageError, match="neither a run"):
        decide(base, tmp_path)
    bare = tmp_path / "bare"
    write_json(bare / MANIFEST, {"run_id": "bare", "created": "", "config": None})
    with pytest.raises(Unusable, match="does not say which tasks"):
        decide(base, bare)
