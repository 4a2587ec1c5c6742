"""Task repos are written as SWE-bench 5 reads them, and read back without loss."""

from pathlib import Path
from typing import Any, cast

import pytest
from swebench.harness.utils import make_test_spec  # pyright: ignore[reportUnknownVariableType]
from swebench.task.checks import check_task_repo
from swebench.task.repo import load_task_repo  # pyright: ignore[reportUnknownVariableType]
from trajectory_hub.envs.assets import assets_of
from trajectory_hub.envs.sources import build_eval_script, expected_image, load_tasks, read_task_repo, write_task_repo
from trajectory_hub.envs.task import Provenance, Task
from trajectory_hub.errors import GraderError, TaskError, TaskNotFound

PATCH = "diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-old\r\n+neu \u00fc\r\n"


def make(name: str, **more: object) -> Task:
    script = build_eval_script(test_patch=PATCH, base_commit="c0", workdir="/testbed", command="pytest")
    fields: dict[str, object] = {
        "instance_id": name,
        "repo": "acme/tool",
        "base_commit": "c0",
        "patch": PATCH,
        "test_patch": PATCH.replace("x.py", "test_x.py"),
        "problem_statement": "first\n\nsecond: \u00fc",
        "version": "1.10",
        "FAIL_TO_PASS": ("no", "1.0", "t::a[x-\u00fc]"),
        "PASS_TO_PASS": ("null",),
        "image": expected_image(name),
        "log_parser": "parse_log_pytest",
        "eval_script": script,
        "test_command": "pytest -rA",
        "provenance": Provenance(source="injected", sha256="00", licence="MIT", seed=3),
    }
    return Task.model_validate(fields | more)


def write(folder: Path, *tasks: Task) -> Path:
    return write_task_repo(tasks, folder, dockerfiles={task.instance_id: "FROM base\n" for task in tasks})


def test_what_is_written_is_read_back_without_loss(tmp_path: Path) -> None:
    tasks = [make("acme__tool-1", hints_text="look there"), make("acme__tool-2", workdir="/app", network=True)]
    write(tmp_path, *tasks)
    read = read_task_repo(tmp_path)
    assert [task.model_copy(update={"extra": {}}) for task in read] == tasks
    assert read == load_tasks(str(tmp_path))


def test_the_official_checks_find_nothing_and_the_harness_reads_the_same(tmp_path: Path) -> None:
    task = make("acme__tool-1")
    write(tmp_path, task)
    assert check_task_repo(tmp_path) == []
    rows = cast(list[dict[str, Any]], load_task_repo(tmp_path))
    (row,) = rows
    spec = make_test_spec(row)
    assert row["patch"] == task.patch
    assert tuple(spec.FAIL_TO_PASS) == task.FAIL_TO_PASS
    assert spec.image == task.image


def test_extra_files_land_beside_the_dockerfile_and_never_outside(tmp_path: Path) -> None:
    task = make("acme__tool-1")
    dockerfiles = {task.instance_id: "FROM base\nCOPY tree /testbed\n"}
    files = {task.instance_id: {"tree/a/b.bin": b"\x00\xff", "tree/c.txt": "text"}}
    write_task_repo([task], tmp_path, dockerfiles=dockerfiles, files=files)
    assert (tmp_path / "tasks" / task.instance_id / "tree/a/b.bin").read_bytes() == b"\x00\xff"
    for path in ("../escape", "/escape"):
        with pytest.raises(TaskError, match="outside the task's folder"):
            write_task_repo([task], tmp_path, dockerfiles=dockerfiles, files={task.instance_id: {path: "x"}})


def test_a_task_without_dockerfile_or_script_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="acme__tool-1 has no Dockerfile"):
        write_task_repo([make("acme__tool-1")], tmp_path, dockerfiles={})
    with pytest.raises(TaskError, match="acme__tool-1 lacks eval_script"):
        write(tmp_path, make("acme__tool-1", eval_script=None))


def test_ids_choose_and_unknown_ids_are_named(tmp_path: Path) -> None:
    write(tmp_path, make("acme__tool-1"), make("acme__tool-2"))
    assert [task.instance_id for task in load_tasks(tmp_path, ids=["acme__tool-2"])] == ["acme__tool-2"]
    assert len(load_tasks(tmp_path, limit=1)) == 1
    with pytest.raises(TaskNotFound, match="acme__tool-9"):
        load_tasks(tmp_path, ids=["acme__tool-9"])


def test_a_task_outside_the_published_splits_is_only_given_by_id(tmp_path: Path) -> None:
    write(tmp_path, make("acme__tool-1"), make("acme__tool-2"))
    path = tmp_path / "tasks" / "acme__tool-2" / "task.yaml"
    path.write_text(path.read_text().replace("split: test", "split: deprecated"))
    assert [task.instance_id for task in load_tasks(tmp_path)] == ["acme__tool-1"]
    assert load_tasks(tmp_path, ids=["acme__tool-2"])
    with pytest.raises(TaskError, match="publishes no split 'dev'"):
        load_tasks(tmp_path, split="dev")


@pytest.mark.parametrize("file", ["task.yaml", "tests.json", "gold.patch"])
def test_a_broken_file_is_named(tmp_path: Path, file: str) -> None:
    write(tmp_path, make("acme__tool-1"))
    path = tmp_path / "tasks" / "acme__tool-1" / file
    path.unlink() if file == "gold.patch" else path.write_text("{")
    with pytest.raises(TaskError, match="acme__tool-1"):
        load_tasks(tmp_path)


def test_a_folder_that_is_no_task_repo_says_so(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"neither sweb\.yaml nor a tasks/ folder"):
        load_tasks(tmp_path)


def test_binary_files_of_the_patches_travel_with_the_task(tmp_path: Path) -> None:
    image = tmp_path / "expected.png"
    image.write_bytes(b"\x89PNG\r\n\x00\xff")
    entry = {"path": "test/fixtures/expected.png", "url": "https://example.org/expected.png", "file": str(image)}
    first = write(tmp_path / "one", make("acme__tool-1", image_assets={"test_patch": [entry], "patch": []}))
    (read,) = read_task_repo(first)
    stored = first / "tasks" / "acme__tool-1" / "test_assets" / entry["path"]
    assert stored.read_bytes() == image.read_bytes()
    assert read.image_assets["test_patch"] == [entry | {"file": str(stored)}]
    assert str(tmp_path) not in (first / "tasks" / "acme__tool-1" / "task.yaml").read_text().split("provenance")[0]
    assert check_task_repo(first) == []
    assert assets_of(read) == {entry["path"]: image.read_bytes()}


def test_a_binary_file_out_of_reach_is_named(tmp_path: Path) -> None:
    task = make("acme__tool-1", image_assets={"test_patch": [{"path": "a.png"}]})
    with pytest.raises(GraderError, match=r"asset a\.png is neither in the task repo"):
        assets_of(task)
    for path in ("../a.png", "/etc/a.png", "a/../../b.png"):
        with pytest.raises(TaskError, match="leads out of the repository"):
            assets_of(make("acme__tool-1", image_assets={"patch": [{"path": path}]}))
