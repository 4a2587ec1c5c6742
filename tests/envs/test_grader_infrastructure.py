"""What a patch may not change is recognised, and what it may change is left alone."""

from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.envs.infrastructure import TestInfrastructure, test_sections
from trajectory_hub.envs.patches import changed_paths
from trajectory_hub.envs.sources import load_tasks
from trajectory_hub.envs.task import Provenance, Task
from trajectory_hub.envs.verdict import SetAsideReason as Why


def diff(path: str) -> str:
    return f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-a\n+b\n"


def infrastructure(**change: Any) -> TestInfrastructure:
    fields: dict[str, Any] = {
        "instance_id": "a__b-1",
        "repo": "a/b",
        "base_commit": "c",
        "patch": diff("pkg/core.py") + diff("tox.ini"),
        "test_patch": diff("pkg/tests/test_core.py"),
        "FAIL_TO_PASS": ("pkg/tests/test_core.py::test_x", "pkg/check/test_more.py::test_y"),
        "eval_script": ": '>>>>> Start Test Output'\n./bin/runner.sh pkg/tests\n: '>>>>> End Test Output'\n",
        "provenance": Provenance(source="dataset"),
    }
    return TestInfrastructure.of(Task(**(fields | change)))


BASE = frozenset({"pkg/__init__.py", "pkg/core.py", "attr/__init__.py", "scripts/x.py"})


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("pkg/core.py", None),
        ("pkg/new.py", None),
        ("tox.ini", None),
        ("README.md", None),
        ("pkg/tests/test_core.py", Why.TEST_FILE),
        ("pkg/check/test_more.py", Why.TEST_FILE),
        ("bin/runner.sh", Why.TEST_FILE),
        ("pkg/tests/helpers.py", Why.TEST_SUPPORT),
        ("pkg/check/test_other.py", Why.TEST_SUPPORT),
        ("pkg/check/helpers.py", None),
        ("other/tests/test_z.py", None),
        ("conftest.py", Why.TEST_CONFIGURATION),
        ("deep/down/conftest.py", Why.TEST_CONFIGURATION),
        ("pytest.ini", Why.TEST_CONFIGURATION),
        (".coveragerc", Why.TEST_CONFIGURATION),
        ("web/jest.config.ts", Why.TEST_CONFIGURATION),
        ("web/vitest.config.mjs", Why.TEST_CONFIGURATION),
        ("karma.conf.js", Why.TEST_CONFIGURATION),
        ("sitecustomize.py", Why.RUNNER_PLUGIN),
        ("pkg/usercustomize.py", Why.RUNNER_PLUGIN),
        ("x.pth", Why.RUNNER_PLUGIN),
        ("x.egg-info/entry_points.txt", Why.RUNNER_PLUGIN),
        ("src/x-1.0.dist-info/METADATA", Why.RUNNER_PLUGIN),
        ("pkg/__pycache__/core.cpython-311.pyc", Why.COMPILED_CODE),
        ("pytest.py", Why.SHADOWS_RUNNER),
        ("_pytest/__init__.py", Why.SHADOWS_RUNNER),
        ("unittest/case.py", Why.SHADOWS_RUNNER),
        ("src/json.py", Why.SHADOWS_RUNNER),
        ("scripts/pluggy.py", Why.SHADOWS_RUNNER),
        ("pkg/json.py", None),
        ("pkg/pytest.py", None),
        ("scripts/types.py", None),
        ("attr/more.py", None),
    ],
)
def test_paths(path: str, why: Why | None) -> None:
    assert infrastructure().reason(path, BASE) == why


def test_what_the_reference_patch_changes_is_open_but_deciding_tests_never_are() -> None:
    found = infrastructure(patch=diff("conftest.py") + diff("pkg/tests/test_core.py"))
    assert found.reason("conftest.py") is None
    assert found.reason("pkg/tests/test_core.py") is Why.TEST_FILE
    assert found.reason("sub/conftest.py") is Why.TEST_CONFIGURATION


def test_a_file_the_script_names_is_open_when_the_reference_patch_changes_it() -> None:
    assert infrastructure(patch=diff("bin/runner.sh")).reason("bin/runner.sh") is None


PYPROJECT = b"[project]\nname = 'x'\nversion = '1'\n"


@pytest.mark.parametrize(
    ("path", "before", "after", "same"),
    [
        ("pyproject.toml", PYPROJECT, PYPROJECT.replace(b"'1'", b"'2'"), True),
        ("pyproject.toml", PYPROJECT, PYPROJECT + b"[tool.ruff]\nline-length = 3\n", True),
        ("pyproject.toml", PYPROJECT, PYPROJECT + b"[tool.pytest.ini_options]\naddopts = '-p x'\n", False),
        ("pyproject.toml", PYPROJECT, PYPROJECT + b"[project.entry-points.pytest11]\nx = 'x'\n", False),
        ("pyproject.toml", PYPROJECT, b"[broken", False),
        ("pyproject.toml", None, PYPROJECT, True),
        ("setup.cfg", b"[metadata]\nname=x\n", b"[metadata]\nname=y\n", True),
        ("setup.cfg", b"[metadata]\nname=x\n", b"[metadata]\nname=x\n[tool:pytest]\naddopts=-q\n", False),
        ("setup.cfg", b"", b"[options.entry_points]\npytest11 =\n  x = x\n", False),
        ("setup.cfg", b"", b"[options.entry_points]\nconsole_scripts =\n  x = x\n", True),
        ("setup.py", b"setup()\n", b"setup(entry_points={'pytest11': ['x = x']})\n", False),
        ("setup.py", b"setup()\n", b"setup(version='2')\n", True),
        ("package.json", b'{"version": "1"}', b'{"version": "2"}', True),
        ("package.json", b'{"scripts": {"test": "jest"}}', b'{"scripts": {"test": "true"}}', False),
        ("package.json", b"{}", b'{"jest": {"reporters": ["./x"]}}', False),
    ],
)
def test_shared_files_are_compared_by_their_sections_on_tests(
    path: str, before: bytes | None, after: bytes, same: bool
) -> None:
    assert (test_sections(path, before) == test_sections(path, after)) is same


SHARED = Path(__file__).parents[3] / "shared" / "data" / "swebench-verified-mini" / "instances.jsonl"


@pytest.mark.skipif(not SHARED.is_file(), reason=f"the real instances are not at {SHARED}")
def test_the_files_real_fixes_touch_would_be_open_to_any_patch() -> None:
    """Even were it not for the reference patch, which opens them in any case."""
    for task in load_tasks(SHARED):
        found = TestInfrastructure.of(task)
        blind = TestInfrastructure(frozenset(), found.tests, found.folders)
        paths = changed_paths(task.patch)
        assert [path for path in paths if blind.reason(path, paths)] == [], task.instance_id
