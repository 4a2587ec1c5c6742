"""Unified diffs in git's format."""

import difflib
from collections.abc import Iterator, Mapping

__all__ = ["diff_file", "diff_trees", "is_text"]

_NO_NEWLINE = "\n\\ No newline at end of file\n"


def is_text(data: bytes) -> bool:
    """Whether a diff can carry these bytes: UTF-8 without NUL."""
    try:
        return "\0" not in data.decode("utf-8")
    except UnicodeDecodeError:
        return False


def _lines(text: str) -> list[str]:
    """Lines ended by newline only: form feeds and the like do not end a line of a diff."""
    lines = text.split("\n")
    ended = [f"{line}\n" for line in lines[:-1]]
    return [*ended, lines[-1]] if lines[-1] else ended


def diff_file(path: str, before: str | None, after: str | None, *, mode: str = "100644") -> str:
    """The diff of one file; None means that it does not exist. Empty when nothing changes."""
    if before == after:
        return ""
    header = f"diff --git a/{path} b/{path}\n"
    if before is None:
        header += f"new file mode {mode}\n"
    elif after is None:
        header += f"deleted file mode {mode}\n"
    old = "/dev/null" if before is None else f"a/{path}"
    new = "/dev/null" if after is None else f"b/{path}"
    hunks = difflib.unified_diff(_lines(before or ""), _lines(after or ""), old, new)
    body = "".join(line if line.endswith("\n") else line + _NO_NEWLINE for line in hunks)
    return header + body


def diff_trees(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """The diff from one set of files to another, by path."""
    return "".join(_each(before, after))


def _each(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for path in sorted({*before, *after}):
        yield diff_file(path, before.get(path), after.get(path))
