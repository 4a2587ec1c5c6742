"""What may never be used is never used; what may is chosen by configuration; everything refused is counted."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.envs.task import Provenance, Task
from trajectory_hub.errors import ConfigError, Failure, StopReason
from trajectory_hub.rollouts.payloads import Parent
from trajectory_hub.training.config import ConversationConfig, FilterConfig, LeakageConfig, load_export_config
from trajectory_hub.training.trajectories.filters import EpisodeFilter
from trajectory_hub.training.trajectories.intake import Intake
from trajectory_hub.training.trajectories.leakage import Leakage
from trajectory_hub.training.trajectories.records import find_episodes, open_sources

from ..episodes import FAILED, PATCH, READ, SOLVED, SUBMIT, Act, make_run, write_episode


def intake(run: Path, leakage: Leakage | None = None, tasks: Mapping[str, Task] | None = None, **config: Any) -> Intake:
    """What became of all episodes of a run."""
    sources = open_sources([run])
    found = Intake(
        filter=EpisodeFilter(FilterConfig(**config)),
        conversation=ConversationConfig(),
        leakage=leakage,
        tasks=tasks or {},
        sources={source.run_id: source for source in sources},
    )
    list(found.usable(list(find_episodes(sources))))
    return found


def refused(run: Path, **config: Any) -> Mapping[str, int]:
    """Refusals by reason."""
    return intake(run, **config).refusals.as_dict()


NEVER: dict[str, dict[str, Any]] = {
    "unfinished": {"stop": None},
    "interrupted": {"stop": StopReason.INTERRUPTED},
    "infrastructure": {"stop": StopReason.ENVIRONMENT_ERROR, "failure": Failure.ENVIRONMENT},
    "infrastructure-service": {"stop": StopReason.POLICY_ERROR, "failure": Failure.SERVICE},
    "infrastructure-tool": {"failure": Failure.TOOL},
    "infrastructure-grader": {"resolved": None, "report": {"reason": "environment_broken", "failure": "grader"}},
    "forged": {"resolved": False, "report": {"reason": "forged", "failure": "grader"}},
    "forged-canary": {"report": {"reason": "resolved", "canaries": {"results": [{"ok": False, "discounted": False}]}}},
    "forged-plugin": {"report": {"reason": "resolved", "set_aside": [{"path": "a.pth", "reason": "runner_plugin"}]}},
    "forged-hooks": {"report": {"set_aside": [{"path": "conftest.py", "reason": "test_configuration"}]}},
}


@pytest.mark.parametrize("name", NEVER)
def test_some_episodes_are_never_used_whatever_is_asked_for(tmp_path: Path, name: str) -> None:
    write_episode(make_run(tmp_path / "run"), **NEVER[name])
    anything = {"outcome": "any", "privileged": True, "stop_reasons": tuple(StopReason)}
    assert refused(tmp_path / "run", **anything) == {name.partition("-")[0]: 1}


def test_a_changed_test_file_or_a_canary_that_says_nothing_is_no_forgery(tmp_path: Path) -> None:
    report = {
        "reason": "resolved",
        "set_aside": [{"path": "tests/test_cart.py", "reason": "test_file"}],
        "canaries": {"results": [{"ok": False, "discounted": True}, {"ok": True}]},
    }
    write_episode(make_run(tmp_path / "run"), report=report)
    assert refused(tmp_path / "run") == {}


def test_a_log_that_was_edited_is_damaged(tmp_path: Path) -> None:
    log = write_episode(make_run(tmp_path / "run")) / "events.jsonl"
    log.write_bytes(log.read_bytes().replace(b"4 passed", b"9 passed"))
    assert refused(tmp_path / "run") == {"damaged": 1}


def test_a_patch_other_than_the_graded_one_is_damaged(tmp_path: Path) -> None:
    log = write_episode(make_run(tmp_path / "run")) / "events.jsonl"
    lines = [json.loads(line) for line in log.read_bytes().splitlines()]
    for line in lines:
        line.pop("chain")  # as version 1.0 wrote it: nothing but the digests tells
        if line["event_type"] == "final_patch":
            line["payload"]["patch"] += "+print()\n"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert refused(tmp_path / "run") == {"damaged": 1}


CHOSEN: list[tuple[dict[str, Any], dict[str, Any], str | None]] = [
    ({"privileged": True}, {}, "privileged"),
    ({"privileged": True}, {"privileged": True}, None),
    ({"resolved": False}, {"outcome": "resolved"}, "outcome"),
    ({"resolved": None}, {"outcome": "graded"}, "outcome"),
    ({"resolved": None}, {"outcome": "any"}, None),
    ({"resolved": False}, {"outcome": "unresolved"}, None),
    ({"process": 0.4}, {"min_process": 0.5}, "process_score"),
    ({"process": None}, {"min_process": 0.5}, "process_score"),
    ({"process": 0.5}, {"min_process": 0.5}, None),
    ({"stop": StopReason.STEP_LIMIT}, {"stop_reasons": ("submitted",)}, "stop_reason"),
    ({"acts": (Act("submit", reward=0.1),)}, {"min_step_reward": 0.2}, "step_reward"),
    ({"acts": (SUBMIT,)}, {"min_steps": 2}, "too_short"),
    ({"acts": SOLVED}, {"max_steps": 3}, "too_long"),
    ({"acts": SOLVED}, {"max_characters": 100}, "too_long"),
    ({"acts": (READ,)}, {"max_characters": 10_000}, None),
    ({"acts": (Act("file_read", {"path": "a", "start": 1 << 70}),)}, {}, "not_portable"),
    ({"acts": ()}, {}, "nothing_said"),
]


@pytest.mark.parametrize(("episode", "config", "reason"), CHOSEN)
def test_episodes_are_chosen_by_configuration(
    tmp_path: Path, episode: dict[str, Any], config: dict[str, Any], reason: str | None
) -> None:
    write_episode(make_run(tmp_path / "run"), **episode)
    assert refused(tmp_path / "run", **config) == ({} if reason is None else {reason: 1})


def test_refusals_name_the_first_episodes(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    for seed in range(30):
        write_episode(run, seed=seed, resolved=False)
    found = intake(run, outcome="resolved")
    assert (found.seen, found.refusals.total) == (30, 30)
    names = found.refusals.named()["outcome"]
    assert len(names) == 20
    assert names[0] == "run/shop-1--s0--a1"


def test_steps_taken_over_from_somebody_who_knew_the_answer_are_privileged(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    known = write_episode(run, seed=0, privileged=True)
    own = write_episode(run, seed=1)
    write_episode(run, seed=2, parent=Parent(run_id="run", episode_id=known.name, steps=2))
    write_episode(run, seed=3, parent=Parent(run_id="run", episode_id=own.name, steps=2))
    write_episode(run, seed=4, parent=Parent(run_id="elsewhere", episode_id="x", steps=2))
    write_episode(run, seed=5, parent=Parent(run_id="elsewhere", episode_id="x", steps=0))
    found = intake(run)
    assert found.refusals.named() == {"privileged": ["run/shop-1--s0--a1", "run/shop-1--s2--a1", "run/shop-1--s4--a1"]}
    assert refused(run, privileged=True) == {}


def task(name: str = "other-1", **fields: Any) -> Task:
    """An evaluation task that has nothing to do with those of the episodes."""
    told: dict[str, Any] = {
        "repo": "other/thing",
        "base_commit": "e",
        "patch": "",
        "problem_statement": "Parsing of dates is slow.",
    }
    return Task(instance_id=name, **{**told, **fields}, provenance=Provenance(source="test"))


LEAKS: list[tuple[dict[str, Any], str | None]] = [
    ({}, None),
    ({"name": "SHOP-1"}, "leak_instance"),
    ({"repo": "Demo/Shop"}, "leak_repository"),
    ({"repo": "swesmith/demo__shop.1a2b3c4d"}, "leak_repository"),
    ({"patch": PATCH.replace("shop/cart.py", "lib/other.py")}, "leak_patch"),
    ({"patch": PATCH.replace("amount >= DISCOUNT_THRESHOLD", "total.is_large_enough_for_it()")}, None),
    ({"problem_statement": "Cart.total gives no discount at the threshold!"}, "leak_statement"),
]


@pytest.mark.parametrize(("evaluation", "reason"), LEAKS)
def test_what_gives_an_evaluation_task_away_is_refused_by_name(
    tmp_path: Path, evaluation: dict[str, Any], reason: str | None
) -> None:
    write_episode(make_run(tmp_path / "run"))
    against = Leakage([task("unrelated"), task(**evaluation)], LeakageConfig(statement=0.6))
    found = intake(tmp_path / "run", against)
    assert found.refusals.as_dict() == ({} if reason is None else {reason: 1})
    if reason is not None:
        (leak,) = found.refusals.leaks
        assert leak.startswith(f"shop-1 ~ {evaluation.get('name', 'other-1')} (")


def test_each_check_for_leaks_can_be_left_out(tmp_path: Path) -> None:
    write_episode(make_run(tmp_path / "run"))
    same = task(
        "shop-1", repo="demo/shop", patch=PATCH, problem_statement="Cart.total gives no discount at the threshold."
    )
    steps = ["instance", "repository", "patch", "statement"]
    found = list[Mapping[str, int]]()
    for count in range(5):
        off = {name: None if name in ("patch", "statement") else False for name in steps[:count]}
        found.append(intake(tmp_path / "run", Leakage([same], LeakageConfig(**off))).refusals.as_dict())  # pyright: ignore
    assert found == [{f"leak_{name}": 1} for name in steps] + [{}]


def test_the_reference_patch_of_a_training_task_counts_where_it_is_known(tmp_path: Path) -> None:
    write_episode(make_run(tmp_path / "run"), FAILED, resolved=False, patch="")
    against = Leakage([task(patch=PATCH)], LeakageConfig())
    assert intake(tmp_path / "run", against).refusals.as_dict() == {}
    known = {"shop-1": task("shop-1", patch=PATCH)}
    assert intake(tmp_path / "run", against, known).refusals.as_dict() == {"leak_patch": 1}


def test_settings_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"filter\.outcom"):
        load_export_config(["filter.outcom=resolved"])
    with pytest.raises(ConfigError, match="max_tokens needs tokenizer"):
        load_export_config(["filter.max_tokens=100"])
    with pytest.raises(ConfigError, match="infrastructure"):
        load_export_config(["filter.infrastructure=true"])
    assert load_export_config(["filter.min_process=0.5"]).filter.outcome == "resolved"
