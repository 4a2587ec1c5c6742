"""The id of the one commit a task's repository has, computed without git."""

import hashlib
from collections.abc import Collection, Mapping

__all__ = ["AUTHOR", "COMMIT_DATE", "MESSAGE", "commit_id", "tree_id"]

AUTHOR = "Task Factory <factory@localhost>"
COMMIT_DATE = 946684800
"""2000-01-01T00:00:00Z; a fixed date makes the commit id a function of the files alone."""
MESSAGE = "Base commit"


def _object(kind: str, data: bytes) -> bytes:
    return hashlib.sha1(f"{kind} {len(data)}\0".encode() + data, usedforsecurity=False).digest()


def tree_id(files: Mapping[str, bytes], executable: Collection[str], prefix: str = "") -> bytes:
    """The id of the tree object of everything below `prefix`."""
    entries: dict[bytes, tuple[bytes, bytes]] = {}
    folders: dict[str, dict[str, bytes]] = {}
    for path, data in files.items():
        head, slash, rest = path.partition("/")
        if slash:
            folders.setdefault(head, {})[rest] = data
        else:
            mode = b"100755" if prefix + path in executable else b"100644"
            entries[head.encode()] = (mode, _object("blob", data))
    for name, below in folders.items():
        # git sorts a folder as if its name ended in a slash
        entries[f"{name}/".encode()] = (b"40000", tree_id(below, executable, f"{prefix}{name}/"))
    return _object("tree", b"".join(m + b" " + n.rstrip(b"/") + b"\0" + i for n, (m, i) in sorted(entries.items())))


def commit_id(files: Mapping[str, bytes], executable: Collection[str]) -> str:
    """The id of a parentless commit of these files by `AUTHOR` at `COMMIT_DATE`."""
    who = f"{AUTHOR} {COMMIT_DATE} +0000"
    text = f"tree {tree_id(files, executable).hex()}\nauthor {who}\ncommitter {who}\n\n{MESSAGE}\n"
    return _object("commit", text.encode()).hex()
