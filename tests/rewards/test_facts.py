"""What is taken from a task, and what a path is for."""

import pytest
from trajectory_hub.envs.task import Provenance, Task
from trajectory_hub.rewards.facts import TaskFacts, changed_lines
from trajectory_hub.rewards.paths import Role, normal, role
from trajectory_hub.rewards.text import answer, excerpt, failure_line, names, path_key, words

PATCH = """diff --git a/src/a.py b/src/a.py
--- a/src/a.py
+++ b/src/a.py
@@ -3,4 +3,5 @@ def f():
 a
--- not a header
+b
@@ -40 +41 @@
-x
+y
diff --git a/new.py b/new.py
new file mode 100644
--- /dev/null
+++ b/new.py
@@ -0,0 +1,2 @@
+one
+two
diff --git a/CHANGES.rst b/CHANGES.rst
--- a/CHANGES.rst
+++ b/CHANGES.rst
@@ -1,2 +1,3 @@
 a
+b
"""


def test_the_lines_of_a_patch() -> None:
    assert changed_lines(PATCH) == {"src/a.py": ((3, 6), (40, 40)), "new.py": (), "CHANGES.rst": ((1, 2),)}
    assert changed_lines("") == {}
    assert changed_lines("no patch at all") == {}


def test_what_is_privileged_is_absent_when_switched_off() -> None:
    task = Task(instance_id="t", repo="r/r", base_commit="", patch=PATCH, provenance=Provenance(source="test"))
    known = TaskFacts.of(task, privileged=True)
    assert known.places == {"src/a.py"}
    assert known.role("CHANGES.rst") is Role.SOURCE
    unknown = TaskFacts.of(task, privileged=False)
    assert not unknown.reference and not unknown.places
    assert unknown.role("CHANGES.rst") is Role.DOCUMENT


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("src/app.py", Role.SOURCE),
        ("app/testing/tools.py", Role.SOURCE),
        ("contest.py", Role.SOURCE),
        ("latest/app.py", Role.SOURCE),
        ("tests/data/a.json", Role.TEST),
        ("pkg/tests/test_a.py", Role.TEST),
        ("test_a.py", Role.TEST),
        ("src/a_test.go", Role.TEST),
        ("web/a.spec.ts", Role.TEST),
        ("tests/conftest.py", Role.INFRA),
        ("pytest.ini", Role.INFRA),
        ("lib/hook.pth", Role.INFRA),
        ("tests/__pycache__/a.pyc", Role.OTHER),
        ("docs/index.rst", Role.DOCUMENT),
        ("pyproject.toml", Role.OTHER),
        ("/tmp/x.py", Role.OUTSIDE),
        ("../x.py", Role.OUTSIDE),
    ],
)
def test_roles(path: str, expected: Role) -> None:
    assert role(path) is expected


def test_paths_are_relative_to_the_repository() -> None:
    assert normal("./a/../b.py", "/testbed") == normal("/testbed/b.py", "/testbed") == "b.py"
    assert normal("/testbed", "/testbed/") == "."
    assert normal("/testbedroom/b.py", "/testbed") == "/testbedroom/b.py"


def test_code_names_of_a_statement() -> None:
    text = "Calling `Cart.total` or parse_line gives HTTPError, see run(); plain words and I do not count."
    assert names(text) == ("Cart", "total", "parse_line", "HTTPError", "run")


def test_words_find_paths_wherever_they_stand() -> None:
    shown = words('File "/testbed/src/a.py", line 3\nsrc/b_c.py:12: def f(x): return self.y')
    assert path_key("src/b_c.py") in shown
    assert path_key("/testbed/src/a.py") in shown
    assert {"f", "y", "self"} <= shown


def test_a_quote_is_one_short_line() -> None:
    assert excerpt("a\n  b\tc") == '"a b c"'
    assert len(excerpt("x" * 10_000)) <= 82


def test_the_line_that_says_what_went_wrong() -> None:
    said = "Traceback (most recent call last):\n  File x\nValueError: no such thing\n\nmore\n[exit code 1]"
    assert failure_line(said) == '"ValueError: no such thing"'
    assert failure_line("first\nlast\n[exit code 1]") == '"last"'
    assert failure_line("") == '""'


def test_answers_are_equal_but_for_times_and_addresses() -> None:
    assert answer("3 passed in 0.12s at 0x7fff1") == answer("3 passed in 1.5s at 0x1234a")
    assert answer("total 90") != answer("total 100")
