"""The git tool reads, restores, and does nothing else."""

import pytest
from trajectory_hub.tools.base import SandboxProtocol
from trajectory_hub.tools.git_options import check_arguments

from .conftest import FILES, Act, text_of


def test_reading_commands(act: Act) -> None:
    act("file_edit", path="src/calc.py", old="a - b", new="a + b")
    assert "M src/calc.py" in act("git", subcommand="status", args=["--short"]).output
    assert "+    return a + b" in act("git", subcommand="diff").output
    assert act("git", subcommand="diff", paths=["README.md"]).output == "(no differences)"
    assert "first" in act("git", subcommand="log", args=["--oneline", "-n", "1"]).output
    assert "return a - b" in act("git", subcommand="show", args=["HEAD:src/calc.py"]).output
    assert "def add" in act("git", subcommand="blame", args=["-L", "1,2"], paths=["src/calc.py"]).output


def test_facts(act: Act, sandbox: SandboxProtocol) -> None:
    result = act("git", subcommand="diff", args=["--stat"], paths=[f"{sandbox.workdir}/src"])
    assert result.data == {"subcommand": "diff", "args": ["--stat"], "paths": ["src"]}


def test_restore(act: Act, sandbox: SandboxProtocol) -> None:
    for name in ("src/calc.py", "a b/ü -x.txt", "-dash.txt"):
        act("file_write", path=name, content="spoilt\n")
        assert act("git", subcommand="restore", paths=[name]).exit_code == 0
        assert text_of(sandbox, name) == FILES[name]


@pytest.mark.parametrize("subcommand", ["commit", "push", "reset", "checkout", "config", "gc", "clone"])
def test_nothing_else_can_be_asked_for(act: Act, subcommand: str) -> None:
    with pytest.raises(AssertionError, match="subcommand"):
        act("git", subcommand=subcommand)


@pytest.mark.parametrize(
    ("subcommand", "args"),
    [
        ("diff", ["--output=/tmp/out"]),
        ("diff", ["--output", "/tmp/out"]),
        ("log", ["--pretty", "--output=/tmp/out"]),
        ("log", ["-n", "--output=/tmp/out"]),
        ("diff", ["--ext-diff"]),
        ("diff", ["--textconv"]),
        ("diff", ["--no-index"]),
        ("log", ["-c", "core.pager=touch pwned"]),
        ("show", ["--upload-pack=touch pwned"]),
        ("log", ["-O/etc/passwd"]),
        ("log", ["-pO/etc/passwd"]),
        ("log", ["--exec=x"]),
        ("blame", ["--contents=/etc/shadow"]),
        ("blame", ["--ignore-revs-file=/etc/shadow"]),
        ("restore", ["--pathspec-from-file=/x"]),
        ("restore", ["HEAD"]),
        ("log", ["--"]),
        ("log", ["\n--output=x"]),
        ("log", ["-n"]),
    ],
)
def test_options_that_write_or_run_something_are_refused(
    act: Act, sandbox: SandboxProtocol, subcommand: str, args: list[str]
) -> None:
    sandbox.run("rm -f /tmp/out")
    result = act("git", subcommand=subcommand, args=args, paths=["README.md"])
    assert (result.ok, result.error, result.commands) == (False, "invalid_arguments", ())
    assert sandbox.run("test ! -e pwned && test ! -e /tmp/out").exit_code == 0


@pytest.mark.parametrize(
    ("subcommand", "args"),
    [
        ("log", ["-3", "--oneline", "--stat"]),
        ("log", ["-n5", "--since=2020-01-01", "--format=%H %s", "--", "x"][:3]),
        ("log", ["-Sneedle", "-p", "HEAD"]),
        ("log", ["-S", "needle"]),
        ("log", ["-L1,2:src/calc.py"]),
        ("status", ["-sb"]),
        ("status", ["-uno"]),
        ("diff", ["-U0", "--cached", "HEAD"]),
        ("diff", ["HEAD^{tree}", "HEAD"]),
        ("show", ["--stat", "HEAD"]),
        ("show", ["-s", "--format=%B", "HEAD"]),
    ],
)
def test_ordinary_use_works(act: Act, subcommand: str, args: list[str]) -> None:
    result = act("git", subcommand=subcommand, args=args)
    assert result.exit_code == 0, result.output


def test_shell_syntax_is_text(act: Act, sandbox: SandboxProtocol) -> None:
    result = act("git", subcommand="show", args=["HEAD; touch pwned", "$(touch pwned)"])
    assert result.exit_code == 128
    act("git", subcommand="diff", paths=["`touch pwned`", "x; touch pwned", ":(exclude)src"])
    assert sandbox.run("test ! -e pwned").exit_code == 0


def test_helpers_configured_in_the_repository_do_not_run(act: Act, sandbox: SandboxProtocol) -> None:
    sandbox.run(
        "git config diff.external 'touch pwned; false'; git config core.pager 'touch pwned'; "
        "git config diff.x.textconv 'touch pwned; cat'; echo '*.py diff=x' > .gitattributes; echo '#' >> src/calc.py"
    )
    for subcommand in ("diff", "log", "show", "status"):
        assert act("git", subcommand=subcommand, args=[] if subcommand == "status" else ["-p"]).exit_code == 0
    assert sandbox.run("test ! -e pwned").exit_code == 0


def test_messages_say_what_to_do() -> None:
    assert "paths" in (check_arguments("log", ["--"], []) or "")
    assert "paths" in (check_arguments("restore", [], []) or "")
    assert "exactly one file" in (check_arguments("blame", [], []) or "")
    assert "--oneline" in (check_arguments("log", ["--nonsense"], []) or "")
