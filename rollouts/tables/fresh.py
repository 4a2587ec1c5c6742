"""Whether the tables beside a run are those of its logs as they are now."""

import json
import os
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from ..log_file import EVENTS
from ..rule_log import scores_digest
from ..run_dir import EPISODES
from .columns import COLUMNS, TABLES, arrow

__all__ = ["LAYOUT", "layer1_digest", "marks", "path_of", "prices_of", "read_marks", "stale"]

LAYOUT = 3
"""Raised when the same logs give other tables than before; older tables are then built again."""
_MARKS = b"trajhub"
_TAIL = 160
"""Bytes at the end of a log that change whenever it does: they hold the last link of its chain."""


def path_of(run: Path, table: str) -> Path:
    """The file of a table."""
    return run / f"{table}.parquet"


def layer1_digest(run: Path) -> str | None:
    """Checksum of what the run's logs are: names, sizes and ends. None when it has no folder of episodes."""
    parent = run / EPISODES
    if not parent.is_dir():
        return None
    digest = sha256()
    for folder in sorted(parent.iterdir()):
        try:
            with (folder / EVENTS).open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(size - _TAIL, 0))
                name = f"{folder.name}\0{size}\0".encode("utf-8", "surrogateescape")
                digest.update(name + sha256(file.read()).digest())
        except OSError:  # no episode: a stray file, or a folder without a log
            continue
    return digest.hexdigest()


def marks(run_id: str, layer1: str, prices: str, scores: str | None, prices_from: str = "") -> dict[str, Any]:
    """What tables say of themselves in their metadata; nothing that differs when they are built again.

    `scores` is the checksum of the rules' scores beside the logs, `prices_from` the day and source of the prices.
    """
    columns = sha256(repr([(name, [column[:2] for column in COLUMNS[name]]) for name in TABLES]).encode()).hexdigest()
    said = {"run_id": run_id, "layout": LAYOUT, "columns": columns[:16], "layer1": layer1, "prices": prices}
    return said | {"scores": scores, "prices_from": prices_from}


def read_marks(path: Path) -> dict[str, Any] | None:
    """What a table says of itself; None when it is missing, damaged or somebody else's."""
    pa = arrow()
    try:
        metadata: Any = pa.parquet.read_schema(path).metadata
    except (OSError, pa.ArrowInvalid):
        return None
    text = cast("dict[bytes, bytes]", metadata or {}).get(_MARKS)
    try:
        return json.loads(text) if text is not None else None
    except ValueError:
        return None


def prices_of(runs: Iterable[Path]) -> list[str]:
    """Day and source of the prices that the tables of some runs were made with, each once."""
    said = [read_marks(path_of(run, "episodes")) or {} for run in runs]
    return list(dict.fromkeys(str(one["prices_from"]) for one in said if one.get("prices_from")))


def encoded(said: dict[str, Any]) -> dict[bytes, bytes]:
    """Marks as metadata of a schema."""
    return {_MARKS: json.dumps(said, sort_keys=True).encode()}


def stale(run: Path, *, prices: str | None = None) -> str | None:
    """Why the tables must be built, in a few words; None when they are current.

    Tables without logs are taken as they are. With `prices` (a checksum), those of other prices are stale too.
    """
    layer1 = layer1_digest(run)
    found = [read_marks(path_of(run, table)) for table in TABLES]
    if layer1 is None:
        return None if all(path_of(run, table).is_file() for table in TABLES) else "missing"
    if None in found:
        return "missing"
    expected = marks("", layer1, prices or "", scores_digest(run))
    for said in found:
        if said is None or any(said.get(name) != expected[name] for name in ("layout", "columns")):
            return "made by another version"
        if said.get("layer1") != layer1:
            return "older than the logs"
        if said.get("scores") != expected["scores"]:
            return "older than the scores"
        if prices is not None and said.get("prices") != prices:
            return "made with other prices"
    return None
