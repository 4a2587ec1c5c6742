"""What in a repository decides how tests are run and reported, and so is not a patch's to change."""

import configparser
import json
import re
import sys
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any, cast

from .assets import asset_paths
from .patches import changed_paths
from .task import Task
from .verdict import SetAsideReason

__all__ = ["SHARED_FILES", "TestInfrastructure", "test_sections"]

_CONFIGURATION = (
    *("conftest.py", "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "tox.ini", "tox.toml"),
    *(".coveragerc", "noxfile.py", "nose.cfg", ".noserc", "unittest.cfg", ".testr.conf", "runtests.py"),
    *("jest.config.*", "jest.setup.*", "jest.preset.*", "jest-*.config.*", "karma.conf.*", "vitest.config.*"),
    *(
        "vitest.setup.*",
        "vitest.workspace.*",
        ".mocharc*",
        "mocha.opts",
        "ava.config.*",
        "cypress.config.*",
        "playwright.config.*",
        "jasmine.json",
    ),
    *(".taprc", ".nycrc*", "phpunit.xml*", ".rspec", "spec_helper.rb", "rails_helper.rb", "test_helper.rb"),
    *("nextest.toml", "CTestTestfile.cmake"),
)
_PLUGINS = ("sitecustomize.py", "usercustomize.py", "*.pth", "*.egg-link")
_METADATA = ("*.egg-info", "*.dist-info")
_RUNNERS = {
    *("pytest", "_pytest", "py", "pluggy", "iniconfig", "xdist", "nose", "nose2", "unittest2", "tox"),
    *("coverage", "pytest_cov", "hypothesis", "mock", "attr", "exceptiongroup", "tomli", "packaging"),
    *("_distutils_hack", "pkg_resources", "setuptools"),
}
_TEST_FOLDERS = {"test", "tests", "spec", "specs", "__tests__", "unittests", "unit_tests"}
_TEST_NAMES = ("test_*.py", "*_test.py", "tests.py", "*_test.go", "*.test.*", "*.spec.*", "*_spec.rb")
SHARED_FILES = ("pyproject.toml", "setup.cfg", "setup.py", "package.json")
"""Files of which only a part is test infrastructure."""
_JS_KEYS = ("scripts", "jest", "mocha", "ava", "nyc", "c8", "karma", "vitest", "tap", "cypress")


@dataclass(frozen=True, slots=True)
class TestInfrastructure:
    """The test infrastructure of one task."""

    __test__ = False

    reference: frozenset[str]
    """Paths the reference patch touches; these are open to any patch."""
    tests: frozenset[str]
    """Files that hold deciding tests."""
    folders: frozenset[str]
    """Folders of tests that hold them, each with a slash at its end."""

    @classmethod
    def of(cls, task: Task) -> "TestInfrastructure":
        """Read it off a task: its patches, the ids of its tests, the files its script names."""
        reference = frozenset((*changed_paths(task.patch), *asset_paths(task, "patch")))
        brought = (*changed_paths(task.test_patch), *asset_paths(task, "test_patch"))
        tests = {*brought, *_named_by_ids(task), *(_named_by_script(task) - reference)}
        if task.pro is not None:
            tests |= {name.split("::")[0].split(" | ")[0] for name in task.pro.selected_test_files_to_run}
        folders = {folder for path in tests if (folder := _test_folder(path))}
        return cls(reference, frozenset(tests), frozenset(folders))

    def reason(self, path: str, base: Collection[str] = ()) -> SetAsideReason | None:
        """Why a change of `path` is set aside, or None. `base` holds the repository's files before the patch."""
        if path in self.tests:
            return SetAsideReason.TEST_FILE
        if path in self.reference:
            return None
        parts = PurePosixPath(path).parts
        name = PurePosixPath(path).name
        if _matches(name, _PLUGINS) or any(_matches(part, _METADATA) for part in parts):
            return SetAsideReason.RUNNER_PLUGIN
        if _matches(name, _CONFIGURATION):
            return SetAsideReason.TEST_CONFIGURATION
        if name.endswith((".pyc", ".pyo")) or "__pycache__" in parts:
            return SetAsideReason.COMPILED_CODE
        if any(path.startswith(folder) for folder in self.folders) or self._beside_tests(path, name):
            return SetAsideReason.TEST_SUPPORT
        return SetAsideReason.SHADOWS_RUNNER if _shadows(parts, base) else None

    def _beside_tests(self, path: str, name: str) -> bool:
        folder = PurePosixPath(path).parent
        beside = any(PurePosixPath(test).parent == folder for test in self.tests)
        return beside and _matches(name, _TEST_NAMES)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)


def _named_by_ids(task: Task) -> set[str]:
    files = (name.split("::")[0] for name in (*task.FAIL_TO_PASS, *task.PASS_TO_PASS) if "::" in name)
    return {file for file in files if PurePosixPath(file).suffix}


def _named_by_script(task: Task) -> set[str]:
    """Files that the evaluation script names between its markers."""
    script = task.eval_script or ""
    _, _, rest = script.partition(">>>>> Start Test Output")
    region = rest.partition(">>>>> End Test Output")[0]
    words = (word.strip("'\"").removeprefix("./").split("::")[0] for word in region.split())
    return {word for word in words if re.fullmatch(r"[\w./-]*\w\.\w+|bin/\w+", word) and ".." not in word}


def _test_folder(path: str) -> str | None:
    parts = PurePosixPath(path).parts[:-1]
    for index, part in enumerate(parts):
        if part.lower() in _TEST_FOLDERS:
            return "/".join(parts[: index + 1]) + "/"
    return None


def _shadows(parts: tuple[str, ...], base: Collection[str]) -> bool:
    """Whether a new module would be found by `import` in place of the runner or the standard library."""
    for index, part in enumerate(parts):
        path = "/".join(parts[: index + 1])
        is_file = index == len(parts) - 1
        module = part.split(".")[0] if is_file and part.endswith((".py", ".so", ".pyd")) else part
        parent = "/".join(parts[:index])
        root = parent in ("", "src", "lib")
        if module not in _RUNNERS and not (root and module in sys.stdlib_module_names):
            continue
        existed = path in base if is_file else any(known.startswith(path + "/") for known in base)
        if not existed and f"{parent}/__init__.py" not in base:
            return not is_file or part != module
    return False


def test_sections(path: str, data: bytes | None) -> Any:
    """What a shared file says of tests, in a form that can be compared; None when it is absent or says nothing."""
    if data is None:
        return None
    name = PurePosixPath(path).name
    text = data.decode("utf-8", errors="replace")
    readers = {"pyproject.toml": _pyproject, "setup.cfg": _setup_cfg, "package.json": _package_json}
    try:
        return readers.get(name, _setup_py)(text) or None
    except (ValueError, configparser.Error):
        return ("unreadable", text)


test_sections.__test__ = False  # pyright: ignore[reportFunctionMemberAccess]


def _dig(data: Any, *keys: str) -> Any:
    for key in keys:
        data = cast(Mapping[str, Any], data).get(key) if isinstance(data, Mapping) else None
    return data


def _pyproject(text: str) -> dict[str, Any]:
    data = tomllib.loads(text)
    tool: Any = data.get("tool") or {}
    found = {f"tool.{key}": tool[key] for key in ("pytest", "coverage", "tox", "nose") if key in tool}
    plugins = {
        "project": _dig(data, "project", "entry-points", "pytest11"),
        "poetry": _dig(data, "tool", "poetry", "plugins", "pytest11"),
        "flit": _dig(data, "tool", "flit", "entrypoints", "pytest11"),
        "backend": _dig(data, "build-system", "backend-path"),
    }
    return found | {key: value for key, value in plugins.items() if value}


def _setup_cfg(text: str) -> dict[str, Any]:
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(text)
    prefixes = ("tool:pytest", "pytest", "coverage:", "nosetests", "unittest", "tox", "aliases", "test")
    found: dict[str, Any] = {
        section: dict(parser.items(section)) for section in parser.sections() if section.startswith(prefixes)
    }
    if parser.has_option("options.entry_points", "pytest11"):
        found["pytest11"] = parser.get("options.entry_points", "pytest11")
    if parser.has_option("options", "entry_points"):
        found["entry_points"] = parser.get("options", "entry_points")
    return found


def _package_json(text: str) -> dict[str, Any]:
    data: Any = json.loads(text)
    return {key: data[key] for key in _JS_KEYS if key in data} if isinstance(data, dict) else {}


def _setup_py(text: str) -> list[str]:
    return re.findall(r"^.*pytest.?11.*$", text, re.MULTILINE)
