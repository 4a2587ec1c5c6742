"""Exported data: the right rows, the same bytes each time, files that `datasets` reads back, an honest card."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets import Features, load_dataset  # pyright: ignore
from trajectory_hub.envs.sources import write_task_repo
from trajectory_hub.envs.task import Provenance, Task
from trajectory_hub.errors import UsageError
from trajectory_hub.rollouts.payloads import Parent
from trajectory_hub.training.config import load_export_config, load_pairs_config
from trajectory_hub.training.data_sets.columns import columns_of, features
from trajectory_hub.training.data_sets.export import Exported, Request, export_preferences, export_sft
from trajectory_hub.training.data_sets.pair_files import write_pairs
from trajectory_hub.training.preferences.finder import PairFinder
from trajectory_hub.training.trajectories.records import open_sources

from ..episodes import FAILED, FIX, GREP, PATCH, READ, SOLVED, SUBMIT, TEST, WRONG, Act, make_run, write_episode

RUNS = Path(__file__).parents[2] / "data" / "runs-1.0"
OTHER_PATCH = PATCH.replace("amount >= DISCOUNT_THRESHOLD", "amount > DISCOUNT_THRESHOLD - 1")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Four tasks; arguments and observations with everything that JSON and parquet treat specially."""
    made = make_run(tmp_path / "run")
    odd = Act("shell", {"command": "printf '\u2028\\0é\\n'"}, '\u2028 \x00 é "quoted" null', "Odd \ud7ff text")
    floats = Act("shell", {"command": "true", "timeout": 0.1}, "")
    for number, acts in enumerate((SOLVED, (GREP, *SOLVED), (odd, FIX, SUBMIT), (floats, TEST, FIX, SUBMIT))):
        write_episode(made, acts, task=f"shop-{number}", process=0.5 + number / 10)
        write_episode(made, FAILED, task=f"shop-{number}", seed=1, resolved=False, patch=OTHER_PATCH, process=0.2)
    return made


def sft(out: Path | None, *runs: Path, items: tuple[str, ...] = (), **fields: Any) -> Exported:
    return export_sft(Request(sources=runs, out=out, config=load_export_config(items), **fields))


def preference(out: Path | None, *sources: Path, items: tuple[str, ...] = (), **fields: Any) -> Exported:
    return export_preferences(Request(sources=sources, out=out, config=load_export_config(items), **fields))


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "data/train.jsonl").read_text().split("\n")[:-1]]


def _sha(name: str) -> str:
    return hashlib.sha256(f"{name}\n".encode()).hexdigest()


def everything(folder: Path) -> Mapping[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_resolved_and_submitted_episodes_become_conversations(run: Path, tmp_path: Path) -> None:
    done = sft(tmp_path / "out", run)
    rows = lines(tmp_path / "out")
    assert done.rows == len(rows) == 4
    assert [row["task_id"] for row in rows] == [f"shop-{n}" for n in range(4)]
    assert list(rows[0]) == list(columns_of("sft"))
    assert [m["role"] for m in rows[0]["messages"]][:4] == ["system", "user", "assistant", "tool"]
    assert rows[3]["messages"][2]["tool_calls"][0]["function"]["arguments"] == {"command": "true", "timeout": 0.1}
    assert rows[2]["messages"][3]["content"] == '\u2028 \x00 é "quoted" null'
    assert {tool["function"]["name"] for tool in rows[0]["tools"]} >= {"file_edit", "submit"}
    assert (rows[0]["resolved"], rows[0]["process_score"], rows[0]["steps"]) == (True, 0.5, 4)
    assert done.statistics["refused"] == {"outcome": 4}


@pytest.mark.parametrize("kind", ["sft", "steps", "preference"])
def test_the_same_runs_give_the_same_bytes_wherever_they_lie(run: Path, tmp_path: Path, kind: str) -> None:
    moved = tmp_path / "elsewhere" / "run"
    moved.parent.mkdir()
    found = list[Mapping[str, str]]()
    for number, source in enumerate((run, run, moved)):
        if source is moved:
            run.rename(moved)
        out = tmp_path / f"out{number}"
        if kind == "preference":
            preference(out, source)
        else:
            sft(out, source, items=(f"unit={'step' if kind == 'steps' else 'trajectory'}",))
        found.append(everything(out))
    assert found[0] == found[1] == found[2]
    assert set(found[0]) == {"README.md", "statistics.json", "data/train.jsonl", "data/train.parquet"}


@pytest.mark.parametrize("kind", ["sft", "steps", "preference"])
def test_datasets_reads_the_same_rows_and_features_from_every_file(run: Path, tmp_path: Path, kind: str) -> None:
    out, cache = tmp_path / "out", str(tmp_path / "cache")
    if kind == "preference":
        preference(out, run)
        columns = columns_of("preference")
    else:
        unit = "step" if kind == "steps" else "trajectory"
        sft(out, run, items=(f"unit={unit}",))
        columns = columns_of("sft", by_step=kind == "steps")
    alone = tmp_path / "alone"
    if kind == "preference":
        preference(alone, run, items=("formats=[jsonl]",))
    else:
        sft(alone, run, items=(f"unit={'step' if kind == 'steps' else 'trajectory'}", "formats=[jsonl]"))
    wanted: Any = Features.from_dict(features(columns))  # pyright: ignore
    rows = lines(out)
    file = str(out / "data/train.")
    read: dict[str, Any] = {
        "folder": load_dataset(str(out), split="train", cache_dir=cache),
        "jsonl of a folder": load_dataset(str(alone), split="train", cache_dir=cache),
        "parquet": load_dataset("parquet", data_files=f"{file}parquet", split="train", cache_dir=cache),
        "jsonl": load_dataset("json", data_files=f"{file}jsonl", split="train", features=wanted, cache_dir=cache),
        "streamed": load_dataset(str(out), split="train", streaming=True, cache_dir=cache),
    }
    for name, data in read.items():
        assert data.features == wanted, name
        assert list(data) == rows, name


def test_one_row_a_step_is_what_came_before_and_the_answer(run: Path, tmp_path: Path) -> None:
    write_episode(run, (READ, Act("search", {"pattern": "x"}, reward=0.1), FIX, SUBMIT), task="shop-9")
    done = sft(tmp_path / "out", run, items=("unit=step", "filter.min_step_reward=0.5"), pattern="shop-9")
    rows = lines(tmp_path / "out")
    assert [row["step"] for row in rows] == [0, 2, 3]
    assert done.statistics["refused"] == {"step_reward": 1}
    assert [len(row["completion"]) for row in rows] == [1, 1, 1]
    assert len(rows[1]["prompt"]) == 6  # what was not good enough to be learnt is still what happened
    assert rows[1]["completion"][0]["tool_calls"][0]["function"]["name"] == "file_edit"
    assert rows[1]["reward"] == 0.8


def test_steps_of_a_parent_are_not_exported_again_by_its_branches(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    parent = write_episode(run, SOLVED, seed=0)
    branched = Parent(run_id="run", episode_id=parent.name, steps=2)
    write_episode(run, (READ, FIX, GREP, SUBMIT), seed=1, parent=branched)
    sft(tmp_path / "out", run, items=("unit=step",))
    rows = lines(tmp_path / "out")
    assert [(row["episode_id"][-6:], row["step"]) for row in rows] == [
        ("s0--a1", 0), ("s0--a1", 1), ("s0--a1", 2), ("s0--a1", 3), ("s1--a1", 2), ("s1--a1", 3)
    ]  # fmt: skip


def test_near_duplicates_of_one_task_are_left_out(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    for seed in range(3):
        write_episode(run, SOLVED, seed=seed)
    write_episode(run, SOLVED, task="other")
    done = sft(tmp_path / "out", run)
    assert (done.rows, done.statistics["refused"]) == (2, {"near_duplicate": 2})
    assert sft(None, run, items=("near_duplicate=null",)).rows == 4


def test_pairs_and_runs_give_the_same_preferences(run: Path, tmp_path: Path) -> None:
    write_pairs(PairFinder(open_sources([run]), load_pairs_config()), tmp_path / "pairs")
    stored = preference(tmp_path / "one", tmp_path / "pairs")
    found = preference(tmp_path / "two", run)
    assert lines(tmp_path / "one") == lines(tmp_path / "two")
    assert stored.rows == found.rows > 4
    assert stored.statistics["runs"] == found.statistics["runs"]
    row = lines(tmp_path / "one")[0]
    assert (row["level"], row["reason"], row["layers"], row["basis"]) == (
        "trajectory",
        "outcome",
        ["verdict"],
        "verdict",
    )
    assert (row["chosen_value"], row["rejected_value"], row["margin"]) == (1.0, 0.0, 1.0)
    assert row["prompt"][-1]["role"] == "tool"
    assert row["chosen"][0]["role"] == row["rejected"][0]["role"] == "assistant"


def test_pairs_can_be_chosen_again_when_they_are_exported(run: Path, tmp_path: Path) -> None:
    write_episode(run, (TEST, GREP, FIX, SUBMIT), task="shop-0", seed=2, process=0.9, privileged=True)
    write_episode(run, (GREP, WRONG, GREP), task="shop-0", seed=3, resolved=False, process=0.6, patch=None)
    settings = load_pairs_config(["filter.privileged=true"])
    write_pairs(PairFinder(open_sources([run]), settings), tmp_path / "pairs")
    every = preference(None, tmp_path / "pairs", items=("pairs.filter.privileged=true",))
    own = preference(None, tmp_path / "pairs")
    assert 0 < own.rows < every.rows
    assert own.statistics["refused"] == {"privileged": every.rows - own.rows}
    sure = preference(None, tmp_path / "pairs", items=("min_confidence=0.99",))
    assert sure.statistics["refused"]["confidence"] > 0
    wide = preference(None, tmp_path / "pairs", items=("min_margin=0.9",))
    assert wide.statistics["refused"]["margin"] > 0
    tasks = tmp_path / "eval.jsonl"
    tasks.write_text(
        json.dumps(
            {
                "instance_id": "shop-1",
                "repo": "x/y",
                "base_commit": "c",
                "patch": "",
                "test_patch": "",
                "problem_statement": "",
            }
        )
        + "\n"
    )
    checked = preference(None, tmp_path / "pairs", eval_tasks=str(tasks))
    assert checked.statistics["leaks"] == {"shop-1 ~ shop-1 (1.00)": "leak_instance"}
    other = json.loads(tasks.read_text()) | {"instance_id": "other-1", "patch": PATCH}
    tasks_by_patch = tmp_path / "by_patch.jsonl"
    tasks_by_patch.write_text(json.dumps(other) + "\n")
    by_patch = preference(None, tmp_path / "pairs", eval_tasks=str(tasks_by_patch))
    assert set(by_patch.statistics["leaks"].values()) == {"leak_patch"}
    assert by_patch.statistics["evaluation"]["without_patch"] == 1  # a pair of two patches that are known to be wrong
    _forget_sketches(tmp_path / "pairs" / "pairs.jsonl")
    unknown = preference(None, tmp_path / "pairs", eval_tasks=str(tasks_by_patch))
    assert unknown.statistics["leaks"] == {}
    assert unknown.statistics["evaluation"]["without_patch"] == unknown.rows
    assert preference(None, tmp_path / "pairs", pattern="*-[12]").statistics["contents"]["distinct_task_id"] == 2
    preference(tmp_path / "checked", tmp_path / "pairs", eval_tasks=str(tasks))
    card = (tmp_path / "checked" / "README.md").read_text()
    assert f"Compared with the 1 tasks of an evaluation, the SHA-256 of whose sorted ids is `{_sha('shop-1')}`" in card
    assert "- `shop-1 ~ shop-1 (1.00)`" in card
    with pytest.raises(UsageError, match="either runs, or one folder of pairs"):
        preference(None, tmp_path / "pairs", run)


def _forget_sketches(pairs: Path) -> None:
    """Pairs as version 1.0 wrote them."""
    lines = list[str]()
    for line in pairs.read_text().rstrip("\n").split("\n"):
        pair = json.loads(line) | {"schema_version": "1.0"}
        del pair["reference_sketch"], pair["chosen"]["patch_sketch"], pair["rejected"]["patch_sketch"]
        lines.append(json.dumps(pair) + "\n")
    pairs.write_text("".join(lines))


def test_template_arguments_are_a_column_where_there_are_any(run: Path, tmp_path: Path) -> None:
    off = {"enable_thinking": False}
    thinking = make_run(tmp_path / "thinking", chat={"extra_body": {"chat_template_kwargs": off}})
    write_episode(thinking, SOLVED, task="shop-8")
    sft(tmp_path / "recorded", run, thinking)
    assert [row["chat_template_kwargs"] for row in lines(tmp_path / "recorded")] == [{}] * 4 + [off]
    sft(tmp_path / "given", run, items=("conversation.chat_template_kwargs={reasoning_effort: low}",))
    assert [row["chat_template_kwargs"] for row in lines(tmp_path / "given")] == [{"reasoning_effort": "low"}] * 4
    sft(tmp_path / "none", thinking, items=("conversation.chat_template_kwargs={}",))
    assert "chat_template_kwargs" not in lines(tmp_path / "none")[0]
    data: Any = load_dataset(str(tmp_path / "recorded"), split="train", cache_dir=str(tmp_path / "cache"))
    assert data[4]["chat_template_kwargs"] == off


def test_the_card_says_what_is_in_the_files(run: Path, tmp_path: Path) -> None:
    needed: dict[str, Any] = {
        "image": "x",
        "FAIL_TO_PASS": ("t",),
        "eval_script": "true\n",
        "log_parser": "parse_log_pytest",
    }
    known = [
        Task(
            **needed,
            instance_id=f"shop-{n}",
            repo="demo/shop",
            base_commit="c",
            problem_statement="p",
            provenance=Provenance(source="t", licence="MIT" if n else "BSD-3-Clause"),
        )
        for n in range(3)
    ]
    write_task_repo(known, tmp_path / "tasks", dockerfiles={task.instance_id: "FROM scratch\n" for task in known})
    done = sft(tmp_path / "out", run, tasks=str(tmp_path / "tasks"))
    card = (tmp_path / "out" / "README.md").read_text()
    header = yaml.safe_load(card.split("---\n")[1])
    assert header["license"] == "other"
    assert [config["data_files"] for config in header["configs"]] == [
        [{"split": "train", "path": "data/train.parquet"}]
    ]
    for file in done.files:
        data = (tmp_path / "out" / file.name).read_bytes()
        assert (file.bytes, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert f"| {file.name} | {file.bytes} | `{file.sha256}` |" in card
    assert done.statistics["licences"] == {"MIT": 2, "BSD-3-Clause": 1, "unknown": 1}
    logs = sorted(run.glob("episodes/*s0--a1/events.jsonl"))
    digests = [f"{log.parent.name} {hashlib.sha256(log.read_bytes()).hexdigest()}\n" for log in logs]
    (facts,) = done.statistics["runs"]
    assert facts == {
        "run": "run",
        "agent": "agent",
        "model": None,
        "code": "0.1.0 " + "f" * 40,
        "episodes": 4,
        "digest": hashlib.sha256("".join(digests).encode()).hexdigest(),
    }
    assert facts["digest"] in card
    assert json.loads((tmp_path / "out" / "statistics.json").read_text()) == done.statistics
    steps = done.statistics["contents"]["values"]["steps"]
    assert steps == {"count": 4, "min": 3.0, "mean": 4.0, "median": 4.0, "p95": 5.0, "max": 5.0}
    assert done.statistics["contents"]["counts"]["tool_calls"]["submit"] == 4
    assert str(tmp_path) not in card + json.dumps(done.statistics)
    one = sft(tmp_path / "mit", run, tasks=str(tmp_path / "tasks"), pattern="shop-1")
    assert one.rows == 1
    assert yaml.safe_load((tmp_path / "mit" / "README.md").read_text().split("---\n")[1])["license"] == "mit"


def test_limit_filter_order_and_a_dry_run(run: Path, tmp_path: Path) -> None:
    assert sft(None, run, limit=2).rows == 2
    assert sft(None, run, pattern="*-[13]").rows == 2
    orders = {seed: [r["task_id"] for r in _shuffled(run, tmp_path / f"s{seed}", seed)] for seed in range(5)}
    assert all(sorted(order) == [f"shop-{n}" for n in range(4)] for order in orders.values())
    assert len({tuple(order) for order in orders.values()}) > 1
    assert orders[3] == [row["task_id"] for row in _shuffled(run, tmp_path / "again", 3)]
    assert not (tmp_path / "out").exists()


def _shuffled(run: Path, out: Path, seed: int) -> list[dict[str, Any]]:
    sft(out, run, items=(f"seed={seed}", "formats=[jsonl]"))
    return lines(out)


def test_nothing_is_written_where_something_else_is_and_old_files_go(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds something else"):
        sft(run, run)
    sft(tmp_path / "out", run)
    sft(tmp_path / "out", run, items=("formats=[jsonl]",))
    assert set(everything(tmp_path / "out")) == {"README.md", "statistics.json", "data/train.jsonl"}
    empty = sft(tmp_path / "empty", run, items=("filter.min_process=1.0",))
    assert (empty.rows, empty.folder) == (0, None)
    assert everything(tmp_path / "empty") == {}
    assert sft(tmp_path / "empty", run).rows == 4


def test_recorded_runs_of_an_earlier_version_are_exported_too(tmp_path: Path) -> None:
    done = sft(tmp_path / "out", RUNS / "reference", RUNS / "random", items=("filter.privileged=true",))
    assert (done.rows, done.statistics["refused"]) == (2, {"near_duplicate": 2, "outcome": 4})
    pairs = preference(tmp_path / "pairs", RUNS / "reference", RUNS / "random", items=("pairs.filter.privileged=true",))
    assert pairs.rows > 0


def test_what_failed_or_was_killed_leaves_nothing_in_the_way(run: Path, tmp_path: Path) -> None:
    write_pairs(PairFinder(open_sources([run]), load_pairs_config()), tmp_path / "pairs")
    with (tmp_path / "pairs" / "pairs.jsonl").open("a") as file:
        file.write("{}\n")
    with pytest.raises(UsageError, match="no pair"):
        preference(tmp_path / "out", tmp_path / "pairs")
    assert not (tmp_path / "out").exists()
    (tmp_path / "out" / "data").mkdir(parents=True)
    (tmp_path / "out" / "data" / ".train.jsonl.partial").write_text("half a l")
    sft(tmp_path / "out", run)
    assert ".partial" not in str(everything(tmp_path / "out"))
    assert len(lines(tmp_path / "out")) == 4
