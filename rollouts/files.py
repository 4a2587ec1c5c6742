"""Small files that are either old or new, never half."""

import json
import os
import re
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from errno import EACCES, EEXIST, EISDIR, ENAMETOOLONG, ENOENT, ENOTDIR, EPERM, EROFS
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from ..errors import DiskFull, TrajHubError, UsageError

__all__ = ["as_json", "room_for", "sha256_of", "slug", "write_atomic", "write_json", "write_texts"]

_PLAIN = re.compile(r"[^A-Za-z0-9_.-]+")
_LONGEST = 120
_NO_PLACE = {ENOENT, ENOTDIR, EISDIR, EEXIST, EACCES, EPERM, EROFS, ENAMETOOLONG}


def write_atomic(path: Path, text: str) -> None:
    """Replace a file's text in one step; a reader, or a crash, sees the old text or the new."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.partial")
    with room_for(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)


def write_texts(folder: Path, texts: Mapping[str, str]) -> None:
    """Replace files in a folder, each in one step; `texts` are by path, relative to the folder."""
    for name, text in texts.items():
        write_atomic(folder / name, text)


@contextmanager
def room_for(path: Path) -> Generator[None]:
    """Turns the system's refusal to write `path` into DiskFull, or, where no room is missing, into UsageError."""
    try:
        yield
    except TrajHubError:
        raise
    except OSError as error:
        refused = f"cannot write {path}: {error.strerror}"
        if error.errno in _NO_PLACE:
            raise UsageError(f"{refused}; name another place, or make this one writable") from error
        raise DiskFull(f"{refused}; free some room and resume the run") from error


def write_json(path: Path, value: Any) -> None:
    """Replace a file by indented JSON."""
    write_atomic(path, as_json(value))


def as_json(value: Any) -> str:
    """Indented JSON, as files hold it."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n"


def sha256_of(path: Path) -> str:
    """Checksum of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def slug(name: str) -> str:
    """`name` as a file name; names that differ stay different."""
    plain = _PLAIN.sub("-", name).lstrip(".-")[:_LONGEST]
    return (
        plain if plain and plain == name else f"{plain}-{sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    )
