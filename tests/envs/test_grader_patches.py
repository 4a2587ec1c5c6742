"""Patches are read as git and patch(1) read them, and nothing in their content is taken for a header."""

import subprocess
from pathlib import Path

import pytest
from trajectory_hub.envs.patches import changed_paths, keep, parse, reverse

MODIFY = """\
diff --git a/pkg/a.py b/pkg/a.py
index 111..222 100644
--- a/pkg/a.py
+++ b/pkg/a.py
@@ -1,3 +1,4 @@ def f():
 one
--- a/not/a/header
-+++ b/nor/this
+diff --git a/x b/x
+--- a/still/content
+three
"""
ADD = "diff --git a/b.py b/b.py\nnew file mode 100644\n--- /dev/null\n+++ b/b.py\n@@ -0,0 +1 @@\n+x\n"
RENAME = "diff --git a/old.py b/new.py\nsimilarity index 100%\nrename from old.py\nrename to new.py\n"
MODE = "diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\n"
BINARY = "diff --git a/i.png b/i.png\nindex 1..2 100644\nGIT binary patch\nliteral 1\nIcmZPo000310RR91\n\n"
PLAIN = "--- src/c.py\t2020-01-01 00:00:00\n+++ src/c.py\t2020-01-02 00:00:00\n@@ -1 +1 @@\n-a\n+b\n"
LINK = (
    "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc\n"
    "\\ No newline at end of file\n"
)
QUOTED = (
    'diff --git "a/\\303\\274.py" "b/\\303\\274.py"\n'
    '--- "a/\\303\\274.py"\n+++ "b/\\303\\274.py"\n@@ -1 +1 @@\n-a\n+b\n'
)


def test_every_kind_of_change_is_recognised() -> None:
    changes = parse(MODIFY + ADD + RENAME + MODE + BINARY + LINK + QUOTED)
    assert [(change.kind, change.paths) for change in changes] == [
        ("modify", ("pkg/a.py",)),
        ("add", ("b.py",)),
        ("rename", ("old.py", "new.py")),
        ("mode", ("run.sh",)),
        ("modify", ("i.png",)),
        ("add", ("l",)),
        ("modify", ("ü.py",)),
    ]
    assert [change.binary for change in changes] == [False, False, False, False, True, False, False]
    assert [change.symlink for change in changes] == [False, False, False, False, False, True, False]


def test_a_diff_without_git_header_counts_too() -> None:
    assert [change.paths for change in parse(PLAIN + ADD + PLAIN)] == [("c.py",), ("b.py",), ("c.py",)]


def test_text_around_the_files_is_kept_and_nothing_is_lost() -> None:
    patch = "From: somebody\n\n" + MODIFY + ADD + "-- \n2.39\n"
    assert "".join(change.text for change in parse(patch)) == patch
    assert parse("this is no diff\n--- nor this\n") == []


def test_keeping_all_changes_nothing_and_dropping_one_leaves_the_others() -> None:
    patch = MODIFY + ADD + MODE
    assert keep(patch, lambda change: True) is patch
    assert keep(patch, lambda change: change.kind != "add") == MODIFY + MODE


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("pkg/a.py", None),
        ("../../etc/passwd", "outside_repository"),
        ("pkg/../../x", "outside_repository"),
        (".git/hooks/post-checkout", "git_internals"),
        ("sub/.GIT/config", "git_internals"),
        (".gitignore", None),
        ("..a/b", None),
    ],
)
def test_paths_that_lead_out_are_told(path: str, expected: str | None) -> None:
    (change,) = parse(ADD.replace("b/b.py", f"b/{path}").replace("a/b.py", f"a/{path}"))
    assert change.unsafe == expected


def test_an_absolute_name_is_outside() -> None:
    (change,) = parse("--- /etc/passwd\n+++ /etc/passwd\n@@ -1 +1 @@\n-a\n+b\n")
    assert change.unsafe == "outside_repository"


def test_crlf_content_survives() -> None:
    patch = MODIFY.replace("three\n", "three\r\n").replace(" one\n", " one\r\n")
    assert parse(patch)[0].text == patch
    assert changed_paths(MODIFY.replace("\n", "\r\n")) == ("pkg/a.py",)


def git(folder: Path, *arguments: str, stdin: str = "") -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments]
    done = subprocess.run(command, cwd=folder, input=stdin, capture_output=True, text=True, check=True)
    return done.stdout


def test_a_reversed_patch_undoes_what_git_made(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", ".")
    (tmp_path / "keep.py").write_text("".join(f"line {i}\n" for i in range(40)))
    (tmp_path / "gone.py").write_text("x\nno newline")
    (tmp_path / "run.sh").write_text("echo\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "base")
    text = (tmp_path / "keep.py").read_text()
    (tmp_path / "keep.py").write_text(text.replace("line 3\n", "three\nmore\n").replace("line 30\n", ""))
    (tmp_path / "gone.py").unlink()
    (tmp_path / "new.py").write_text("new")
    (tmp_path / "run.sh").chmod(0o755)
    git(tmp_path, "add", "-A")
    patch = git(tmp_path, "diff", "--cached")
    git(tmp_path, "apply", "--index", "-", stdin=reverse(patch))
    assert git(tmp_path, "status", "--porcelain") == ""
    assert reverse(reverse(patch)).replace("index", "") == patch.replace("index", "")


def test_a_binary_patch_has_no_reverse() -> None:
    with pytest.raises(ValueError, match=r"i\.png"):
        reverse(BINARY)
