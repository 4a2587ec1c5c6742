"""Where the order of lines means nothing, tools say so; ours are sorted."""

import pytest
from trajectory_hub.tools.run_tests import RunTests
from trajectory_hub.tools.search_script import parse_content
from trajectory_hub.tools.shell import Shell


@pytest.mark.parametrize(
    ("command", "unordered"),
    [
        ("find . -name '*.py'", True),
        ("cd src && find .", True),
        ("grep -rn foo src", True),
        ("grep --include='*.py' -rn foo .", True),
        ("grep -rn foo . | grep -v test | cut -d: -f1", True),
        ("ls -U", True),
        ("find . -name '*.py' | head -20", False),
        ("find . | sort", False),
        ("find . -name x; cat x", False),
        ("find . > list", False),
        ("grep -n foo src/a.py", False),
        ("ls -la", False),
        ("cat a b", False),
    ],
)
def test_only_what_walks_folders_and_keeps_every_line_is_unordered(command: str, unordered: bool) -> None:
    assert Shell().unordered({"command": command}) is unordered


def test_parallel_tests_end_in_any_order() -> None:
    for command in ("pytest -n 4", "pytest -nauto", "python -m pytest --numprocesses 2", "manage.py test --parallel"):
        assert RunTests().unordered({"command": command}), command
    for command in ("pytest -rA tests/test-n.py", "pytest -n 0", None):
        assert not RunTests().unordered({"command": command}), command


def test_matches_come_by_path_whatever_the_disk_says() -> None:
    text = "/r/b.py\x019\x01x\n/r/a.py\x0110\x01y\n/r/a.py\x012\x01z\n"
    assert [(found.path, found.line) for found in parse_content(text, "/r")] == [("a.py", 10), ("a.py", 2), ("b.py", 9)]
