"""Recipes: the shipped ones are sound, one's own are checked."""

import json
from contextlib import nullcontext
from pathlib import Path

import pytest
from trajectory_hub.errors import ConfigError, Failure, StopReason
from trajectory_hub.rollouts import load_config
from trajectory_hub.rollouts.agents.ending import Ending
from trajectory_hub.rollouts.agents.recipe import VARIABLES, known_recipes, load_recipe
from trajectory_hub.rollouts.agents.settings import AgentConfig
from trajectory_hub.rollouts.agents.start import check_agent
from typer.testing import CliRunner

from .dialogues import exchanges


@pytest.mark.parametrize("name", known_recipes())
def test_shipped_recipes_name_only_variables_that_there_are(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name and recipe.told(problem_statement="p", repo="r", workdir="/w", instance_id="i")
    values = dict.fromkeys(VARIABLES, "x")
    told = [*recipe.environment(values).values(), *recipe.files.values(), *(one.path for one in recipe.transcripts)]
    named = {part.split("}")[0] for text in told for part in text.split("${")[1:]}
    assert named <= set(VARIABLES)
    assert not any("$TRAJHUB" in value for value in recipe.environment(values).values())


def test_adapters_that_recipes_name_are_there() -> None:
    from trajectory_hub.rollouts.adapters.registry import adapters

    wanted = {one.adapter for name in known_recipes() for one in load_recipe(name).transcripts if one.adapter}
    assert wanted <= set(adapters().adapters)


def test_a_recipe_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\ntitle: Mine\ncommand: mine --task {x}\nprompt: 'In {repo}: {problem_statement}'\n")
    recipe = load_recipe(str(path), {"env": {"A": "${TRAJHUB_MODEL}!"}, "version": "2"})
    values = {"TRAJHUB_HOME": "/h", "TRAJHUB_MODEL": "m"}
    assert recipe.environment(values) == {**values, "HOME": "/h", "A": "m!"}
    facts = {"repo": "a/b", "problem_statement": "{repo} is {odd}", "workdir": "/w", "instance_id": "i"}
    assert recipe.told(**facts) == "In a/b: {repo} is {odd}"  # a task's own braces are text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: Bad Name\ntitle: x\ncommand: x", "lower-case"),
        ("name: x\ntitle: x", "command: Field required"),
        ("name: x\ntitle: x\ncommand: x\ncolour: red", "colour: Extra inputs"),
        ("- a list", "no mapping"),
        ("a: [", "not YAML"),
    ],
)
def test_a_recipe_that_is_wrong_is_refused_with_the_reason(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_recipe(str(path))


def test_an_unknown_agent_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="claude-code"):
        load_recipe("claude")


def test_a_service_of_ones_own_gets_no_key() -> None:
    recipe = load_recipe("claude-code")
    public, own = AgentConfig(recipe=recipe, model="m"), AgentConfig(recipe=recipe, model="m", base_url="http://h:1/")
    assert (public.url, public.key_env) == ("https://api.anthropic.com", "ANTHROPIC_API_KEY")
    assert (own.url, own.key_env) == ("http://h:1", None)


@pytest.mark.parametrize("name", known_recipes())
def test_an_agent_that_asks_a_model_is_not_begun_without_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load_recipe(name)
    assert recipe.asks_model == (name != "command")
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(variable, raising=False)

    def checked(**agent: str) -> None:
        check_agent(load_config({"tasks": "t", "agent": {"recipe": recipe.model_dump(mode="json"), **agent}}))

    with pytest.raises(ConfigError, match="--model MODEL") if recipe.asks_model else nullcontext():
        checked()
    with pytest.raises(ConfigError, match=r"no \w+_API_KEY, the key of https://"):
        checked(model="m")
    checked(model="m", base_url="http://127.0.0.1:1/v1")


def test_a_crash_is_blamed_on_the_service_only_when_that_failed_last() -> None:
    crash = Ending(StopReason.POLICY_ERROR, Failure.MODEL, "status 1", crashed=True)
    good = exchanges()
    bad = good[0].model_copy(update={"status": 503, "response": None})
    assert crash.blamed([*good, bad]).failure is Failure.SERVICE
    assert crash.blamed([bad, *good]).failure is Failure.MODEL
    denied = bad.model_copy(update={"status": 403, "fault": "denied"})
    assert crash.blamed([denied]).failure is Failure.MODEL


def test_the_list_of_agents() -> None:
    from trajectory_hub.cli import app

    told = json.loads(CliRunner().invoke(app, ["run", "--list", "--json"]).stdout)
    assert {one["name"] for one in told} == set(known_recipes())


@pytest.mark.docker
def test_a_dry_run_says_what_would_be_done(tmp_path: Path, tiny_task: object) -> None:
    from trajectory_hub.cli import app
    from trajectory_hub.envs.sources import write_task_repo
    from trajectory_hub.envs.task import Task

    assert isinstance(tiny_task, Task)
    write_task_repo([tiny_task], tmp_path, dockerfiles={tiny_task.instance_id: "FROM scratch\n"})
    command = ["run", "codex", "--model", "gpt-5", "--tasks", str(tmp_path), "--dry-run", "-c", "budget.cost_usd=0.5"]
    done = CliRunner().invoke(app, [*command, "--seeds", "3"])
    told = json.loads(done.stdout)
    assert (told["episodes"], told["cost_ceiling_usd"]) == (3, 1.5)
    assert told["model_at"] == "https://api.openai.com/v1"
    assert told["config"]["agent"]["recipe"]["name"] == "codex"
