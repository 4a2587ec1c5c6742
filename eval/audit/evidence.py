"""Evidence that lies beside a run: calibrations, datasets made from it, and what was trained or evaluated on those."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from ...errors import UsageError
from ...rollouts.files import sha256_of

__all__ = ["Dataset", "Evidence"]

_DATA = {".jsonl", ".parquet", ".json"}


@dataclass(frozen=True)
class Dataset:
    """Pairs or an exported dataset, a file or a folder."""

    path: Path

    @cached_property
    def digests(self) -> Mapping[Path, str]:
        """SHA-256 of each of its data files."""
        if not self.path.exists():
            raise UsageError(f"there is no {self.path}; give what `trajhub pairs` or `trajhub export` wrote")
        files = [self.path] if self.path.is_file() else sorted(p for p in self.path.rglob("*") if p.suffix in _DATA)
        return {path: sha256_of(path) for path in files}

    def rows(self) -> Iterator[dict[str, Any]]:
        """Rows of its JSONL files."""
        for path in self.digests:
            if path.suffix == ".jsonl":
                yield from _lines(path)


@dataclass(frozen=True)
class Evidence:
    """What the caller gave; every file is named in the report with its checksum."""

    calibrations: Sequence[Path] = ()
    datasets: Sequence[Dataset] = ()
    effects: Sequence[Path] = ()

    def sources(self) -> list[str]:
        """Every file with its SHA-256."""
        files = {path: sha256_of(path) for path in (*self.calibrations, *self.effects)}
        for dataset in self.datasets:
            files |= dataset.digests
        return [f"{path} sha256:{digest}" for path, digest in files.items()]

    def calibration(self) -> list[str]:
        """What the calibration reports say of their gate, in sentences."""
        said = list[str]()
        for path in self.calibrations:
            gate = _document(path).get("gate")
            sentence = cast("Mapping[str, Any]", gate).get("sentence") if isinstance(gate, Mapping) else None
            if not sentence:
                raise UsageError(f"{path} is not what `trajhub calibrate --json` writes: it has no gate")
            said.append(f"{path.name}: {sentence}")
        return said

    def used(self) -> list[tuple[Path, list[str]]]:
        """Training and evaluation manifests, with the data files of `datasets` that each names by checksum."""
        digests = {digest: path for dataset in self.datasets for path, digest in dataset.digests.items()}
        found = list[tuple[Path, list[str]]]()
        for path in self.effects:
            text = json.dumps(_document(path))
            found.append((path, sorted(str(file) for digest, file in digests.items() if digest in text)))
        return found


def _document(path: Path) -> dict[str, Any]:
    try:
        found: object = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is not a JSON document: {error}") from None
    if not isinstance(found, dict):
        raise UsageError(f"{path} holds no JSON object")
    return cast("dict[str, Any]", found)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise UsageError(f"{path}:{number} is not JSON: {error}") from None
