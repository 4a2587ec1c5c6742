"""A process that makes rows of episodes for another: folders come as lines of JSON, tables go back as Arrow streams.

It ends when its standard input does, so it never outlives the process that started it.
"""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any, BinaryIO

from ...errors import InfrastructureError
from ...rewards.service.usage import PriceTable
from ..rule_log import RunScores
from .columns import TABLES, arrow
from .episode import read_rows
from .rows import new_rows

__all__ = ["Job", "Worker", "main", "tabulate"]

Job = list[tuple[Path, RunScores | None]]
"""Folders of episodes, each with what the rules gave it where its log says nothing of that."""

_LENGTH = struct.Struct("<Q")


def tabulate(job: Job, prices: PriceTable) -> tuple[dict[str, Any], list[str]]:
    """The rows of some episodes as one `pyarrow.RecordBatch` a table, and what could not be read."""
    tables, problems = new_rows(), list[str]()
    for folder, scores in job:
        found, wrong = read_rows(folder, prices, scores)
        problems += wrong
        for table, rows in found.items():
            for row in rows:
                tables[table].add(row)
    return {name: rows.batch() for name, rows in tables.items()}, problems


class Worker:
    """Such a process, from outside; started for its first job."""

    def __init__(self, prices: PriceTable) -> None:
        self._prices = prices
        self._process: subprocess.Popen[bytes] | None = None

    def do(self, job: Job) -> tuple[dict[str, Any], list[str]]:
        """The same as `tabulate`, done there. Raises InfrastructureError when the process dies."""
        process = self._process = self._process or _start(self._prices)
        assert process.stdin is not None and process.stdout is not None
        try:
            told = [
                (os.fspath(folder), scores and [list(scores.rewards.items()), scores.process]) for folder, scores in job
            ]
            process.stdin.write(json.dumps(told).encode() + b"\n")
            process.stdin.flush()
            problems: list[str] = json.loads(_take(process.stdout))
            return {table: _batch(_take(process.stdout)) for table in TABLES}, problems
        except (BrokenPipeError, EOFError):
            raise InfrastructureError(
                f"the process that read {job[0][0]} and after died (exit {process.wait()}); is there enough memory? "
                "Run the command again with --max-workers 1"
            ) from None

    def close(self) -> None:
        """End the process; may be called again."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


def _start(prices: PriceTable) -> subprocess.Popen[bytes]:
    paths = [path for path in sys.path if path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", f"from {__name__} import main; main()", prices.model_dump_json()]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True
    )


def main() -> None:
    """Do jobs until standard input ends."""
    prices = PriceTable.model_validate_json(sys.argv[1])
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        for line in sys.stdin.buffer:
            tables, problems = tabulate([_told(*one) for one in json.loads(line)], prices)
            _give(answers, json.dumps(problems).encode())
            for table in TABLES:
                _give(answers, _stream(tables[table]))
            answers.flush()


def _told(folder: str, scores: Any) -> tuple[Path, RunScores | None]:
    return Path(folder), RunScores(dict(scores[0]), scores[1]) if scores is not None else None


def _stream(batch: Any) -> bytes:
    pa = arrow()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def _batch(data: bytes) -> Any:
    with arrow().ipc.open_stream(data) as reader:
        return reader.read_next_batch()


def _give(out: BinaryIO, data: bytes) -> None:
    out.write(_LENGTH.pack(len(data)))
    out.write(data)


def _take(source: Any) -> bytes:
    head = source.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    data: bytes = source.read(_LENGTH.unpack(head)[0])
    return data
