"""Shell commands, understood."""

import time

import pytest
from trajectory_hub.rewards.shell import Kind, understand

GIT_APPLY = "git apply - <<'EOF'\n--- a/shop/cart.py\n+++ b/shop/cart.py\n@@ -1 +1 @@\n-a\n+b\nEOF\n"


@pytest.mark.parametrize(
    ("command", "kind", "paths", "writes"),
    [
        ("cat a/b.py", Kind.READ, ("a/b.py",), ()),
        ("sed -n '10,40p' a/b.py", Kind.READ, ("a/b.py",), ()),
        ("sed -i 's/x/y/' a/b.py", Kind.EDIT, ("a/b.py",), ("a/b.py",)),
        ("sed -i 526s/a.b/c.d/ x.py", Kind.EDIT, ("x.py",), ("x.py",)),
        ("sed -i.bak -e 526s/a.b/c.d/ -e 3s/e.f/g.h/ x.py y.py", Kind.EDIT, ("x.py", "y.py"), ("x.py", "y.py")),
        ("sed -ne 1,2s/a.b/c.d/p x.py", Kind.READ, ("x.py",), ()),
        ("perl -pi -e s/a.b/c.d/ x.py", Kind.EDIT, ("x.py",), ("x.py",)),
        ("perl -i.orig script.pl x.py", Kind.EDIT, ("script.pl", "x.py"), ("script.pl", "x.py")),
        ("awk /a.b/ x.py", Kind.READ, ("x.py",), ()),
        ("sed -i 1d x.py", Kind.EDIT, ("x.py",), ("x.py",)),
        ("cd /work && PYTHONPATH=. python3 reproduce.py", Kind.RUN, ("reproduce.py",), ()),
        ("timeout 10 pytest -q tests/test_a.py::test_b 2>&1 | tail -5", Kind.TEST, ("tests/test_a.py",), ()),
        ("python -m pytest -x", Kind.TEST, (), ()),
        ("make test", Kind.TEST, (), ()),
        ("./manage.py test app", Kind.RUN, (), ()),
        ("python manage.py test app", Kind.TEST, ("manage.py",), ()),
        ("cat > try.py <<'EOF'\nprint(1 > 2)\nEOF", Kind.EDIT, (), ("try.py",)),
        ("echo x >> tests/conftest.py", Kind.EDIT, (), ("tests/conftest.py",)),
        ("ls -la > /dev/null 2>&1", Kind.LIST, (), ()),
        ("cp tests/test_a.py /tmp/a.py", Kind.EDIT, ("tests/test_a.py", "/tmp/a.py"), ("/tmp/a.py",)),
        ("mv a.py b.py", Kind.EDIT, ("a.py", "b.py"), ("a.py", "b.py")),
        ("find . -name '*.py' | xargs grep foo", Kind.SEARCH, (), ()),
        ("git diff -- a.py", Kind.VCS, ("a.py",), ()),
        ("git checkout -- a.py", Kind.EDIT, ("a.py",), ("a.py",)),
        (GIT_APPLY, Kind.EDIT, (), ("shop/cart.py",)),
        ("pip install -e .", Kind.SETUP, (), ()),
        ("echo done", Kind.IDLE, (), ()),
        ("", Kind.IDLE, (), ()),
        ("'unclosed", Kind.RUN, (), ()),
    ],
)
def test_commands(command: str, kind: Kind, paths: tuple[str, ...], writes: tuple[str, ...]) -> None:
    read = understand(command)
    assert (read.kind, read.paths, read.writes) == (kind, paths, writes)


def test_a_search_is_for_its_pattern() -> None:
    assert understand("grep -rn 'def foo' src/a.py | head -3").patterns == ("def foo",)
    assert understand("find . -name '*.cfg'").patterns == ("*.cfg",)
    assert understand("git grep -n needle").patterns == ("needle",)


def test_the_lines_a_command_prints() -> None:
    assert understand("sed -n '10,40p' a.py").lines == (10, 40)
    assert understand("nl -ba a.py | sed -n 7p").lines == (7, 7)
    assert understand("cat a.py | head -n 30").lines == (1, 30)
    assert understand("cat a.py").lines is None


def test_a_restore_is_told_from_other_changes() -> None:
    assert understand("git stash").restores
    assert understand("git checkout -- a.py").restores
    assert not understand(GIT_APPLY).restores
    assert not understand("git commit -am x").restores


GIANTS = ("a" * 2_000_000, "<<" * 500_000, "'" * 500_001, "cat <<EOF\n" * 100_000, "\\" * 99_999)


@pytest.mark.parametrize("command", GIANTS, ids=["word", "redirects", "quotes", "here", "escapes"])
def test_a_giant_command_costs_no_more_than_a_small_one(command: str) -> None:
    began = time.process_time()
    understand(command)
    assert time.process_time() - began < 0.5
