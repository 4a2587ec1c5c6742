"""An experiment's settings are refused as a whole before anything begins, and its plan says what it will take."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from trajectory_hub.envs.micro import MicroConfig
from trajectory_hub.errors import ConfigError
from trajectory_hub.eval.experiment.config import ExperimentConfig, TaskSpecs, load_experiment_config, merged
from trajectory_hub.eval.experiment.plan import plan_stages, planned

SHIPPED = (["micro"], ["micro", "micro-ci"], ["micro", "micro-gpu"])


@pytest.mark.parametrize("names", SHIPPED, ids=lambda names: names[-1])
def test_the_shipped_experiments_are_valid(names: list[str]) -> None:
    config = load_experiment_config(names)
    assert config.name == names[-1]
    assert {"dpo", "selected", "random"} <= {arm.name for arm in config.arms}


def test_the_full_experiment_is_what_it_has_to_be() -> None:
    config = load_experiment_config(["micro"])
    assert isinstance(config.tasks, MicroConfig)
    assert len(config.seeds) >= 3 and config.tasks.eval >= 300 and config.evaluation.tasks == "eval"
    # What was demonstrated is not sampled: the base would only repeat it.
    assert (config.demonstrations.tasks or 0) + (config.rollouts.tasks or 0) <= config.tasks.train
    assert config.data["random"].as_many_as == "selected"
    expected = {(arm.name, plan.against): plan.expected for arm in config.arms for plan in arm.gates}
    assert expected["dpo", "base"] == expected["selected", "random"] == "GO"
    assert expected["stock-dpo", "base"] == "NO-GO"


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ("seeds=[]", "seeds"),
        ("tasks.evil=3", "evil"),
        ("base.learning_rat=1", "learning_rat"),
        ("rollout.env.max_step=1", "max_step"),
        ("serving.serve.replica=2", "replica"),
        ("demonstrations.export.unit=word", "unit"),
        ("model=org/model", "copying practice"),
        ("practice.passage=[28, 4]", "the least comes first"),
        ("practice.lengths=[24, 4]", "practice.lengths.1"),
        ("data.random.as_many_as=most", "most"),
        ("name=Bad Name", "name"),
    ],
)
def test_a_wrong_value_is_named_before_anything_begins(item: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_experiment_config(["micro", item])


def changed(**more: Any) -> dict[str, Any]:
    return {**load_experiment_config(["micro"]).model_dump(mode="json"), **more}


def test_arms_must_have_data_and_somebody_to_be_compared_with() -> None:
    arm: dict[str, Any] = {"name": "new", "title": "New", "role": "candidate", "algorithm": "sft", "data": "selected"}
    assert ExperimentConfig.model_validate(changed(arms=[arm])).arms[0].gates[0].against == "base"
    for wrong, said in (
        ({"data": "nothing"}, "no data set"),
        ({"gates": [{"against": "nobody"}]}, "nobody"),
        ({"name": "base"}, "taken"),
    ):
        with pytest.raises(ValueError, match=said):
            ExperimentConfig.model_validate(changed(arms=[{**arm, **wrong}]))


def test_given_tasks_and_a_given_model_need_no_tokenizer(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_text(yaml.safe_dump({"model": "org/model", "practice": None}))
    config = load_experiment_config(["micro", str(path), "seeds=[5]"])
    config = config.model_copy(update={"tasks": TaskSpecs(train="a", eval="b")})
    stages = list(plan_stages(config))
    assert stages[:4] == ["tasks", "demonstrations", "seed5/base", "seed5/rollouts"]
    assert "seed5/data-random" in stages and stages.index("seed5/data-selected") < stages.index("seed5/data-random")
    assert planned(config)["episodes"]["evaluation"] is None


def test_settings_lie_on_top_of_each_other() -> None:
    assert merged({"a": {"b": 1, "c": 2}, "d": 1}, {"a": {"b": 3}}, {"d": {"e": 1}}) == {
        "a": {"b": 3, "c": 2},
        "d": {"e": 1},
    }


def test_a_dry_run_prints_stages_and_episodes_and_makes_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "trajectory_hub", "experiment", "micro", "-c", "seeds=[0,1]", "--dry-run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert told["root"] == "experiments/micro" and told["stages"][-1] == "gates"
    tasks = told["config"]["tasks"]["eval"]
    assert told["episodes"]["evaluation"] == tasks * 5 * 2
    assert list(tmp_path.iterdir()) == []
