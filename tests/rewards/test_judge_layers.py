"""Layers combine by configuration, live and recorded; every score keeps who gave it."""

import gymnasium
import pytest
from trajectory_hub.errors import ConfigError
from trajectory_hub.rewards.config import LayersConfig, RubricConfig, load_config
from trajectory_hub.rewards.judge.layer import JudgeLayer
from trajectory_hub.rewards.layers import combined, combined_name, decisive_zero
from trajectory_hub.rewards.rubric import Rubric
from trajectory_hub.rewards.scores import CRITERIA, CriterionScore, RuleScore
from trajectory_hub.rewards.wrapper import RubricReward

from ..rollouts.faulty import Reply, message, serving
from .golden import load
from .judging import answer, asking
from .test_wrapper import Recorded


def scores(layer: str, *values: float | None) -> dict[str, CriterionScore]:
    given = zip(CRITERIA, values, strict=True)
    return {name: CriterionScore(name, value, layer, reason=f"{layer} on {name}") for name, value in given}


RULES = scores("rules@1", 0.2, 0.4, None, 0.6, 0.8)
JUDGE = scores("judge@1:m", 1.0, None, 0.5, 0.5, 0.0)


def values(config: LayersConfig) -> list[float | None]:
    return [score.score for score in combined(RULES, JUDGE, config).values()]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (LayersConfig(combine="rules"), [0.2, 0.4, None, 0.6, 0.8]),
        (LayersConfig(combine="judge"), [1.0, 0.4, 0.5, 0.5, 0.0]),
        (LayersConfig(combine="judge", missing="none"), [1.0, None, 0.5, 0.5, 0.0]),
        (LayersConfig(combine="weighted"), [0.6, 0.4, 0.5, 0.55, 0.4]),
        (LayersConfig(combine="weighted", missing="none"), [0.6, None, 0.5, 0.55, 0.4]),
        (LayersConfig.model_validate({"combine": "weighted", "weights": {"rules": 3}}), [0.4, 0.4, 0.5, 0.575, 0.6]),
        (
            LayersConfig.model_validate(
                {"combine": "weighted", "criteria": {"non_redundancy": {"rules": 1, "judge": 0}}}
            ),
            [0.6, 0.4, 0.5, 0.55, 0.8],
        ),
    ],
)
def test_combinations(config: LayersConfig, expected: list[float | None]) -> None:
    assert values(config) == pytest.approx(expected)


def test_every_score_says_which_layers_gave_what() -> None:
    made = combined(RULES, JUDGE, LayersConfig(combine="weighted"))
    score = made["goal_progress"]
    assert score.layer == "weighted(rules@1,judge@1:m)"
    assert [(part.layer, part.score) for part in score.parts] == [("rules@1", 0.2), ("judge@1:m", 1.0)]
    assert "rules@1 0.2 x 1: rules@1 on goal_progress | judge@1:m 1 x 1" in score.evidence
    told = score.as_dict()
    assert [part["layer"] for part in told["parts"]] == ["rules@1", "judge@1:m"]
    fallen_back = combined(RULES, JUDGE, LayersConfig(combine="judge"))["tool_choice"]
    assert fallen_back.layer == "rules@1", "a score of the rules is not passed off as the judge's"


def void(weight: float = 2.0) -> dict[str, CriterionScore]:
    """A step that `asks_something_new` finds void."""
    rule = RuleScore("asks_something_new", 0.0, weight, "was asked before")
    aside = {name: CriterionScore(name, None, "rules@1", (), "asks_something_new") for name in CRITERIA}
    return aside | {"non_redundancy": CriterionScore("non_redundancy", 0.0, "rules@1", (rule,))}


@pytest.mark.parametrize("combine", ["judge", "weighted"])
def test_a_decisive_rule_with_0_wins_where_it_has_a_veto(combine: str) -> None:
    assert decisive_zero(void()) == "asks_something_new"
    assert decisive_zero(RULES) is None
    praised = scores("judge@1:m", 1.0, 1.0, 1.0, 1.0, 1.0)
    config = LayersConfig.model_validate({"combine": combine, "veto": True})
    made = combined(void(), praised, config)
    assert [score.score for score in made.values()] == [None, None, None, None, 0.0]
    assert made["tool_choice"].set_aside_by == "asks_something_new"
    assert made["non_redundancy"].evidence == "veto of asks_something_new"
    assert made["tool_choice"].parts[1].score == 1.0, "what the judge said is kept"
    assert combined_name("rules@1", "judge@1:m", config) == f"veto-{combine}(rules@1,judge@1:m)"
    without = combined(void(), praised, LayersConfig.model_validate({"combine": combine}))
    assert without["tool_choice"].score == 1.0


def test_a_veto_needs_a_zero_of_a_decisive_rule() -> None:
    assert decisive_zero(void(weight=0.0)) is None, "a rule that is shown without weight decides nothing"
    low = RuleScore("reads_new_lines", 0.0, 1.0, "all known")
    assert decisive_zero({"non_redundancy": CriterionScore("non_redundancy", 0.0, "rules@1", (low,))}) is None


# In the environment ---------------------------------------------------------------------------------------------------


def judged(url: str, **layers: object) -> RubricConfig:
    """The default rubric with a judge at `url`."""
    given = load_config().model_dump()
    judge = {"models": [f"m@{url}"], "request": {"retries": 0, "max_wait": 0.05}}
    return RubricConfig.model_validate(given | {"judge": judge, "layers": {"combine": "judge", **layers}})


def steps_of(env: "gymnasium.Env[str, str]", count: int) -> list[dict[str, object]]:
    env.reset(seed=0)
    return [env.step("next")[4] for _ in range(count)]


def test_a_rubric_with_a_judge_rewards_live_steps() -> None:
    with serving(answer(0.9), answer(0.4)) as seen:
        env = RubricReward(Recorded(), rubric=judged(seen.url))
        first, second = steps_of(env, 2)
        env.close()
    assert (first["step_reward"], second["step_reward"]) == (0.9, 0.4)
    told = first["scores"]["goal_progress"]  # pyright: ignore[reportIndexIssue, reportUnknownVariableType]
    assert (told["layer"], told["reason"]) == ("judge@1:m", "It reads the file.")
    record = first["score_record"]
    assert record["answers"][0]["usage"] == {"input_tokens": 100, "output_tokens": 10}  # pyright: ignore
    assert record["prompt"] == "step@1"  # pyright: ignore
    assert len(seen.bodies) == 2


def test_rules_and_judge_together_live() -> None:
    task, steps = load()
    with serving(answer(1.0)) as seen:
        rubric = Rubric(judged(seen.url, combine="weighted", veto=True))
        made = rubric.score(task, steps)
        rubric.close()
    alone = Rubric().score(task, steps)
    assert rubric.version.startswith("veto-weighted(rules@")
    for mixed, ruled in zip(made, alone, strict=True):
        decisive = decisive_zero(ruled.criteria)
        for name in CRITERIA:
            rules = ruled.criteria[name].score
            expected = rules if decisive else 1.0 if rules is None else (rules + 1) / 2
            assert mixed.criteria[name].score == (None if expected is None else pytest.approx(expected, abs=1e-6))
    assert any(decisive_zero(score.criteria) for score in alone), "the recorded episode has a void step"


def test_when_the_judge_fails_live_the_rules_score_and_the_score_says_so() -> None:
    task, steps = load()
    with serving(Reply(503, b"busy")) as seen:
        rubric = Rubric(judged(seen.url))
        made = rubric.score(task, steps[:2])
        rubric.close()
    assert [score.reward for score in made] == [score.reward for score in Rubric().score(task, steps[:2])]
    score = made[0].criteria["tool_choice"]
    assert score.layer.startswith("rules@")
    assert "HTTP 503" in str(score.parts[1].reason)


def test_an_answer_that_is_never_valid_gives_no_score_live() -> None:
    task, steps = load()
    with serving(message("no")) as seen:
        rubric = Rubric(judged(seen.url, missing="none"))
        made = rubric.score(task, steps[:1])
        rubric.close()
    assert {score.score for score in made[0].criteria.values()} == {None}
    assert made[0].reward == 0.0


def test_one_rubric_may_be_shared_and_outlives_its_environments() -> None:
    with serving(answer(0.9)) as seen:
        rubric = Rubric(judged(seen.url))
        for _ in range(2):
            env = RubricReward(Recorded(), rubric=rubric)
            assert steps_of(env, 1)[0]["step_reward"] == 0.9
            env.close()
        rubric.close()
    assert len(seen.bodies) == 1, "the second environment is answered from the cache"


def test_nobody_knows_the_outcome_of_a_live_episode() -> None:
    told = {"outcome": True}
    with (
        serving(answer()) as seen,
        asking(seen, reveal=told) as judge,
        pytest.raises(ConfigError, match="nobody knows its outcome"),
    ):
        JudgeLayer(judge)


def test_layers_without_a_judge_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"layers\.combine is 'weighted', and there is no judge"):
        load_config(load_config().model_dump() | {"layers": {"combine": "weighted"}})


def test_rules_alone_ask_nobody() -> None:
    task, steps = load()
    with serving(answer()) as seen:
        rubric = Rubric(judged(seen.url, combine="rules"))
        assert [one.scores() for one in rubric.score(task, steps)] == [
            one.scores() for one in Rubric().score(task, steps)
        ]
    assert seen.bodies == []
