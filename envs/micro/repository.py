"""A repository with one commit, written without git: the files of `.git` are a function of the content alone."""

import hashlib
import io
import struct
import tarfile
import zlib
from collections.abc import Iterator, Mapping

from ..factory.gitobjects import AUTHOR, COMMIT_DATE, MESSAGE

__all__ = ["git_files", "layer"]

_CONFIG = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n"
Object = tuple[bytes, bytes]
"""An object's id, and what is stored of it before compression."""


def _object(kind: str, data: bytes) -> Object:
    stored = f"{kind} {len(data)}\0".encode() + data
    return hashlib.sha1(stored, usedforsecurity=False).digest(), stored


def _tree(files: Mapping[str, bytes]) -> Iterator[Object]:
    """Every object below a folder; the folder's own tree comes last."""
    folders: dict[str, dict[str, bytes]] = {}
    entries: dict[bytes, bytes] = {}
    for path, data in files.items():
        head, slash, rest = path.partition("/")
        if slash:
            folders.setdefault(head, {})[rest] = data
        else:
            blob = _object("blob", data)
            yield blob
            entries[head.encode()] = b"100644 " + head.encode() + b"\0" + blob[0]
    for name, below in folders.items():
        last = b""
        for identity, stored in _tree(below):
            yield identity, stored
            last = identity
        # git sorts a folder as if its name ended in a slash
        entries[f"{name}/".encode()] = b"40000 " + name.encode() + b"\0" + last
    yield _object("tree", b"".join(entries[key] for key in sorted(entries)))


def _index(files: Mapping[str, bytes]) -> bytes:
    """The index, version 2, with no file's times: git compares contents instead."""
    out = bytearray(struct.pack(">4sII", b"DIRC", 2, len(files)))
    for path, data in sorted((path.encode(), data) for path, data in files.items()):
        start = len(out)
        out += struct.pack(">10I", *(0,) * 6, 0o100644, 0, 0, 0) + _object("blob", data)[0]
        out += struct.pack(">H", min(len(path), 0xFFF)) + path
        out += b"\0" * (8 - (len(out) - start) % 8)
    return bytes(out) + hashlib.sha1(out, usedforsecurity=False).digest()


def git_files(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The content of `.git` for a repository of these files, none of them executable."""
    objects = dict(_tree(files))
    root = next(reversed(objects))
    who = f"{AUTHOR} {COMMIT_DATE} +0000"
    commit = _object("commit", f"tree {root.hex()}\nauthor {who}\ncommitter {who}\n\n{MESSAGE}\n".encode())
    objects[commit[0]] = commit[1]
    stored = {f"objects/{i.hex()[:2]}/{i.hex()[2:]}": zlib.compress(data) for i, data in objects.items()}
    return {
        "HEAD": b"ref: refs/heads/main\n",
        "config": _CONFIG.encode(),
        "index": _index(files),
        "refs/heads/main": commit[0].hex().encode() + b"\n",
        **stored,
    }


def layer(files: Mapping[str, bytes]) -> bytes:
    """An image's layer that holds these files (absolute paths without the first slash), the same bytes every time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        folders = {"/".join(path.split("/")[:depth]) for path in files for depth in range(1, path.count("/") + 1)}
        for path in sorted(folders | set(files)):
            entry = tarfile.TarInfo(path)
            entry.mtime = COMMIT_DATE
            if path in files:
                entry.size, entry.mode = len(files[path]), 0o644
                archive.addfile(entry, io.BytesIO(files[path]))
            else:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
    return buffer.getvalue()
