"""Pairs of whole trajectories and of steps: what is preferred, why, by whose word, how surely; what is refused."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from trajectory_hub.errors import StopReason, UsageError
from trajectory_hub.rollouts.files import write_json
from trajectory_hub.rollouts.payloads import Parent
from trajectory_hub.rollouts.score_log import StepScoreRow, write_scores
from trajectory_hub.training.config import PairsConfig, load_pairs_config
from trajectory_hub.training.data_sets.pair_files import PairSource, write_pairs
from trajectory_hub.training.preferences.confidence import Basis, posterior
from trajectory_hub.training.preferences.finder import PairFinder
from trajectory_hub.training.preferences.preference import Preference, Reason
from trajectory_hub.training.trajectories.records import open_sources

from ..episodes import FAILED, FIX, GREP, PATCH, READ, SOLVED, SUBMIT, TEST, TOOLS, WRONG, Act, make_run, write_episode

OTHER_PATCH = PATCH.replace("amount >= DISCOUNT_THRESHOLD", "amount > DISCOUNT_THRESHOLD - 1")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")


def find(*runs: Path, level: str = "trajectory", **config: Any) -> tuple[list[Preference], PairFinder]:
    """The pairs of one level, and who found them."""
    finder = PairFinder(open_sources(runs), PairsConfig(levels=(level,), **config))  # pyright: ignore
    return [pair for _, outlines in finder.groups() for pair in finder.find(outlines)], finder


def refused(*runs: Path, **config: Any) -> dict[str, int]:
    """What was refused where no pair was found."""
    pairs, finder = find(*runs, **config)
    assert pairs == []
    return dict(finder.refusals.as_dict())


def test_the_outcome_decides_first(run: Path) -> None:
    write_episode(run, SOLVED, seed=0, process=0.2)
    write_episode(run, FAILED, seed=1, process=0.9, resolved=False, patch=OTHER_PATCH)
    (pair,), finder = find(run)
    assert (pair.chosen.episode_id, pair.rejected.episode_id) == ("shop-1--s0--a1", "shop-1--s1--a1")
    assert (pair.reason, pair.layers, pair.margin) == (Reason.OUTCOME, ("verdict",), 1.0)
    assert (pair.confidence, pair.basis) == (1.0, Basis.VERDICT)
    assert pair.why == "resolved; the other is not (tests_failed)"
    # They begin alike: the prompt goes up to where they part.
    assert [m["role"] for m in pair.prompt] == ["system", "user", "assistant", "tool"]
    assert (pair.step, pair.chosen.steps, pair.rejected.steps) == (1, 3, 2)
    assert pair.chosen.messages[0]["tool_calls"][0]["function"]["name"] == "file_edit"
    assert pair.chosen.messages[-1]["tool_calls"][0]["function"]["name"] == "submit"
    assert finder.refusals.total == 0


def test_what_was_not_submitted_counts_as_resolved_only_where_that_is_not_asked_for(run: Path) -> None:
    write_episode(run, SOLVED, seed=0)
    write_episode(run, (READ, FIX, TEST, GREP), seed=1, stop=StopReason.STEP_LIMIT)
    assert find(run, level="step", by=("outcome",))[0] == []
    (pair,), _ = find(run, level="step", by=("outcome",), submitted=True)
    assert (pair.chosen.episode_id, pair.rejected.episode_id) == ("shop-1--s0--a1", "shop-1--s1--a1")
    assert pair.chosen.messages[0]["tool_calls"][0]["function"]["name"] == "submit"
    assert (pair.chosen.resolved, pair.rejected.resolved) == (True, True)


def test_process_scores_decide_between_equal_outcomes(run: Path) -> None:
    write_episode(run, SOLVED, seed=0, process=0.9)
    write_episode(run, (GREP, GREP, READ, *SOLVED), seed=1, process=0.6)
    (pair,), _ = find(run)
    assert (pair.reason, pair.layers, pair.margin) == (Reason.PROCESS, ("rules@1",), 0.3)
    assert (pair.confidence, pair.basis) == (0.5, Basis.AGREEMENT)
    assert pair.why == "process score 0.900 against 0.600; both resolved"


def test_confidence_of_process_scores_is_measured_on_the_outcomes_of_the_runs(run: Path) -> None:
    for seed in range(6):
        write_episode(run, SOLVED, seed=seed, task=f"t{seed}", process=0.9)
        write_episode(run, FAILED, seed=10 + seed, task=f"t{seed}", process=0.3, resolved=False, patch=OTHER_PATCH)
    write_episode(run, SOLVED, seed=50, process=0.9)
    write_episode(run, (GREP, GREP, READ, *SOLVED), seed=51, process=0.6)
    pairs, finder = find(run)
    assert finder.agreement == pytest.approx(7 / 8)
    assert [pair.confidence for pair in pairs if pair.reason is Reason.PROCESS] == [0.875]


def test_verdicts_that_contradict_each_other_are_less_sure(run: Path) -> None:
    write_episode(run, SOLVED, seed=0)
    write_episode(run, (READ, FIX, SUBMIT), seed=1, resolved=False)  # the same patch
    write_episode(run, FAILED, seed=2, resolved=False, patch=OTHER_PATCH)
    pairs, finder = find(run, by=("outcome",))
    assert [(pair.chosen.episode_id, pair.rejected.episode_id, pair.confidence) for pair in pairs] == [
        ("shop-1--s0--a1", "shop-1--s2--a1", 0.5)
    ]
    assert finder.refusals.as_dict() == {"same_patch": 1, "tie": 1}
    assert refused(run, by=("outcome",), min_confidence=0.6)["confidence"] == 1


TWO: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("tie", {"acts": SOLVED, "process": 0.9}, {"acts": FAILED, "process": 0.85}, {}),
    ("tie", {"acts": SOLVED, "process": 0.9}, {"acts": FAILED, "process": 0.1}, {"by": ("outcome",)}),
    ("not_comparable", {"acts": SOLVED}, {"acts": FAILED, "resolved": None}, {}),
    ("not_comparable", {"acts": SOLVED, "process": None}, {"acts": FAILED, "process": 0.1}, {}),
    ("not_comparable", {"acts": SOLVED}, {"acts": FAILED, "resolved": False}, {"by": ("process",)}),
    (
        "not_comparable",
        {"acts": [replace(act, layer="judge@1:m") for act in SOLVED], "process": 0.9},
        {"acts": FAILED, "process": 0.1},
        {},
    ),
    ("other_prompt", {"acts": SOLVED}, {"acts": FAILED, "resolved": False, "statement": "Something else."}, {}),
    ("other_prompt", {"acts": SOLVED}, {"acts": FAILED, "resolved": False, "tools": TOOLS.schemas()[:6]}, {}),
    ("same_patch", {"acts": SOLVED}, {"acts": FAILED, "resolved": False, "patch": PATCH}, {}),
    ("same_beginning", {"acts": SOLVED}, {"acts": SOLVED[:2], "resolved": False, "patch": ""}, {}),
    ("same_beginning", {"acts": SOLVED}, {"acts": SOLVED, "resolved": False, "patch": ""}, {}),
    ("length", {"acts": SOLVED}, {"acts": (*[GREP] * 30, *FAILED), "resolved": False, "patch": ""}, {}),
]


@pytest.mark.parametrize(("reason", "one", "other", "config"), TWO)
def test_pairs_that_say_nothing_are_refused_by_reason(
    run: Path, reason: str, one: dict[str, Any], other: dict[str, Any], config: dict[str, Any]
) -> None:
    write_episode(run, seed=0, **one)
    write_episode(run, seed=1, **other)
    assert refused(run, **config) == {reason: 1}


def test_two_sides_that_are_nearly_the_same_are_refused(run: Path) -> None:
    text = " ".join(f"line_{n}" for n in range(200))
    write_episode(run, [READ, Act("file_write", {"path": "a.py", "content": text}), SUBMIT], seed=0)
    nearly = Act("file_write", {"path": "a.py", "content": text + " more"})
    write_episode(run, [READ, nearly, SUBMIT], seed=1, resolved=False, patch="")
    assert refused(run) == {"near_duplicate": 1}
    assert len(find(run, near_duplicate=1.0)[0]) == 1
    # What they share is the prompt, and no reason to refuse them.
    many = [Act("search", {"pattern": f"name_{n}"}) for n in range(40)]
    write_episode(run, [*many, FIX, SUBMIT], seed=0, task="long")
    write_episode(run, [*many, WRONG, SUBMIT], seed=1, task="long", resolved=False, patch="")
    assert [(pair.task_id, pair.step) for pair in find(run)[0]] == [("long", 40)]


def test_a_pair_like_one_that_was_kept_is_refused(run: Path) -> None:
    for seed in range(3):
        write_episode(run, SOLVED, seed=seed)
    write_episode(run, FAILED, seed=3, resolved=False, patch=OTHER_PATCH)
    pairs, finder = find(run)
    assert len(pairs) == 1
    assert finder.refusals.as_dict() == {"near_duplicate": 2, "tie": 3}


def different(count: int, last: Act) -> list[list[Act]]:
    """Ways to do the same that do not resemble each other."""
    words = "alpha beta gamma delta epsilon zeta eta theta iota kappa".split()
    return [
        [*(Act("search", {"pattern": f"{words[n]} {words[(n + i) % 10]}"}) for i in range(4)), last, SUBMIT]
        for n in range(count)
    ]


def test_a_task_and_an_episode_give_only_so_many_pairs(run: Path) -> None:
    for seed, acts in enumerate(different(3, FIX)):
        write_episode(run, acts, seed=seed)
    for seed, acts in enumerate(different(6, WRONG)[3:], 3):
        write_episode(run, acts, seed=seed, resolved=False, patch=OTHER_PATCH)
    config: dict[str, Any] = {"by": ("outcome",), "near_duplicate": 0.99}
    assert len(find(run, **config, per_task=20)[0]) == 9
    pairs, finder = find(run, **config, per_episode=1)
    assert len(pairs) == 3
    assert finder.refusals.as_dict()["enough"] == 6
    assert len(find(run, **config, per_task=2)[0]) == 2


def test_the_seed_decides_between_pairs_that_are_equally_good(run: Path) -> None:
    for seed, acts in enumerate(different(4, FIX)):
        write_episode(run, acts, seed=seed)
    for seed, acts in enumerate(different(8, WRONG)[4:], 4):
        write_episode(run, acts, seed=seed, resolved=False, patch=OTHER_PATCH)
    config: dict[str, Any] = {"by": ("outcome",), "per_task": 2, "near_duplicate": 0.99, "max_length_ratio": None}
    drawn = {tuple(pair.pair_id for pair in find(run, **config, seed=seed)[0]) for seed in range(8)}
    assert len(drawn) > 1
    assert find(run, **config, seed=3)[0] == find(run, **config, seed=3)[0]


def test_times_in_what_was_seen_do_not_part_two_episodes(run: Path) -> None:
    slow = replace(TEST, observation="4 tests: 4 passed in 9.81s.")
    write_episode(run, (TEST, READ, FIX, SUBMIT), seed=0)
    write_episode(run, (slow, READ, WRONG, SUBMIT), seed=1, resolved=False, patch=OTHER_PATCH)
    (pair,), _ = find(run)
    assert pair.step == 2
    # Something else was seen: they part at the answer before it.
    write_episode(run, (replace(TEST, observation="no tests"), READ, WRONG, SUBMIT), seed=2, task="t2", resolved=False)
    write_episode(run, (TEST, READ, FIX, SUBMIT), seed=3, task="t2", patch=OTHER_PATCH)
    pairs, _ = find(run)
    assert [pair.step for pair in pairs] == [2, 0]
    assert pairs[1].chosen.messages[0] == pairs[1].rejected.messages[0]


def test_steps_are_compared_by_what_became_of_their_continuations(run: Path) -> None:
    for seed, resolved in enumerate((True, True, False)):
        write_episode(run, (READ, FIX, *([GREP] * seed), SUBMIT), seed=seed, resolved=resolved)
    for seed in (3, 4):
        write_episode(run, (READ, WRONG, *([GREP] * seed), SUBMIT), seed=seed, resolved=False)
    pairs, finder = find(run, level="step", step_margin=0.5)
    pair = next(each for each in pairs if each.step == 1)
    assert pair.prompt[-1] == {
        "role": "tool",
        "name": "file_read",
        "tool_call_id": "call00001",
        "content": "class Cart: ...",
    }
    assert [
        m["tool_calls"][0]["function"]["arguments"]["path"] for m in (*pair.chosen.messages, *pair.rejected.messages)
    ] == [
        "shop/cart.py",
        "shop/money.py",
    ]
    assert (pair.chosen.rollouts, pair.rejected.rollouts) == (3, 2)
    assert pair.chosen.continuations == tuple(f"run/shop-1--s{n}--a1" for n in range(3))
    assert (pair.margin, pair.reason, pair.layers) == (pytest.approx(2 / 3, abs=1e-6), Reason.OUTCOME, ("verdict",))
    assert (pair.confidence, pair.basis) == (posterior([1, 1, 0], [0, 0]), Basis.POSTERIOR)
    assert pair.why == "2 of 3 continuations resolved, against 0 of 2"
    assert finder.refusals.as_dict() == {"tie": 1}


def test_steps_without_verdicts_are_compared_by_process_scores(run: Path) -> None:
    write_episode(run, (READ, FIX, SUBMIT), seed=0, resolved=None, process=0.8)
    write_episode(run, (READ, WRONG, SUBMIT), seed=1, resolved=None, process=0.4)
    (pair,), _ = find(run, level="step")
    assert (pair.reason, pair.layers, pair.margin) == (Reason.PROCESS, ("rules@1",), 0.4)
    assert pair.why == "mean process score 0.800 of 1 continuations, against 0.400 of 1"


STEPS: list[tuple[str, tuple[dict[str, Any], dict[str, Any]], dict[str, Any]]] = [
    ("tie", ({}, {"process": 0.75}), {}),
    ("not_comparable", ({}, {"resolved": None, "process": None}), {}),
    ("few_rollouts", ({}, {"resolved": False}), {"min_rollouts": 2}),
    ("confidence", ({}, {"resolved": False}), {"min_confidence": 0.9}),
]


@pytest.mark.parametrize(("reason", "episodes", "config"), STEPS)
def test_steps_that_say_nothing_are_refused_by_reason(
    run: Path, reason: str, episodes: tuple[dict[str, Any], dict[str, Any]], config: dict[str, Any]
) -> None:
    write_episode(run, (READ, FIX, SUBMIT), seed=0, **episodes[0])
    write_episode(run, (READ, WRONG, SUBMIT), seed=1, **episodes[1])
    assert refused(run, level="step", **config) == {reason: 1}


def test_actions_that_are_nearly_the_same_and_further_pairs_of_a_state_are_refused(run: Path) -> None:
    longer = {"path": "shop/cart.py", "old": "x " * 60, "new": "y " * 60}
    write_episode(run, (Act("file_edit", longer), SUBMIT), seed=0)
    write_episode(run, (Act("file_edit", longer | {"new": "y " * 61}), SUBMIT), seed=1, resolved=False)
    assert refused(run, level="step") == {"near_duplicate": 1}
    write_episode(run, (GREP, SUBMIT), seed=2, resolved=False)
    write_episode(run, (READ, SUBMIT), seed=3, resolved=False)
    pairs, finder = find(run, level="step", by=("outcome",))
    assert len(pairs) == 1
    assert finder.refusals.as_dict() == {"near_duplicate": 1, "tie": 3, "enough": 1}
    assert len(find(run, level="step", by=("outcome",), per_state=5)[0]) == 2


def test_what_a_branch_took_over_is_counted_for_its_parent_only(run: Path) -> None:
    parent = write_episode(run, (READ, TEST, WRONG, SUBMIT), seed=0, resolved=False)
    write_episode(run, (GREP, SUBMIT), seed=1, resolved=False, process=0.1)
    for seed in (2, 3, 4):
        name = Parent(run_id="run", episode_id=parent.name, steps=2)
        write_episode(run, (READ, TEST, FIX, *([TEST] * seed), SUBMIT), seed=seed, parent=name)
    pairs, _ = find(run, level="step", per_state=9, by=("outcome",))
    assert [(pair.step, pair.chosen.rollouts, pair.rejected.rollouts) for pair in pairs] == [(2, 3, 1)]


def test_branches_after_an_action_are_further_continuations_of_it(run: Path) -> None:
    first = write_episode(run, (READ, FIX, SUBMIT), seed=0, resolved=False)
    write_episode(run, (READ, WRONG, SUBMIT), seed=1, resolved=False)
    for seed in (2, 3):
        name = Parent(run_id="run", episode_id=first.name, steps=2)
        write_episode(run, (READ, FIX, *([TEST] * seed), SUBMIT), seed=seed, parent=name)
    pairs, _ = find(run, level="step", by=("outcome",))
    chosen = [(pair.step, pair.chosen.value, pair.chosen.rollouts, pair.rejected.rollouts) for pair in pairs]
    assert (1, pytest.approx(2 / 3, abs=1e-6), 3, 1) in chosen


def test_only_steps_and_only_episodes_that_may_be_used(run: Path) -> None:
    write_episode(run, SOLVED, seed=0, privileged=True)
    write_episode(run, FAILED, seed=1, resolved=False, patch=OTHER_PATCH)
    write_episode(run, FAILED, seed=2, stop=StopReason.INTERRUPTED)
    pairs, finder = find(run)
    assert pairs == []
    assert finder.intake.refusals.as_dict() == {"interrupted": 1, "privileged": 1}
    pairs, _ = find(run, filter={"privileged": True})
    assert [pair.chosen.privileged for pair in pairs] == [True]


def test_episodes_of_several_runs_meet_by_task(tmp_path: Path) -> None:
    one, two = make_run(tmp_path / "b"), make_run(tmp_path / "a")
    write_episode(one, SOLVED)
    write_episode(two, FAILED, resolved=False, patch=OTHER_PATCH)
    (pair,), finder = find(one, two)
    assert (pair.chosen.run_id, pair.rejected.run_id) == ("b", "a")
    assert set(finder.intake.digests) == {"a/shop-1--s0--a1", "b/shop-1--s0--a1"}
    write_json(two / "run.json", {"run_id": "b"})
    with pytest.raises(UsageError, match="both called b"):
        open_sources([one, two])


def test_another_layer_may_stand_for_the_process_score(run: Path) -> None:
    for seed, acts in enumerate((SOLVED, FAILED)):
        write_episode(run, acts, seed=seed, resolved=None, process=0.5)
    with pytest.raises(UsageError, match="'judge@1:m' has not scored"):
        find(run, score_layer="judge@1:m")
    _write_scores(run, "judge@1:m", {"shop-1--s0--a1": [0.2, 0.3, None], "shop-1--s1--a1": [0.9, 0.8]})
    (pair,), _ = find(run, score_layer="judge@1:m")
    assert (pair.chosen.episode_id, pair.chosen.value, pair.rejected.value) == ("shop-1--s1--a1", 0.85, 0.25)
    assert pair.layers == ("judge@1:m",)


def _write_scores(run: Path, layer: str, rewards: dict[str, Sequence[float | None]]) -> None:
    write_scores(
        run,
        layer,
        [
            StepScoreRow(episode_id=name, task_id="shop-1", step=step, layer=layer, criteria={}, reward=reward)
            for name, found in rewards.items()
            for step, reward in enumerate(found)
        ],
    )


def test_pairs_are_written_and_read_back_and_the_same_each_time(run: Path, tmp_path: Path) -> None:
    write_episode(run, SOLVED, seed=0)
    write_episode(run, FAILED, seed=1, resolved=False, patch=OTHER_PATCH)
    files = list[bytes]()
    for name in ("one", "two"):
        finder = PairFinder(open_sources([run]), load_pairs_config())
        told = write_pairs(finder, tmp_path / name)
        assert told["rows"] == 2
        files += [(tmp_path / name / file).read_bytes() for file in ("pairs.jsonl", "statistics.json")]
    assert files[:2] == files[2:]
    pairs = list(PairSource(tmp_path / "one"))
    assert [pair.level for pair in pairs] == ["trajectory", "step"]
    assert Preference.model_validate_json(pairs[0].model_dump_json()) == pairs[0]
    (tmp_path / "one" / "pairs.jsonl").write_text(pairs[0].model_dump_json() + "\n{}\n")
    with pytest.raises(UsageError, match=r"pairs\.jsonl:2: no pair: pair_id"):
        list(PairSource(tmp_path / "one"))
    with pytest.raises(UsageError, match="holds something else"):
        write_pairs(PairFinder(open_sources([run]), load_pairs_config()), run)


def test_a_preference_that_prefers_nothing_is_none(run: Path) -> None:
    write_episode(run, SOLVED, seed=0)
    write_episode(run, FAILED, seed=1, resolved=False, patch=OTHER_PATCH)
    (pair,), _ = find(run)
    told = pair.model_dump()
    for wrong in (
        {"chosen": {**told["chosen"], "value": 0.0}},
        {"rejected": {**told["rejected"], "messages": pair.prompt}},
        {"rejected": {**told["rejected"], "messages": told["chosen"]["messages"]}},
        {"layers": ()},
        {"confidence": 1.5},
        {"surprise": 1},
    ):
        with pytest.raises(ValidationError):
            Preference.model_validate(told | wrong)
