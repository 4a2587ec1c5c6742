"""Small files that are either old or new, never half."""

import json
import os
import re
import threading
from hashlib import sha256
from pathlib import Path
from typing import Any

__all__ = ["slug", "write_atomic", "write_json"]

_PLAIN = re.compile(r"[^A-Za-z0-9_.-]+")
_LONGEST = 120


def write_atomic(path: Path, text: str) -> None:
    """Replace a file's text in one step; a reader, or a crash, sees the old text or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.partial")
    with partial.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Replace a file by indented JSON."""
    write_atomic(path, json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def slug(name: str) -> str:
    """`name` as a file name; names that differ stay different."""
    plain = _PLAIN.sub("-", name).lstrip(".-")[:_LONGEST]
    return (
        plain if plain and plain == name else f"{plain}-{sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    )
