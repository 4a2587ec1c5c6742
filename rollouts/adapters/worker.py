"""A process that reads sources for another: jobs come as lines of JSON, what became of them goes back likewise.

It ends when its standard input does, so it never outlives the process that started it for longer than a moment.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import asdict
from queue import SimpleQueue
from typing import Any

from ...errors import DiskFull, TrajHubError
from .one_source import Job, Tick, ingest_source
from .registry import adapters
from .report import SourceReport
from .sources import Source

__all__ = ["Worker", "main"]


class Worker:
    """Such a process, from outside. It is started for its first job, and again after a job that killed it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def do(self, job: Job, tick: Tick) -> SourceReport:
        """Do a job there. Raises DiskFull."""
        process = self._process = self._process or _start()
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(asdict(job)).encode() + b"\n")
            process.stdin.flush()
            for line in process.stdout:
                told = json.loads(line)
                if "report" in told:
                    return SourceReport.of(told["report"])
                if "full" in told:
                    raise DiskFull(told["full"])
                tick(*told["at"])
        except BrokenPipeError:
            pass
        return self._died(job)

    def _died(self, job: Job) -> SourceReport:
        process, self._process = self._process, None
        code = process.wait() if process is not None else None
        source = job.source
        return SourceReport(
            source=source.name,
            format=source.format,
            bytes=source.bytes,
            stamp=source.stamp,
            problem=f"the process that read it died (exit {code}); is there enough memory?",
        )

    def close(self) -> None:
        """End the process; may be called again."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


def _start() -> subprocess.Popen[bytes]:
    paths = [path for path in sys.path if path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", f"from {__name__} import main; main()"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)


def main() -> None:
    """Do jobs until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what an adapter prints must not be taken for an answer
    jobs = SimpleQueue[bytes]()
    threading.Thread(target=_listen, args=(jobs,), daemon=True).start()

    def tell(value: dict[str, Any]) -> None:
        answers.write(json.dumps(value).encode() + b"\n")

    while True:
        told: dict[str, Any] = json.loads(jobs.get())
        told["source"] = Source(**told["source"])
        job = Job(**told)
        try:
            adapter = adapters().get(job.source.format)
            tell({"report": ingest_source(job, adapter, lambda done, events: tell({"at": [done, events]})).as_dict()})
        except DiskFull as error:
            tell({"full": str(error)})
        except TrajHubError as error:
            print(f"trajhub: {error}", file=sys.stderr)
            os._exit(3)


def _listen(jobs: SimpleQueue[bytes]) -> None:
    """Take jobs; the end of the input is the end of this process, whatever it does."""
    for line in sys.stdin.buffer:
        jobs.put(line)
    os._exit(0)
