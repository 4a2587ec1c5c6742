"""A process that scores episodes for another: folders come as lines of JSON, lines of scores go back.

It ends when its standard input does, so it never outlives the process that started it for longer than an episode.
"""

import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import InfrastructureError, UsageError
from ..rewards.config import RubricConfig
from .rule_scores import Scoring, score_episode
from .score_log import StepScoreRow

__all__ = ["Scored", "Worker", "main", "scored"]

_LENGTH = struct.Struct("<Q")


class Scored(NamedTuple):
    """An episode's lines of the file of scores, or why there is none."""

    lines: Sequence[bytes]
    problem: str | None = None


def scored(folder: Path, scoring: Scoring) -> Scored:
    """Score an episode; a damaged log is told, not raised."""
    try:
        rows = score_episode(folder, scoring)
    except UsageError as error:
        return Scored((), str(error))
    return Scored([_line(row) for row in rows])


def _line(row: StepScoreRow) -> bytes:
    """The row without what it leaves at its default, the version aside."""
    told = {"schema_version": row.schema_version, **row.model_dump(mode="json", exclude_defaults=True)}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


class Worker:
    """Such a process, from outside; started for its first job."""

    def __init__(self, scoring: Scoring) -> None:
        self._scoring = scoring
        self._process: subprocess.Popen[bytes] | None = None

    def do(self, folder: Path) -> Scored:
        """The same as `scored`, done there. Raises InfrastructureError when the process dies."""
        process = self._process = self._process or _start(self._scoring)
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(os.fspath(folder)).encode() + b"\n")
            process.stdin.flush()
            head = process.stdout.read(_LENGTH.size)
            data = process.stdout.read(_LENGTH.unpack(head)[0]) if len(head) == _LENGTH.size else b""
        except BrokenPipeError:
            data = b""
        if not data:
            raise InfrastructureError(
                f"the process that scored {folder} died (exit {process.wait()}); is there enough memory? "
                "Run the command again with --max-workers 1"
            )
        problem, _, lines = data.partition(b"\n")
        return Scored(lines.splitlines(keepends=True), json.loads(problem))

    def close(self) -> None:
        """End the process; may be called again."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


def _start(scoring: Scoring) -> subprocess.Popen[bytes]:
    paths = [path for path in sys.path if path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", f"from {__name__} import main; main()"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    assert process.stdin is not None
    told: dict[str, Any] = {"rubric": scoring.rubric.config.model_dump(mode="json"), "patches": dict(scoring.patches)}
    process.stdin.write(json.dumps(told).encode() + b"\n")
    return process


def main() -> None:
    """Do jobs until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        told = json.loads(sys.stdin.buffer.readline())
        scoring = Scoring.of(RubricConfig.model_validate(told["rubric"]), told["patches"])
        for line in sys.stdin.buffer:
            found = scored(Path(json.loads(line)), scoring)
            data = json.dumps(found.problem).encode() + b"\n" + b"".join(found.lines)
            answers.write(_LENGTH.pack(len(data)) + data)
            answers.flush()
