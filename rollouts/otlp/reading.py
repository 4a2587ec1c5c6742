"""Reads back what a receiver wrote, in constant memory.

A sender that got no answer sends its export again, although the receiver may have had it on disk already when it was
killed. The repeated export has the same bytes, and so the same id (see `exports.read_export`): of exports with equal
ids only the first is given. The ids of the last 65,536 exports are remembered; senders repeat within minutes.
"""

import json
from collections import OrderedDict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from pydantic_core import from_json

from ...errors import UsageError
from .decoding import records_of
from .records import Signal, Telemetry

__all__ = ["OTLP", "OtlpReader", "read_otlp"]

OTLP = "otlp.jsonl"
"""Name of a receiver's file."""

_REMEMBERED = 65_536


class OtlpReader:
    """Iterates over the records of a receiver's file, or of its folder, in the order in which they came.

    What is not given is counted: `torn` bytes of an unfinished last line, `repeated` records of exports that were sent
    twice, records that the receiver `rejected`, by reason; a line that is no export is listed in `problems`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path / OTLP if path.is_dir() else path
        self.exports = 0
        self.repeated = 0
        self.torn = 0
        self.rejected: dict[str, int] = {}
        self.problems: list[str] = []

    def __iter__(self) -> Iterator[Telemetry]:
        known = OrderedDict[str, None]()
        for export in self._exports():
            if export["export"] in known:
                known.move_to_end(export["export"])
                self.repeated += export["records"]
                continue
            known[export["export"]] = None
            if len(known) > _REMEMBERED:
                known.popitem(last=False)
            self.exports += 1
            for why, number in export.get("rejected", {}).items():
                self.rejected[why] = self.rejected.get(why, 0) + number
            signal: Signal = export["signal"]
            yield from records_of(signal, export["data"], datetime.fromisoformat(export["received"]), export["export"])

    def _exports(self) -> Iterator[dict[str, Any]]:
        try:
            file = self.path.open("rb")
        except OSError as error:
            raise UsageError(f"cannot read {self.path}: {error.strerror}; was a receiver writing there?") from error
        with file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    self.torn = len(line)
                    return
                export = _export(line)
                if export is None:
                    self.problems.append(f"{self.path}:{number}: not an export of telemetry")
                else:
                    yield export


def read_otlp(path: Path) -> Iterator[Telemetry]:
    """The records of a receiver's file, or of its folder, in order, each once; a torn last line is left out."""
    return iter(OtlpReader(path))


def _loads(line: bytes) -> Any:
    """What a line says; None for what is no JSON."""
    try:
        return from_json(line)  # quick, and the same names are the same strings
    except ValueError:
        pass
    try:
        return json.loads(line)  # also half characters
    except ValueError:
        return None


def _export(line: bytes) -> dict[str, Any] | None:
    value = _loads(line)
    wanted = {"export": str, "signal": str, "received": str, "records": int, "data": dict}
    if not isinstance(value, dict):
        return None
    found = cast("dict[str, Any]", value)
    return found if all(isinstance(found.get(name), kind) for name, kind in wanted.items()) else None
