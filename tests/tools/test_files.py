"""Reading, writing and editing files."""

import hashlib

import pytest
from trajectory_hub.errors import EngineUnavailable
from trajectory_hub.tools.base import SandboxProtocol, ToolContext
from trajectory_hub.tools.nearest import nearest
from trajectory_hub.tools.paths import absolute, relative

from .conftest import FILES, Act, caller, text_of
from .local_sandbox import LocalSandbox

ODD_NAMES = [
    "with space.txt",
    "ünï/ço dé.txt",
    "-rf",
    "--help/x",
    "new\nline.txt",
    "$(touch pwned)",
    "a'b\"c",
    "*",
    ":x",
]


def test_read_whole_file(act: Act) -> None:
    result = act("file_read", path="src/calc.py")
    content = FILES["src/calc.py"]
    assert result.output.splitlines()[1] == "     2\t    return a - b"
    assert result.data == {
        "path": "src/calc.py",
        "start": 1,
        "end": 6,
        "total_lines": 6,
        "sha256": hashlib.sha256(content.encode()).hexdigest(),
    }


def test_read_range_says_what_follows(act: Act, sandbox: SandboxProtocol) -> None:
    result = act("file_read", path=f"{sandbox.workdir}/src/calc.py", start=2, end=3)
    assert result.output == "     2\t    return a - b\n     3\t\n[lines 2 to 3 of 6; there is more]"
    assert (result.data["path"], result.data["start"], result.data["end"]) == ("src/calc.py", 2, 3)


def test_read_stops_at_the_limit_and_can_be_continued(sandbox: SandboxProtocol) -> None:
    lines = [f"line {number} of a long file" for number in range(1, 501)]
    sandbox.write_file(f"{sandbox.workdir}/long.txt", "\n".join(lines).encode())
    call = caller(ToolContext(sandbox=sandbox, output_limit=4000))
    seen, start = list[str](), 1
    while start <= 500:
        result = call("file_read", path="long.txt", start=start)
        assert len(result.output.encode()) < 4200
        seen += [line.split("\t")[1] for line in result.output.splitlines() if "\t" in line]
        start = result.data["end"] + 1
    assert seen == lines


def test_read_clips_long_lines(act: Act, sandbox: SandboxProtocol) -> None:
    sandbox.write_file(f"{sandbox.workdir}/wide.js", b"x" * 100_000 + b"\nshort\n")
    result = act("file_read", path="wide.js")
    assert "[+98000 characters]" in result.output
    assert result.output.endswith("     2\tshort")


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        ({"path": "src/clac.py"}, "not_found", "calc.py"),
        ({"path": "nowhere/x.py"}, "not_found", "nowhere does not exist"),
        ({"path": "src"}, "is_directory", "other.py"),
        ({"path": "src/calc.py", "start": 7}, "out_of_range", "has 6 lines"),
        ({"path": "src/calc.py", "start": 4, "end": 2}, "out_of_range", "4 to 2"),
    ],
)
def test_read_failures_help(act: Act, arguments: dict[str, object], kind: str, said: str) -> None:
    result = act("file_read", **arguments)
    assert (result.ok, result.error) == (False, kind)
    assert said in result.output


def test_read_binary_empty_and_bytes_that_are_not_text(act: Act, sandbox: SandboxProtocol) -> None:
    sandbox.write_file(f"{sandbox.workdir}/b.bin", b"\x7fELF\0\0" + bytes(range(256)))
    sandbox.write_file(f"{sandbox.workdir}/empty", b"")
    sandbox.write_file(f"{sandbox.workdir}/latin", "caf\u00e9\r\nx\x0cy\n".encode("latin-1"))
    assert act("file_read", path="b.bin").error == "binary"
    empty = act("file_read", path="empty")
    assert (empty.ok, empty.data["total_lines"], empty.data["end"]) == (True, 0, 0)
    assert act("file_read", path="latin").output == "     1\tcaf\\xe9\n     2\tx\x0cy"


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_survive_every_file_tool(act: Act, sandbox: SandboxProtocol, name: str) -> None:
    written = act("file_write", path=name, content="one\ntwo\n")
    assert written.data["created"] is True, written.output
    edited = act("file_edit", path=name, old="two", new="three")
    assert edited.data["line"] == 2, edited.output
    read = act("file_read", path=name)
    assert read.output == "     1\tone\n     2\tthree"
    assert read.data["path"] == name
    assert sandbox.run("test ! -e pwned").exit_code == 0


def test_write_says_what_changed(act: Act, sandbox: SandboxProtocol) -> None:
    new = act("file_write", path="deep/er/new.py", content="x = 1")
    assert new.data == {
        "path": "deep/er/new.py",
        "created": True,
        "bytes": 5,
        "before_sha256": None,
        "after_sha256": hashlib.sha256(b"x = 1").hexdigest(),
        "changed": True,
    }
    assert text_of(sandbox, "deep/er/new.py") == "x = 1"
    same = act("file_write", path="deep/er/new.py", content="x = 1")
    assert (same.data["created"], same.data["changed"]) == (False, False)
    assert "already" in same.output
    assert act("file_write", path="deep/er/new.py", content="").data["changed"] is True


def test_write_to_a_folder_is_refused(act: Act) -> None:
    assert act("file_write", path="src", content="x").error == "is_directory"


def test_edit_replaces_exactly_one_place(act: Act, sandbox: SandboxProtocol) -> None:
    result = act("file_edit", path="src/calc.py", old="return a - b\n", new="total = a + b\n    return total\n")
    assert text_of(sandbox, "src/calc.py") == FILES["src/calc.py"].replace(
        "return a - b\n", "total = a + b\n    return total\n"
    )
    facts = result.data
    assert (facts["changed"], facts["line"], facts["lines_removed"], facts["lines_added"]) == (True, 2, 1, 2)
    assert facts["before_sha256"] == hashlib.sha256(FILES["src/calc.py"].encode()).hexdigest()
    assert "     3\t    return total" in result.output


@pytest.mark.parametrize(
    ("old", "new", "kind", "said"),
    [
        ("return a - b", "return a - b", "no_change", "the same"),
        ("add", "plus", "not_unique", "lines 1, 6"),
        ("  return a - b\n\n\ndef double", "x", None, ""),
        ("        return a - b\n", "x", "not_found", "indented by 4 spaces in the file and by 8 spaces"),
        ("    return add(a, a)", "x", "not_found", "1 tabs and 0 spaces"),
        ("return a-b", "x", "not_found", "line 2"),
        ("def Add(a, b):", "x", "not_found", "upper and lower case"),
        ("def add(a, b):  \n    return a - b\n", "x", "not_found", "end of lines"),
        ("def add(a, c):\n    return a - c\n", "x", "not_found", "+     return a - b"),
        ("zzz qqq", "x", "not_found", "nor anything like it"),
    ],
)
def test_edit_that_cannot_be_done_explains(
    act: Act, sandbox: SandboxProtocol, old: str, new: str, kind: str | None, said: str
) -> None:
    result = act("file_edit", path="src/calc.py", old=old, new=new)
    assert (result.error, result.ok) == (kind, kind is None), result.output
    assert said in result.output
    assert result.data["changed"] is (kind is None)
    if kind:
        assert text_of(sandbox, "src/calc.py") == FILES["src/calc.py"]


def test_edit_tells_of_line_endings(act: Act, sandbox: SandboxProtocol) -> None:
    sandbox.write_file(f"{sandbox.workdir}/dos.txt", b"one\r\ntwo\r\nthree\r\n")
    result = act("file_edit", path="dos.txt", old="one\ntwo\n", new="x")
    assert "line endings" in result.output
    assert act("file_edit", path="dos.txt", old="one\r\ntwo", new="x").data["changed"] is True


def test_edit_keeps_bytes_that_are_not_text(act: Act, sandbox: SandboxProtocol) -> None:
    sandbox.write_file(f"{sandbox.workdir}/raw", b"\xff\xfe caf\xe9\nname\n")
    assert act("file_edit", path="raw", old="name", new="näme").ok
    assert sandbox.read_file(f"{sandbox.workdir}/raw") == b"\xff\xfe caf\xe9\n" + "näme\n".encode()


def test_nearest_is_quick_on_a_large_file() -> None:
    content = "\n".join(f"def function_{n}(a, b):\n    return a + {n}" for n in range(20_000))
    found = nearest("def function_777(a, b):\n    return a - 777", content)
    assert found is not None
    assert found.line == 1555


def test_infrastructure_errors_are_not_swallowed(context: ToolContext) -> None:
    class Gone(LocalSandbox):
        def read_file(self, path: str, *, limit: int | None = None) -> bytes:
            raise EngineUnavailable("no engine")

    call = caller(ToolContext(sandbox=Gone(workdir="/tmp")))
    with pytest.raises(EngineUnavailable):
        call("file_read", path="x")
    with pytest.raises(EngineUnavailable):
        call("file_write", path="x", content="")


@pytest.mark.parametrize(
    ("path", "full", "short"),
    [
        ("a/../b", "/repo/b", "b"),
        (".", "/repo", "."),
        ("../x", "/x", "/x"),
        ("/repo/a//b", "/repo/a/b", "a/b"),
        ("/repository", "/repository", "/repository"),
        ("//etc", "/etc", "/etc"),
    ],
)
def test_paths(path: str, full: str, short: str) -> None:
    assert absolute(path, "/repo") == full
    assert relative(path, "/repo/") == short
