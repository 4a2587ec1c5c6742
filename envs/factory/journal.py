"""What a build has done so far: one line a finished candidate, so that a killed build goes on where it was."""

import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...errors import ConfigError

__all__ = ["Journal", "Outcome"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one candidate."""

    candidate: str
    kind: str
    package: str
    version: str
    operator: str
    """Of an injected bug; the pair of versions of a release."""
    function: str = ""
    accepted: bool
    reason: str = ""
    """Why it was refused: a short fixed phrase."""
    instance_id: str = ""
    seconds: float = 0.0


class Journal:
    """The outcomes of a build, in a file below its output folder. Safe to share between threads."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._lock = threading.Lock()
        self._path = folder / "journal.jsonl"
        self._outcomes: dict[str, Outcome] = {}
        self._check(folder / "config.json", config)
        self._read()

    def _check(self, path: Path, config: Mapping[str, Any]) -> None:
        text = json.dumps(config, indent=2, sort_keys=True)
        if path.exists():
            before: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if changed := sorted(key for key in {*before, *config} if before.get(key) != config.get(key)):
                raise ConfigError(
                    f"{path.parent.parent} was begun with another {', '.join(changed)}; "
                    "go on as it was begun, or build into another folder"
                )
        path.write_text(text, encoding="utf-8")

    def _read(self) -> None:
        if not self._path.exists():
            return
        data = self._path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if whole != data:
            # A killed build may have left half a line; what follows must begin on its own.
            self._path.write_bytes(whole)
        for line in whole.splitlines():
            outcome = Outcome(**json.loads(line))
            self._outcomes[outcome.candidate] = outcome

    def get(self, candidate: str) -> Outcome | None:
        """What became of a candidate, or None when it was not tried yet."""
        with self._lock:
            return self._outcomes.get(candidate)

    def add(self, outcome: Outcome) -> None:
        """Write an outcome down, flushed."""
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(outcome)) + "\n")
            self._outcomes[outcome.candidate] = outcome

    def outcomes(self) -> list[Outcome]:
        """Everything so far."""
        with self._lock:
            return list(self._outcomes.values())
