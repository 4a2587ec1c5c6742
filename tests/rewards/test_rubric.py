"""The rubric: arithmetic, configuration, determinism and provenance."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from trajectory_hub.envs.step import Step
from trajectory_hub.envs.task import Task
from trajectory_hub.errors import ConfigError
from trajectory_hub.rewards.config import RubricConfig, load_config
from trajectory_hub.rewards.rubric import Rubric, combined_score
from trajectory_hub.rewards.rules import RULES_VERSION, all_rules
from trajectory_hub.rewards.scores import CRITERIA, CriterionScore, LayerScorer, RuleScore

from .golden import GOLDEN, scored
from .workbench import Bench

ROOT = Path(__file__).parents[2]


def test_every_rule_has_a_weight_and_every_criterion_at_least_four_rules() -> None:
    config = load_config()
    for criterion, rules in all_rules().items():
        assert set(config.criteria[criterion].rules) == {rule.name for rule in rules}
        assert len(rules) >= 4
        assert all(rule.judge.__doc__ for rule in rules)


def test_every_rule_is_in_the_readme_with_why_and_how_it_is_gamed() -> None:
    text = (ROOT / "rewards" / "README.md").read_text("utf-8")
    for rules in all_rules().values():
        for rule in rules:
            row = next((line for line in text.splitlines() if line.startswith(f"| `{rule.name}`")), None)
            assert row is not None, f"{rule.name} is not documented"
            assert len([cell for cell in row.strip("|").split("|") if cell.strip()]) == 4, row


def test_every_rule_is_tried_by_a_test() -> None:
    tests = "\n".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_rules_*.py"))
    missing = [rule.name for rules in all_rules().values() for rule in rules if f'"{rule.name}"' not in tests]
    assert not missing


def test_the_reward_is_the_weighted_mean_of_what_applies(bench: Bench) -> None:
    bench.solve()
    weights = {name: criterion.weight for name, criterion in load_config().criteria.items()}
    for score in bench.scores():
        applying = {n: c.score for n, c in score.criteria.items() if c.score is not None}
        mean = sum(weights[n] * s for n, s in applying.items()) / sum(weights[n] for n in applying)
        assert score.reward == pytest.approx(mean, abs=1e-6)
        for criterion in score.criteria.values():
            if criterion.score is not None:
                total = sum(rule.weight for rule in criterion.rules)
                own = sum(rule.weight * rule.score for rule in criterion.rules) / total
                assert criterion.score == pytest.approx(own, abs=1e-6)
            else:
                assert not criterion.rules


def test_every_score_names_its_rule_its_layer_and_what_it_saw(bench: Bench) -> None:
    bench.solve()
    for score in bench.scores():
        assert list(score.criteria) == list(CRITERIA)
        for criterion in score.criteria.values():
            assert criterion.layer == f"rules@{RULES_VERSION}"
            for rule in criterion.rules:
                assert 0.0 <= rule.score <= 1.0
                assert len(rule.evidence) > 10
                assert round(rule.score, 6) == rule.score
        assert json.loads(json.dumps(score.scores())) == score.scores()


def test_a_good_episode_is_worth_much_and_its_steps_too(bench: Bench) -> None:
    bench.solve()
    scores = bench.scores()
    assert min(score.reward for score in scores) > 0.7
    assert scores[-1].process.score > 0.9


def test_scores_do_not_depend_on_the_process(tmp_path: Path) -> None:
    """The same trajectory under different hash seeds, in fresh interpreters."""
    seen = set[str]()
    for seed in ("0", "1", "4242"):
        done = subprocess.run(
            [sys.executable, "-m", "tests.rewards.golden"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": "Asia/Tokyo" if seed == "1" else "UTC"},
            capture_output=True,
            text=True,
            check=True,
        )
        seen.add(done.stdout)
    assert len(seen) == 1
    assert json.loads(seen.pop())["scores"]


def test_recorded_scores_stand_until_the_version_of_the_rules_is_raised() -> None:
    recorded = json.loads(GOLDEN.read_text("utf-8"))
    now = scored()
    advice = "raise RULES_VERSION, then: python -m tests.rewards.golden > tests/rewards/golden.json"
    assert recorded["version"] == now["version"], advice
    assert recorded["scores"] == now["scores"], f"a rule changed its score; {advice}"


def test_scoring_again_gives_the_same(bench: Bench) -> None:
    bench.solve()
    assert bench.scores() == bench.scores()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"criteria": {"goal_progres": {"weight": 1, "rules": {}}}}, "goal_progress"),
        ({"criteria": {"goal_progress": {"weight": 1, "rules": {"keeps_movin": 1}}}}, "keeps_moving"),
        ({"criteria": {"goal_progress": {"weight": -1, "rules": {}}}}, "goal_progress.weight"),
        ({"criteria": {"goal_progress": {"weight": 1, "rules": {"verifies": float("nan")}}}}, "verifies"),
        ({"criteria": {}, "privilege": False}, "privilege"),
        ({"criteria": {}, "episode": {"patience": 0}}, "patience"),
        ({"criteria": {}, "outcome_weight": 1.5}, "outcome_weight"),
    ],
)
def test_a_wrong_rubric_is_refused_with_the_place(change: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Rubric(change)


def test_a_rubric_is_read_from_a_file(tmp_path: Path, bench: Bench) -> None:
    file = tmp_path / "mine.yaml"
    rules = {"asks_something_new": 1}
    file.write_text(yaml.safe_dump({"criteria": {"non_redundancy": {"weight": 1, "rules": rules}}}))
    bench.read()
    score = bench.scores(file)[-1]
    assert score.reward == 1.0
    assert set(bench.said(rubric=file)) == {"asks_something_new"}
    for broken, said in ((tmp_path / "none.yaml", "cannot be read"), (tmp_path / "bad.yaml", "not YAML")):
        (tmp_path / "bad.yaml").write_text("criteria: [")
        with pytest.raises(ConfigError, match=said):
            load_config(broken)


def test_a_rule_with_weight_zero_is_off_and_a_criterion_with_weight_zero_is_shown(bench: Bench) -> None:
    values = load_config().model_dump()
    values["criteria"]["tool_choice"]["weight"] = 0
    values["criteria"]["non_redundancy"]["rules"]["shows_new_lines"] = 0
    bench.read()
    score = Rubric(values).score(bench.task, bench.steps)[-1]
    assert score.criteria["tool_choice"].score is not None
    assert "shows_new_lines" not in {rule.rule for rule in score.criteria["non_redundancy"].rules}


def test_another_layer_can_replace_criteria(bench: Bench) -> None:
    class Opinion:
        name = "opinion@3"

        def start(self, task: Task) -> LayerScorer:
            return self

        def score(self, step: Step) -> Mapping[str, CriterionScore]:
            rule = RuleScore("taste", 0.25, 1.0, f"does not like {step.tool}")
            return {"tool_choice": CriterionScore("tool_choice", 0.25, self.name, (rule,))}

    bench.read()
    rubric = Rubric(layer=Opinion())
    score = rubric.score(bench.task, bench.steps)[-1]
    assert score.criteria["tool_choice"].layer == "opinion@3"
    assert score.criteria["goal_progress"].layer == f"rules@{RULES_VERSION}"
    assert rubric.version == f"rules@{RULES_VERSION}+opinion@3"


def test_outcome_is_combined_only_on_request() -> None:
    apart = load_config()
    assert combined_score(apart, 0.4, True) == combined_score(apart, 0.4, None) == 0.4
    mixed = RubricConfig.model_validate({**apart.model_dump(), "outcome_weight": 0.5})
    assert combined_score(mixed, 0.4, True) == 0.7
    assert combined_score(mixed, 0.4, False) == 0.2
    assert combined_score(mixed, 0.4, None) is None
