"""`build_tables`: layer 2 of a run from its logs, byte for byte the same whenever and however parallel it is built."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ...rewards.service.usage import PriceTable, default_prices
from ..files import room_for
from ..log_file import EVENTS
from ..rule_log import rule_scores_of, scores_digest
from ..run_dir import read_manifest
from ..trajectory import episode_folders
from .columns import TABLES, arrow, schema
from .fresh import encoded, layer1_digest, marks, path_of, stale
from .worker import Job, Worker, tabulate

__all__ = ["Tables", "build_tables", "price_mark"]

_ROW_GROUP = 1 << 16
_JOB_BYTES = 4 << 20
_JOB_EPISODES = 64
_ALONE = 8 << 20
"""Logs smaller than this in all are read by this process itself."""

_Done = tuple[dict[str, Any], list[str]]
Progress = Callable[[int], None]
"""Called with how many more bytes of logs were read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """The tables of a run."""

    run: Path
    built: str | None
    """Why they were built; None when they were current."""
    rows: dict[str, int] = field(default_factory=dict[str, int])
    problems: tuple[str, ...] = ()
    """Lines of logs that are no events, and were left out."""
    seconds: float = 0.0

    def path(self, table: str) -> Path:
        """The file of a table. Raises UsageError when there is no such table."""
        if table not in TABLES:
            raise UsageError(f"there is no table {table!r}; there are {', '.join(TABLES)}")
        return path_of(self.run, table)


def price_mark(prices: PriceTable) -> str:
    """Checksum of a price table."""
    return sha256(prices.model_dump_json().encode()).hexdigest()[:16]


def build_tables(
    run: Path,
    *,
    prices: PriceTable | None = None,
    force: bool = False,
    max_workers: int | None = None,
    progress: Progress = lambda _bytes: None,
) -> Tables:
    """Write `episodes.parquet`, `steps.parquet`, `requests.parquet` and `samples.parquet` beside `run.json`.

    Nothing is done when they are there and made from the logs as they are (unless `force`). Costs that no log tells are
    computed with `prices` (default: the shipped table). Raises UsageError when `run` is no run, MissingExtra, DiskFull.
    """
    began = time.monotonic()
    arrow()
    run_id = str(read_manifest(run).get("run_id", run.name))
    table = prices or default_prices()
    why = "asked" if force else stale(run, prices=price_mark(table))
    layer1 = layer1_digest(run)
    if why is None or layer1 is None:
        if why is not None:
            raise UsageError(f"{run} has no episodes to make tables of")
        return Tables(run=run, built=None, rows=_counted(run), seconds=time.monotonic() - began)
    said = marks(run_id, layer1, price_mark(table), scores_digest(run), _prices_from(table))
    with _Writer(run, said) as writer:
        for (tables, problems), size in _tabulated(run, table, max_workers):
            writer.take(tables, problems)
            progress(size)
        writer.finish()
    return Tables(
        run=run, built=why, rows=writer.rows, problems=tuple(writer.problems), seconds=time.monotonic() - began
    )


def _prices_from(prices: PriceTable) -> str:
    """The day of the prices and where they were published, in words."""
    return f"{prices.as_of.isoformat()} ({prices.source})" if prices.source else prices.as_of.isoformat()


def _counted(run: Path) -> dict[str, int]:
    parquet = arrow().parquet
    return {name: parquet.read_metadata(path_of(run, name)).num_rows for name in TABLES}


def _jobs(run: Path, folders: Sequence[Path]) -> Iterator[tuple[Job, int]]:
    """Episodes in groups of about equal size, with the rules' scores of those that have some, and the bytes of logs."""
    group, size = Job(), 0
    scores = rule_scores_of(run)
    known = next(scores, None)
    for folder in folders:
        while known is not None and known[0] < folder.name:
            known = next(scores, None)
        group.append((folder, known[1] if known is not None and known[0] == folder.name else None))
        size += (folder / EVENTS).stat().st_size
        if size >= _JOB_BYTES or len(group) == _JOB_EPISODES:
            yield group, size
            group, size = Job(), 0
    if group:
        yield group, size


def _tabulated(run: Path, prices: PriceTable, workers: int | None) -> Iterator[tuple[_Done, int]]:
    """The rows of all episodes in order, some at a time, made by several processes where that pays."""
    folders = episode_folders(run)
    jobs = _jobs(run, folders)
    count = min(workers or os.cpu_count() or 1, len(folders))
    if count <= 1 or sum((folder / EVENTS).stat().st_size for folder in folders) < _ALONE:
        for group, size in jobs:
            yield tabulate(group, prices), size
        return
    local = threading.local()
    with ExitStack() as stack, ThreadPoolExecutor(count) as pool:

        def start() -> Worker:
            worker = Worker(prices)
            stack.callback(worker.close)
            return worker

        def work(group: Job) -> _Done:
            local.worker = getattr(local, "worker", None) or start()
            return local.worker.do(group)

        yield from _in_order(pool, work, jobs, ahead=2 * count)


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[Job], _Done], jobs: Iterable[tuple[Job, int]], ahead: int
) -> Iterator[tuple[_Done, int]]:
    """Results in the order of the jobs, of which only so many are begun ahead: memory does not grow with the run."""
    waiting = deque[tuple[Future[_Done], int]]()
    try:
        for group, size in jobs:
            waiting.append((pool.submit(work, group), size))
            if len(waiting) > ahead:
                first, done = waiting.popleft()
                yield first.result(), done
        while waiting:
            first, done = waiting.popleft()
            yield first.result(), done
    finally:
        for future, _ in waiting:
            future.cancel()


class _Writer:
    """Writes all tables into files of other names, which take their places together when they are whole."""

    def __init__(self, run: Path, said: dict[str, Any]) -> None:
        self._run, self._said = run, said
        self._parts = {name: run / f".{name}.parquet.{os.getpid()}.{threading.get_ident()}.partial" for name in TABLES}
        self._waiting: dict[str, list[Any]] = {name: [] for name in TABLES}
        self._stack = ExitStack()
        self._files: dict[str, Any] = {}
        self.rows = dict.fromkeys(TABLES, 0)
        self.problems: list[str] = []

    def __enter__(self) -> "_Writer":
        pa = arrow()
        with room_for(self._run):
            for name, path in self._parts.items():
                shape = schema(name).with_metadata(encoded(self._said))
                self._files[name] = self._stack.enter_context(
                    pa.parquet.ParquetWriter(path, shape, compression="zstd", version="2.6")
                )
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        for path in self._parts.values():
            path.unlink(missing_ok=True)

    def take(self, tables: dict[str, Any], problems: list[str]) -> None:
        """Add rows; what fills a row group is written."""
        self.problems += problems
        for name, batch in tables.items():
            self._waiting[name].append(batch)
            self.rows[name] += batch.num_rows
            if name != "episodes":
                self._write(name, _ROW_GROUP)

    def _write(self, name: str, least: int) -> None:
        """Write row groups as long as there are `least` rows for one; the groups do not depend on how rows came."""
        if not self._waiting[name] or sum(batch.num_rows for batch in self._waiting[name]) < max(least, 1):
            return
        pa = arrow()
        table = pa.Table.from_batches(self._waiting[name])
        with room_for(self._parts[name]):
            while table.num_rows >= max(least, 1):
                group = table.slice(0, _ROW_GROUP).combine_chunks()
                group = group.replace_schema_metadata(encoded(self._said))
                self._files[name].write_table(group, row_group_size=_ROW_GROUP)
                table = table.slice(_ROW_GROUP)
        self._waiting[name] = table.to_batches()

    def finish(self) -> None:
        """Write the rest and put the files in their places, the episodes last."""
        self._waiting["episodes"] = _final_attempts(self._waiting["episodes"])
        for name in TABLES:
            self._write(name, 0)
        self._stack.close()
        with room_for(self._run):
            for name in reversed(TABLES):
                self._parts[name].replace(path_of(self._run, name))


def _final_attempts(batches: list[Any]) -> list[Any]:
    """Only the last attempt of each task and seed counts; foreign records are none of each other's attempts."""
    if not batches:
        return []
    pa = arrow()
    table = pa.Table.from_batches(batches)
    names = ("task_id", "seed", "attempt", "format")
    rows = list(zip(*(table.column(name).to_pylist() for name in names), strict=True))
    last: dict[tuple[str, int | None], int] = {}
    for task, seed, attempt, form in rows:
        if form == "trajhub":
            last[task, seed] = max(last.get((task, seed), 0), attempt)
    final = [form != "trajhub" or attempt == last[task, seed] for task, seed, attempt, form in rows]
    place = table.schema.get_field_index("attempt_final")
    return table.set_column(place, table.schema.field(place), pa.array(final, pa.bool_())).to_batches()
