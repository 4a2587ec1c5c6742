"""`replay.jsonl`: one line an episode, appended as each is done, so that a replay that was stopped goes on."""

import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from ...errors import UsageError
from ..files import room_for, write_atomic
from ..payloads import clean
from .report import EpisodeReplay

__all__ = ["REPLAYS", "ReplayLog", "read_replays"]

REPLAYS = "replay.jsonl"


def read_replays(run: Path) -> Iterator[EpisodeReplay]:
    """The replays of a run so far; a torn last line is left out.

    Raises UsageError for a line that is no replay.
    """
    path = run / REPLAYS
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                yield EpisodeReplay.model_validate_json(line)
            except ValidationError as error:
                if not line.endswith(b"\n"):
                    return
                first = error.errors(include_input=False, include_url=False)[0]
                where = ".".join(map(str, first["loc"]))
                raise UsageError(
                    f"{path}:{number} is not a replay of this version ({where}: {first['msg']}); "
                    "move the file away and replay again"
                ) from None


class ReplayLog:
    """The file of one run, open for appending. Thread-safe."""

    def __init__(self, run: Path) -> None:
        self.path = run / REPLAYS
        self._lock = threading.Lock()
        self._rows = {row.episode_id: row for row in read_replays(run)}

    @property
    def rows(self) -> Mapping[str, EpisodeReplay]:
        """The latest replay of each episode."""
        return self._rows

    def keep_only(self, episode_ids: set[str]) -> None:
        """Forget every other episode, and mend a torn end."""
        self._rows = {name: row for name, row in self._rows.items() if name in episode_ids}
        if self._rows or self.path.exists():
            write_atomic(self.path, "".join(map(_line, self._rows.values())))

    def add(self, row: EpisodeReplay) -> None:
        """Append one episode."""
        with self._lock, room_for(self.path), self.path.open("ab") as file:
            file.write(_line(row).encode())
            self._rows[row.episode_id] = row


def _line(row: EpisodeReplay) -> str:
    # What is as by default is left out, but for the version that says what the defaults are.
    fields = {"schema_version": row.schema_version} | row.model_dump(mode="json", exclude_defaults=True)
    return json.dumps(clean(fields), ensure_ascii=False) + "\n"
