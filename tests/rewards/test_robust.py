"""Whatever a step holds, it is scored; and the same whether it just happened or was read from a log."""

import json
import random
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from trajectory_hub.envs.step import Step
from trajectory_hub.rewards.rubric import Rubric
from trajectory_hub.rewards.scores import StepScore
from trajectory_hub.tools.base import Telemetry

from .golden import load
from .workbench import WHEN, Bench

TOOLS = ("file_read", "file_write", "file_edit", "shell", "search", "git", "run_tests", "submit", "other", None)
ERRORS = (None, None, "not_found", "not_unique", "timeout", "malformed_action", "sandbox_recovered", "out_of_range")
TEXTS = (
    "",
    " ",
    "a.py",
    "/",
    "..",
    "x\0y",
    "tests/test_a.py",
    "é\udce9",
    "'\"",
    "\n" * 50,
    "A_b " * 3000,
    "{",
    "1\t2",
    "🙂.py",
)
VALUES: tuple[Any, ...] = (*TEXTS, None, True, 0, -1, 10**12, 0.5, [], ["a.py", ""], {}, {"a": "PASSED", "": "FAILED"})
KEYS = (
    "path", "content", "old", "new", "command", "pattern", "kind", "start", "end", "tests", "subcommand", "paths",
    "args", "line", "files", "matches", "truncated", "selected", "counts", "changed", "created", "before_sha256",
    "after_sha256", "sha256", "total_lines", "timed_out",
)  # fmt: skip


def _any_step(index: int, rng: random.Random) -> Step:
    def mapping() -> dict[str, Any]:
        return {key: rng.choice(VALUES) for key in rng.sample(KEYS, rng.randrange(8))}

    error = rng.choice(ERRORS)
    return Step(
        index=index,
        action=rng.choice(TEXTS),
        tool=rng.choice(TOOLS),
        arguments=mapping(),
        observation=rng.choice(TEXTS) * rng.randrange(3),
        ok=error is None,
        error=error,
        exit_code=rng.choice((None, 0, 1, 127)),
        data=mapping(),
        telemetry=Telemetry(wall_ms=1.0),
        t_start=WHEN,
        t_end=WHEN,
        duration_ms=1.0,
    )


@pytest.mark.parametrize("seed", range(30))
def test_any_step_is_scored(seed: int) -> None:
    rng = random.Random(seed)
    task, _ = load()
    steps = [_any_step(index, rng) for index in range(60)]
    for score in Rubric().score(task, steps):
        assert 0.0 <= score.reward <= 1.0
        assert 0.0 <= score.process.score <= 1.0
        text = json.dumps([score.scores(), score.process.as_dict()], ensure_ascii=False, allow_nan=False)
        assert text.encode("utf-8"), "can be written"


def test_random_actions_of_the_real_tools_are_scored(bench: Bench) -> None:
    rng = np.random.default_rng(7)
    for _ in range(25):
        bench.act_text(bench.tools.sample(rng))
    scores = bench.scores()
    assert len(scores) == 25
    assert scores[-1].process.score < 0.2


def test_a_step_read_from_a_log_gets_the_scores_it_had(bench: Bench) -> None:
    bench.solve()
    kept = ("t_start", "t_end", "telemetry")
    read = list[Step]()
    for step in bench.steps:
        plain = json.loads(json.dumps({k: v for k, v in asdict(step).items() if k not in kept}))
        read.append(replace(step, **plain))
    again: list[StepScore] = Rubric().score(bench.task, read)
    assert again == bench.scores()


def test_times_and_telemetry_have_no_part_in_a_score(bench: Bench) -> None:
    bench.solve()
    slow = [
        replace(step, duration_ms=9e9, telemetry=Telemetry(wall_ms=9e9, memory_peak_bytes=1 << 40))
        for step in bench.steps
    ]
    assert Rubric().score(bench.task, slow) == bench.scores()


def test_thoughts_are_read_by_the_rules_for_thoughts_and_by_no_other(bench: Bench) -> None:
    bench.solve()
    thinking = [
        replace(step, thought=f"Now step {step.index}: look at the cart and its total.") for step in bench.steps
    ]
    readers = {"says_what_it_does", "takes_up_the_result", "thinks_something_new"}
    without, found = bench.scores(), Rubric().score(bench.task, thinking)
    names = set[str]()
    for before, after in zip(without, found, strict=True):
        for criterion, score in after.criteria.items():
            names |= {rule.rule for rule in score.rules}
            assert [rule for rule in score.rules if rule.rule not in readers] == list(before.criteria[criterion].rules)
    assert readers <= names


def test_a_huge_observation_costs_no_more_than_a_large_one(bench: Bench) -> None:
    step = bench.shell("echo x")
    bench.steps[:] = [replace(step, observation="word_1 path/a.py " * 2_000_000)]
    assert bench.scores()[0].criteria["goal_progress"].score == 0.0
