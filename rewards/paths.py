"""What a path of a repository is for: source, tests, the tests' infrastructure, documents, or scratch."""

import posixpath
from enum import StrEnum
from functools import lru_cache

from .text import listed

__all__ = ["Role", "is_program", "normal", "role"]


class Role(StrEnum):
    """What a file is for."""

    SOURCE = "source"
    TEST = "test"
    INFRA = "test infrastructure"
    """Decides how tests run or are reported, so a change to it can forge a result."""
    DOCUMENT = "document"
    OTHER = "other"
    """Configuration and data."""
    OUTSIDE = "outside"
    """Not in the repository."""


_CODE = listed(
    ".py .pyi .pyx .pxd .c .h .cc .cpp .hpp .cxx .rs .go .java .kt .scala .js .jsx .ts .tsx .mjs .cjs .vue .rb "
    ".php .pl .cs .swift .m .mm .sh .bash .lua .r .jl .hs .ml .ex .exs .erl .clj .sql .html .css .scss .j2 .jinja"
)
_DOCUMENTS = listed(".md .rst .txt .adoc")
_INFRA = listed(
    "conftest.py pytest.ini .pytest.ini tox.ini noxfile.py sitecustomize.py usercustomize.py .coveragerc "
    "jest.config.js jest.config.ts vitest.config.ts vitest.config.js karma.conf.js .mocharc.js .mocharc.json"
)
_TEST_FOLDERS = frozenset(("tests", "__tests__", "spec"))
_LEFTOVERS = listed("__pycache__ .pytest_cache .mypy_cache .tox .coverage htmlcov")
_PROGRAMS = listed(".py .sh .js .ts .rb .pl .go .php .lua .mjs")


@lru_cache(maxsize=8192)
def normal(path: str, workdir: str) -> str:
    """The path as facts name it: relative to the repository when inside it, absolute otherwise."""
    full = posixpath.normpath(posixpath.join(workdir, path))
    root = workdir.rstrip("/")
    if full == root:
        return "."
    return full[len(root) + 1 :] if full.startswith(root + "/") else full


def is_program(path: str) -> bool:
    """Whether a path names a script that an interpreter runs."""
    return posixpath.splitext(path)[1] in _PROGRAMS


@lru_cache(maxsize=4096)
def role(path: str) -> Role:
    """The role of a normalised path, by the conventions of test runners."""
    if path.startswith(("/", "..")):
        return Role.OUTSIDE
    *folders, name = path.split("/")
    if _LEFTOVERS.intersection((*folders, name)) or name.endswith(".pyc"):
        return Role.OTHER
    stem, extension = posixpath.splitext(name)
    if name in _INFRA or extension == ".pth":
        return Role.INFRA
    if _is_test(folders, stem, extension):
        return Role.TEST
    if extension in _CODE:
        return Role.SOURCE
    return Role.DOCUMENT if extension in _DOCUMENTS or "docs" in folders else Role.OTHER


def _is_test(folders: list[str], stem: str, extension: str) -> bool:
    if _TEST_FOLDERS.intersection(folders) or (folders and folders[0] in ("test", "testing")):
        return True
    if extension not in _CODE:
        return False
    return stem.startswith("test_") or stem.endswith(("_test", ".test", ".spec", "_spec")) or stem == "tests"
