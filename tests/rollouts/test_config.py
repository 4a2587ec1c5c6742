"""Configuration: layers, errors that name what is wrong."""

from pathlib import Path

import pytest
import yaml
from trajectory_hub.envs.task import Provenance, Task
from trajectory_hub.errors import ConfigError, TaskIncomplete
from trajectory_hub.rollouts.config import CONFIGS, check_budget, choose, load_config, read_overrides, resolve
from trajectory_hub.rollouts.policies.choose import make_policy


def test_later_settings_win(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("seeds: 5\nenv: {max_steps: 7, cpus: 1}\n")
    config = load_config(read_overrides(["tasks=x", str(mine), "env.max_steps=9", "budget.cost_usd=0.5"]))
    assert (config.seeds, config.env.max_steps, config.env.cpus, config.budget.cost_usd) == (5, 9, 1, 0.5)


@pytest.mark.parametrize(
    ("items", "said"),
    [
        (["env.max_step=3"], "env.max_step: Extra inputs"),
        (["seeds=0"], "seeds: Input should be greater"),
        (["nowhere.yaml"], r"cannot read nowhere\.yaml"),
        (["chat.base_url=http://user:key@host/v1"], "put the key into the environment"),
        (["seeds=[1"], "is not YAML"),
    ],
)
def test_a_wrong_setting_is_named(items: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_config(read_overrides(["tasks=x", *items]))


def test_the_preset_says_what_the_defaults_are() -> None:
    preset = yaml.safe_load((CONFIGS / "rollout.yaml").read_text())
    bare = load_config({"tasks": "x"})
    defaults = type(bare)(tasks="x", prices=bare.prices)
    assert bare == defaults
    assert set(preset) <= set(type(bare).model_fields)


def test_a_task_that_cannot_run_is_named_before_anything_starts() -> None:
    config = load_config({"tasks": "x", "grade": True})
    task = Task(instance_id="bare-1", repo="a/b", base_commit="c", provenance=Provenance(source="dataset"))
    with pytest.raises(TaskIncomplete, match="bare-1 has no image"):
        choose(config, [task])
    with pytest.raises(TaskIncomplete, match="it lacks FAIL_TO_PASS, eval_script, log_parser"):
        choose(config, [task.model_copy(update={"image": "some"})])


def test_a_cost_limit_needs_a_price() -> None:
    config = load_config(read_overrides(["tasks=x", "budget.cost_usd=1"]))
    check_budget(config, "gpt-4o")
    check_budget(config, None)
    with pytest.raises(ConfigError, match="no price for 'mystery'"):
        check_budget(config, "mystery")


def test_the_url_of_a_chat_policy_becomes_a_setting() -> None:
    config = resolve(load_config(read_overrides(["tasks=x", "policy=chat:org/m@1@http://127.0.0.1:9/v1/"])))
    assert (config.policy, config.chat.model, config.chat.base_url) == ("chat", "org/m@1", "http://127.0.0.1:9/v1")


@pytest.mark.parametrize("spec", ["nobody", "chat:model", "chat:m@ftp://x", "scripted:none.yaml", "os.path:nothing"])
def test_an_unusable_policy_is_refused(spec: str) -> None:
    with pytest.raises(ConfigError):
        make_policy(spec, resolve(load_config({"tasks": "x", "policy": spec})).chat)
