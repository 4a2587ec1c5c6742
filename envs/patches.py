"""Unified diffs as data: which files a patch touches, the patch without some of them, and its reverse.

Hunks are read by their counts, so a line of content that looks like a header is content. Names are those that
`git apply` or `patch -p1` could act on; when they disagree, all of them count.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = ["FileChange", "changed_paths", "keep", "parse", "reverse", "split_lines"]

Kind = Literal["modify", "add", "delete", "rename", "copy", "mode"]

_HUNK = re.compile(r"^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_ESCAPES = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, '"': 34, "\\": 92}
_NULL = "/dev/null"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """One file's part of a patch."""

    lines: tuple[str, ...]
    """With their line ends, so that joining them gives the text back."""
    raw_names: tuple[str, ...]
    """Every name given, before the first path component is stripped."""
    kind: Kind
    binary: bool = False
    symlink: bool = False
    submodule: bool = False

    @property
    def text(self) -> str:
        """The part as it stands in the patch."""
        return "".join(self.lines)

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths it may act on, relative to the repository, without repetition."""
        return tuple(dict.fromkeys(_strip(name) for name in self.raw_names if name != _NULL))

    @property
    def unsafe(self) -> Literal["outside_repository", "git_internals"] | None:
        """Whether a path leads out of the repository or into git's own files."""
        for name in (*self.raw_names, *self.paths):
            parts = name.replace("\\", "/").split("/")
            if name != _NULL and (name.startswith("/") or ".." in parts):
                return "outside_repository"
            if any(part.lower() == ".git" for part in parts):
                return "git_internals"
        return None


def split_lines(text: str) -> list[str]:
    r"""Lines with their ends; only `\n` ends a line, as in git."""
    lines = text.split("\n")
    return [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _strip(name: str) -> str:
    """The name as `-p1` reads it."""
    _, slash, rest = name.partition("/")
    return rest.lstrip("/") if slash else name


def _unquote(text: str) -> str:
    """A file name as git writes it: in quotes with C escapes, or bare."""
    if not text.startswith('"'):
        return text
    data = bytearray()
    body = iter(text[1:-1] if text.endswith('"') else text[1:])
    for character in body:
        if character != "\\":
            data += character.encode("utf-8", errors="surrogateescape")
            continue
        code = next(body, "\\")
        if code in "01234567":
            octal = code + next(body, "") + next(body, "")
            data.append(int(octal, 8) & 0xFF if re.fullmatch(r"[0-7]+", octal) else 63)
        else:
            data.append(_ESCAPES.get(code, ord("?")))
    return data.decode("utf-8", errors="surrogateescape")


def _marker_name(line: str) -> str:
    """The name on a `---` or `+++` line, without a timestamp."""
    return _unquote(line[4:].rstrip("\r\n").split("\t")[0].rstrip())


def _header_names(line: str) -> list[str]:
    """Both names of a `diff --git` line, as far as it can be divided at all."""
    rest = line[len("diff --git ") :].rstrip("\r\n")
    quoted = re.findall(r'"(?:[^"\\]|\\.)*"', rest)
    if quoted:
        bare = [part for part in re.sub(r'"(?:[^"\\]|\\.)*"', " ", rest).split() if part]
        return [_unquote(name) for name in quoted] + bare
    half = len(rest) // 2
    if len(rest) % 2 == 1 and rest[half] == " " and _strip(rest[:half]) == _strip(rest[half + 1 :]):
        return [rest[:half], rest[half + 1 :]]
    return rest.split(" ") if rest.count(" ") == 1 else [rest.split(" b/")[0], "b/" + rest.split(" b/")[-1]]


def _sections(lines: list[str]) -> Iterator[list[str]]:
    """Groups of lines, one a file; what stands before the first header belongs to the first file."""
    section: list[str] = []
    started = False
    old = new = 0
    for index, line in enumerate(lines):
        if old > 0 or new > 0:
            old -= line[:1] in (" ", "-", "\n", "\r")
            new -= line[:1] in (" ", "+", "\n", "\r")
            section.append(line)
            continue
        match = _HUNK.match(line)
        if match:
            old, new = int(match[1] or 1), int(match[2] or 1)
        elif _starts_file(lines, index, section):
            if started:
                yield section
                section = []
            started = True
        section.append(line)
    if started:
        yield section


def _starts_file(lines: list[str], index: int, section: list[str]) -> bool:
    line = lines[index]
    if line.startswith("diff --git "):
        return True
    following = lines[index + 1] if index + 1 < len(lines) else ""
    if not (line.startswith("--- ") and following.startswith("+++ ")):
        return False
    in_git_header = any(part.startswith("diff --git ") for part in section)
    return not in_git_header or any(_HUNK.match(part) for part in section)


def _kind(header: str) -> Kind:
    for marker, kind in _KINDS:
        if marker in header:
            return kind
    return "modify" if "\n@@ " in header or "\n--- " in header or header.startswith("--- ") else "mode"


_KINDS: tuple[tuple[str, Kind], ...] = (
    ("\nnew file mode", "add"),
    ("\ndeleted file mode", "delete"),
    ("\nrename from", "rename"),
    ("\ncopy from", "copy"),
    ("\n--- /dev/null", "add"),
    ("\n+++ /dev/null", "delete"),
)


def _change(lines: list[str]) -> FileChange:
    names: list[str] = []
    header: list[str] = []
    for line in lines:
        if _HUNK.match(line) or line.startswith(("GIT binary patch", "Binary files ")):
            break
        header.append(line)
        if line.startswith("diff --git "):
            names += _header_names(line)
        elif line.startswith(("--- ", "+++ ", "*** ")):
            names.append(_marker_name(line))
        elif match := re.match(r"(?:rename|copy) (?:from|to) (.*)", line):
            names.append("a/" + _unquote(match[1].rstrip("\r\n")))
        elif line.startswith("Index: "):
            names.append(_unquote(line[7:].strip()))
    joined = "\n" + "".join(header)
    text = "".join(lines)
    return FileChange(
        lines=tuple(lines),
        raw_names=tuple(dict.fromkeys(names)),
        kind=_kind("\n" + text if not header else joined + ("\n@@ " if len(header) < len(lines) else "")),
        binary="\nGIT binary patch" in text or "\nBinary files " in text,
        symlink=bool(re.search(r"\n(?:new file mode|new mode|index \S+) 120000", joined)),
        submodule=bool(re.search(r"\n(?:new file mode|new mode|index \S+) 160000", joined)),
    )


def parse(patch: str) -> list[FileChange]:
    """The files of a patch in order. Text that is no diff gives an empty list."""
    return [_change(section) for section in _sections(split_lines(patch))]


def changed_paths(patch: str) -> tuple[str, ...]:
    """Every path a patch may touch, without repetition."""
    return tuple(dict.fromkeys(path for change in parse(patch) for path in change.paths))


def keep(patch: str, wanted: Callable[[FileChange], bool]) -> str:
    """The patch without the files that `wanted` refuses; byte for byte the same when it refuses none."""
    changes = parse(patch)
    kept = [change for change in changes if wanted(change)]
    return patch if len(kept) == len(changes) else "".join(change.text for change in kept)


def reverse(patch: str) -> str:
    """The patch that undoes this one. Raises ValueError for a binary patch, which has no textual reverse."""
    out: list[str] = []
    for change in parse(patch):
        if change.binary:
            raise ValueError(f"a binary change cannot be reversed: {', '.join(change.paths)}")
        out += _reverse_file(list(change.lines))
    return "".join(out)


_SWAPS = (
    ("new file mode ", "deleted file mode "),
    ("old mode ", "new mode "),
    ("rename from ", "rename to "),
    ("copy from ", "copy to "),
)


def _reverse_file(lines: list[str]) -> Iterable[str]:
    body = next((i for i, line in enumerate(lines) if _HUNK.match(line)), len(lines))
    head = [_swapped(line) for line in lines[:body]]
    for index, line in enumerate(head):
        if line.startswith("--- ") and index + 1 < len(head) and head[index + 1].startswith("+++ "):
            old, new = line[4:], head[index + 1][4:]
            head[index] = "--- " + re.sub(r"^b/", "a/", new)
            head[index + 1] = "+++ " + re.sub(r"^a/", "b/", old)
    return [*head, *_reverse_hunks(lines[body:])]


def _swapped(line: str) -> str:
    for one, other in _SWAPS:
        if line.startswith(one):
            return other + line[len(one) :]
        if line.startswith(other):
            return one + line[len(other) :]
    return line


def _reverse_hunks(lines: list[str]) -> Iterator[str]:
    """Removed lines become added ones and change places with them."""
    removed: list[str] = []
    added: list[str] = []
    for line in lines:
        if line.startswith("-"):
            removed.append("+" + line[1:])
            last = removed
        elif line.startswith("+"):
            added.append("-" + line[1:])
            last = added
        elif line.startswith("\\") and (removed or added):
            last.append(line)  # pyright: ignore[reportPossiblyUnboundVariable]
        else:
            yield from (*added, *removed)
            removed, added = [], []
            hunk = re.match(r"^@@ -(\S+) \+(\S+) @@(.*)", line, re.DOTALL)
            yield f"@@ -{hunk[2]} +{hunk[1]} @@{hunk[3]}" if hunk else line
    yield from (*added, *removed)
