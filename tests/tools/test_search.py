"""Searching contents and names, with git, without it, and with next to no programs at all."""

import shutil
import subprocess
from pathlib import Path

import pytest
from trajectory_hub.tools.base import SandboxProtocol, ToolContext

from .conftest import Act, caller
from .local_sandbox import LocalSandbox


def shown(output: str) -> list[str]:
    return [line for line in output.splitlines() if not line.startswith("[")]


def test_content(act: Act) -> None:
    result = act("search", pattern="needle")
    assert sorted(shown(result.output)) == ["-dash.txt:1:needle two", "a b/ü -x.txt:1:needle one"]
    assert result.data["matches"] == 2
    assert sorted(result.data["files"]) == ["-dash.txt", "a b/ü -x.txt"]
    assert result.data["truncated"] is False


def test_untracked_files_are_searched_and_ignored_ones_only_when_named(act: Act) -> None:
    act("file_write", path="fresh.txt", content="needle fresh\n")
    assert act("search", pattern="needle fresh").data["files"] == ["fresh.txt"]
    assert act("search", pattern="needle ignored").data["matches"] == 0
    assert act("search", pattern="needle ignored", path="build").data["files"] == ["build/out.txt"]
    assert act("search", pattern="needle ignored", path="build/out.txt").data["matches"] == 1


@pytest.mark.parametrize(
    ("arguments", "files"),
    [
        ({"pattern": "add(", "include": "*.py"}, ["src/calc.py", "src/other.py"]),
        ({"pattern": "ADD(", "ignore_case": True, "path": "src"}, ["src/calc.py", "src/other.py"]),
        ({"pattern": "^from .*add$", "regex": True}, ["src/other.py"]),
        ({"pattern": "needle", "path": "a b"}, ["a b/ü -x.txt"]),
        ({"pattern": "needle", "path": "-dash.txt"}, ["-dash.txt"]),
        ({"pattern": "needle", "include": "[-]*"}, ["-dash.txt"]),
        ({"pattern": "--", "path": "src"}, []),
        ({"pattern": "-e foo; touch pwned", "path": "src"}, []),
        ({"pattern": ".py", "kind": "name"}, ["src/calc.py", "src/other.py"]),
        ({"pattern": "*.txt", "kind": "name", "path": "a b"}, ["a b/ü -x.txt"]),
        ({"pattern": "CALC", "kind": "name", "ignore_case": True}, ["src/calc.py"]),
        ({"pattern": "src/*.py", "kind": "name"}, ["src/calc.py", "src/other.py"]),
        ({"pattern": "^src/[co].*py$", "kind": "name", "regex": True}, ["src/calc.py", "src/other.py"]),
        ({"pattern": "HEAD", "kind": "name"}, []),
    ],
)
def test_what_is_found(act: Act, sandbox: SandboxProtocol, arguments: dict[str, object], files: list[str]) -> None:
    result = act("search", **arguments)
    assert result.ok, result.output
    assert sorted(set(result.data["files"])) == files
    assert sandbox.run("test ! -e pwned").exit_code == 0


def test_outside_the_repository(act: Act, sandbox: SandboxProtocol) -> None:
    found = act("search", pattern="root:", path="/etc/passwd")
    assert found.data["files"] == ["/etc/passwd"]
    by_name = act("search", pattern="passwd", kind="name", path="/etc")
    assert "/etc/passwd" in by_name.data["files"]


def test_failures_help(act: Act) -> None:
    missing = act("search", pattern="x", path="nowhere")
    assert (missing.error, missing.ok) == ("not_found", False)
    broken = act("search", pattern="a(", regex=True)
    assert broken.error == "invalid_pattern"
    assert "(" in broken.output
    hint = act("search", pattern="foo|bar")
    assert hint.ok
    assert "regex" in hint.output


def test_matches_are_bounded_and_the_total_told(act: Act, sandbox: SandboxProtocol) -> None:
    sandbox.write_file(f"{sandbox.workdir}/many.txt", b"hay " + b"x" * 5000 + b"\n" + b"hay\n" * 299)
    few = act("search", pattern="hay", limit=10)
    assert len(shown(few.output)) == 10
    assert max(len(line) for line in few.output.splitlines()) < 320
    assert (few.data["matches"], few.data["truncated"]) == (300, True)
    assert "10 of 300" in few.output


def test_a_flood_of_matches_is_counted_and_stays_bounded(sandbox: SandboxProtocol) -> None:
    sandbox.write_file(f"{sandbox.workdir}/flood.txt", b"hay in a stack of very much hay\n" * 60_000)
    sandbox.run("mkdir many; cd many; seq -f 'name%030.0f' 1 30000 | xargs touch")
    call = caller(ToolContext(sandbox=sandbox, output_limit=5000))
    lines = call("search", pattern="hay", limit=1000)
    assert (lines.data["matches"], lines.data["truncated"]) == (60_000, True)
    assert len(lines.output) < 5300
    names = call("search", pattern="name0", kind="name")
    assert (names.data["matches"], names.data["truncated"]) == (30_000, True)


def test_binary_files_are_left_out(act: Act, sandbox: SandboxProtocol) -> None:
    sandbox.write_file(f"{sandbox.workdir}/blob.bin", b"\0\1needle\n")
    assert "blob.bin" not in act("search", pattern="needle").data["files"]


def test_names_with_newlines(act: Act) -> None:
    act("file_write", path="two\nlines:3:x.txt", content="first\nneedle here\n")
    result = act("search", pattern="needle here")
    assert result.data["files"] == ["two\nlines:3:x.txt"]
    assert result.output.splitlines()[0] == "two\\nlines:3:x.txt:2:needle here"
    assert act("search", pattern="two*", kind="name").data["files"] == ["two\nlines:3:x.txt"]


@pytest.fixture
def bare(tmp_path: Path) -> Act:
    """A repository in a world with a shell, find and grep, but without git or Python."""
    bin_folder, work = tmp_path / "bin", tmp_path / "work"
    bin_folder.mkdir()
    for name in ("sh", "find", "grep", "cut", "tr", "wc", "printf", "ls", "cat"):
        program = shutil.which(name)
        assert program is not None
        (bin_folder / name).symlink_to(Path(program).resolve())
    (work / "src").mkdir(parents=True)
    (work / "src" / "calc.py").write_text("def add(a, b):\n    return a - b\n")
    (work / ".git").mkdir()
    (work / ".git" / "config").write_text("return\n")
    return caller(ToolContext(sandbox=LocalSandbox(str(work), env={"PATH": str(bin_folder)})))


def test_without_git_or_python(bare: Act) -> None:
    found = bare("search", pattern="return")
    assert shown(found.output) == ["src/calc.py:2:    return a - b"]
    assert bare("search", pattern="ret.*a", regex=True, include="*.py").data["matches"] == 1
    assert bare("search", pattern="ret", include="*.txt").data["matches"] == 0
    assert bare("search", pattern="calc", kind="name").data["files"] == ["src/calc.py"]
    assert bare("file_read", path="src/calc.py").data["total_lines"] == 2
    assert bare("file_edit", path="src/calc.py", old="a - b", new="a + b").ok
    assert bare("git", subcommand="status").exit_code == 127


def test_grep_without_null_output(bare: Act, tmp_path: Path) -> None:
    """BusyBox's grep has no -Z; records are then read as `path:line:text`."""
    grep = tmp_path / "bin" / "grep"
    real = grep.resolve()
    grep.unlink()
    grep.write_text(f'#!/bin/sh\nfor a; do [ "$a" = -Z ] && exit 2; done\nexec {real} "$@"\n')
    grep.chmod(0o755)
    assert subprocess.run([grep, "-Z", "x"], stdin=subprocess.DEVNULL, check=False).returncode == 2
    assert shown(bare("search", pattern="return").output) == ["src/calc.py:2:    return a - b"]
