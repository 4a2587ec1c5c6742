"""A user's mapping file completes tasks, from the general to the particular."""

import json
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.envs.sources import TaskMapping, load_tasks
from trajectory_hub.envs.task import ProSpec, Provenance, Task
from trajectory_hub.errors import ConfigError, TaskError


def make(**more: Any) -> Task:
    test_patch = "diff --git a/t.py b/t.py\n--- a/t.py\n+++ b/t.py\n@@ -1 +1 @@\n-a\n+b\n"
    fields: dict[str, Any] = {
        "instance_id": "Acme__tool-7",
        "repo": "acme/tool",
        "base_commit": "abc",
        "version": "2.1",
        "test_patch": test_patch,
        "FAIL_TO_PASS": ("t::a",),
        "provenance": Provenance(source="dataset"),
    }
    return Task(**(fields | more))


def complete(data: Any, task: Task) -> Task:
    return TaskMapping.from_data(data).complete(task)


def test_a_classic_task_becomes_gradable() -> None:
    entry = {
        "image": "registry/{owner}.{name}:{instance_id_1776}",
        "test_command": "pytest -rA ${X:-1} {version} {unknown}",
        "setup": "source activate",
        "log_parser": "parse_log_pytest",
    }
    task = complete({"acme/*": entry}, make())
    task.require_gradable()
    assert task.image == "registry/acme.tool:acme_1776_tool-7"
    script = task.eval_script or ""
    assert "pytest -rA ${X:-1} 2.1 {unknown}" in script
    assert script.index("source activate") < script.index("git apply") < script.index(">>>>> Start Test Output")
    assert task.test_command == "source activate && pytest -rA ${X:-1} 2.1 {unknown}"


def test_the_particular_wins_over_the_general() -> None:
    entries = {
        "*": {"image": "all", "log_parser": "parse_log_pytest", "eval_type": "fail_only"},
        "acme/*": {"image": "glob"},
        "acme/tool": {"image": "repo"},
        "Acme__tool-7": {"image": "id"},
    }
    task = complete(entries, make())
    assert (task.image, task.log_parser, task.eval_type) == ("id", "parse_log_pytest", "fail_only")
    del entries["Acme__tool-7"]
    assert complete(entries, make()).image == "repo"
    del entries["acme/tool"]
    assert complete(entries, make()).image == "glob"


def test_what_a_task_has_stays_unless_overridden() -> None:
    task = make(image="own", eval_script="own", log_parser="parse_log_django")
    entry = {"image": "mapped", "test_command": "pytest", "log_parser": "parse_log_pytest"}
    kept = complete({"*": entry}, task)
    assert (kept.image, kept.eval_script, kept.log_parser) == ("own", "own", "parse_log_django")
    changed = complete({"*": entry | {"override": True}}, task)
    assert (changed.image, changed.log_parser) == ("mapped", "parse_log_pytest")
    assert "pytest" in (changed.eval_script or "")


def test_a_script_of_ones_own_is_taken_with_its_placeholders_filled() -> None:
    task = complete({"*": {"eval_script": "cd {workdir} && run {base_commit}", "workdir": "/repo"}}, make())
    assert (task.workdir, task.eval_script) == ("/repo", "cd /repo && run abc")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"acme/tool": {"imgae": "x"}}, r"acme/tool\.imgae: .*known fields: image"),
        ({"acme/tool": {"network": "perhaps"}}, r"acme/tool\.network"),
        ({"acme/tool": "x"}, "acme/tool"),
        (["x"], "must map instance ids"),
    ],
)
def test_a_mistake_is_named_by_entry_and_field(data: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TaskMapping.from_data(data)


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_the_file_is_yaml_or_json(tmp_path: Path, suffix: str) -> None:
    row = make().model_dump(mode="json", exclude={"provenance", "extra", "pro", "image"})
    rows, path = tmp_path / "rows.jsonl", tmp_path / f"mapping{suffix}"
    rows.write_text(json.dumps(row) + "\n")
    path.write_text(json.dumps({"*": {"image": "mapped"}}))
    assert load_tasks(rows, mapping=path)[0].image == "mapped"
    path.write_text("{")
    with pytest.raises(ConfigError, match=path.name):
        load_tasks(rows, mapping=path)


def test_run_scripts_of_pro_are_found_from_the_mapping_file(tmp_path: Path) -> None:
    folder = tmp_path / "scripts" / "Acme__tool-7"
    folder.mkdir(parents=True)
    (folder / "run_script.sh").write_text("run")
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text("'*': {run_scripts: scripts/{instance_id}}")
    mapping.write_text("'*':\n  run_scripts: scripts/{instance_id}\n")
    with pytest.raises(TaskError, match=r"cannot read .*parser\.py"):
        TaskMapping.read(mapping).complete(make(pro=ProSpec()))
    (folder / "parser.py").write_text("parse")
    task = TaskMapping.read(mapping).complete(make(pro=ProSpec()))
    assert task.pro is not None
    assert (task.pro.run_script, task.pro.parser) == ("run", "parse")
