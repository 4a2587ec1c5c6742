"""How fast other agents' sessions become event logs, and in how much memory, beside an extraction of rounds only.

    python -m trajectory_hub.benchmarks.ingest --sessions DIR [--mb 100 1000] [--shape many huge] [--workers 1 2]
                                               [--rounds 3] [--tracelab CHECKOUT] [--json FILE]

The sessions in DIR (Claude Code transcripts and Codex rollouts, for example TraceLab's example sessions) are repeated
under other ids until there are so many megabytes: as many files, and as one huge file a format. Each contender is a
process of its own, interleaved; its time, CPU time and peak memory (the largest of its processes; never less than that
of this one, some 40 MiB) are the system's.

Ours writes whole event logs: every text, every record, a hash chain. What it is measured beside (`ingest_peer`, and
TraceLab's own scripts where a checkout is given) writes one row of figures a model call, and no text.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from ..rollouts.adapters.engine import IngestConfig, plan_ingest

__all__ = ["Figure", "main", "measure", "scale_up"]

_IDS = re.compile(rb'(: ?")(msg_|toolu_|call_)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Medians of one contender on one input."""

    contender: str
    shape: str
    mb: float
    records: int
    seconds: float
    cpu_seconds: float
    mb_per_s: float
    mb_per_cpu_s: float
    records_per_s: float
    written_mb: float
    peak_mib: float


def scale_up(seeds: list[tuple[Path, str]], folder: Path, mb: float, shape: str) -> tuple[float, int]:
    """Repeat sessions, named by path and id, under other ids; how many MB and records there are."""
    folder.mkdir(parents=True)
    size = records = number = 0
    while size < mb * 1e6:
        for path, session in seeds:
            data = _renamed(path.read_bytes(), session, number)
            name = path.parent.name
            target = folder / (f"{name}.jsonl" if shape == "huge" else f"{number // 500}/{number}-{name}.jsonl")
            target.parent.mkdir(exist_ok=True)
            with target.open("ab") as file:
                file.write(data)
            size, records = size + len(data), records + data.count(b"\n")
        number += 1
    return size / 1e6, records


def _renamed(data: bytes, session: str, number: int) -> bytes:
    data = data.replace(session.encode(), f"{number:08d}".encode() + session[8:].encode())
    return _IDS.sub(rb"\1\g<2>%d_" % number, data)


def measure(
    sessions: Path, sizes: list[float], shapes: list[str], workers: list[int], rounds: int, checkout: Path | None
) -> Iterator[Figure]:
    """Figures, input by input."""
    found = plan_ingest([sessions], IngestConfig()).sources
    paths = [Path(source.path) for source in found if source.format in ("claude-code", "codex")]
    seeds = [(path, _session(path)) for path in paths]
    for mb in sizes:
        for shape in shapes:
            with tempfile.TemporaryDirectory() as folder:
                size, records = scale_up(seeds, Path(folder) / "in", mb, shape)
                yield from _compare(Path(folder), shape, size, records, workers, rounds, checkout)


def _session(path: Path) -> str:
    first = json.loads(path.open().readline())
    return str(first.get("sessionId") or first["payload"]["id"])


def _compare(
    folder: Path, shape: str, size: float, records: int, workers: list[int], rounds: int, checkout: Path | None
) -> Iterator[Figure]:
    source, out = folder / "in", folder / "out"
    ours = [sys.executable, "-m", "trajectory_hub", "trace", "ingest", str(source), "-o", str(out), "--json"]
    peer = [sys.executable, "-m", __spec__.name, "--extract", str(source), str(out)]
    contenders = {f"ours, {n} process{'es' if n > 1 else ''}": [*ours, "--max-workers", str(n)] for n in workers}
    contenders["rounds only (stand-in)"] = peer
    if checkout is not None:
        contenders["rounds only (TraceLab)"] = [*peer, "--tracelab", str(checkout)]
    taken: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, command in contenders.items():
            taken[name].append((*_run(command), _written(out)))
            shutil.rmtree(out) if out.is_dir() else out.unlink()
    for name, figures in taken.items():
        wall, cpu, peak, written = (statistics.median(column) for column in zip(*figures, strict=True))
        yield Figure(
            contender=name,
            shape=shape,
            mb=round(size, 1),
            records=records,
            seconds=round(wall, 2),
            cpu_seconds=round(cpu, 2),
            mb_per_s=round(size / wall, 1),
            mb_per_cpu_s=round(size / cpu, 1),
            records_per_s=round(records / wall),
            written_mb=round(written, 1),
            peak_mib=round(peak, 1),
        )


def _run(command: list[str]) -> tuple[float, float, float]:
    """Wall time, CPU time of all its processes, and the largest one's peak memory in MiB."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _pid, status, used = os.wait4(process.pid, 0)
    took = time.perf_counter() - begun
    if status:
        raise SystemExit(f"{' '.join(command)} failed: {process.stderr.read().decode() if process.stderr else ''}")
    return took, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def _written(out: Path) -> float:
    files = out.rglob("*") if out.is_dir() else [out]
    return sum(path.stat().st_size for path in files if path.is_file()) / 1e6


def _extract(source: Path, out: Path, checkout: Path | None) -> None:
    from .ingest_peer import extract, session_files, upstream

    files = list(session_files(source))
    print(extract(files, out) if checkout is None else upstream(checkout, files, out))


def _show(figures: list[Figure]) -> None:
    base = next((figure for figure in figures if figure.contender.startswith("rounds only")), figures[0])
    print(f"\n{figures[0].mb:,.0f} MB, {figures[0].records:,} records, {figures[0].shape}")
    print(f"{'':<26}{'MB/s':>8}{'records/s':>11}{'MB/CPU s':>10}{'ratio':>7}{'written MB':>12}{'peak MiB':>10}")
    for figure in figures:
        ratio = f"{figure.mb_per_s / base.mb_per_s:.2f}"
        print(
            f"{figure.contender:<26}{figure.mb_per_s:>8}{figure.records_per_s:>11,}{figure.mb_per_cpu_s:>10}"
            f"{ratio:>7}{figure.written_mb:>12,}{figure.peak_mib:>10}"
        )


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Ingestion beside an extraction of rounds.")
    parser.add_argument("--sessions", type=Path)
    parser.add_argument("--mb", type=float, nargs="+", default=[100, 1000])
    parser.add_argument("--shape", nargs="+", choices=["many", "huge"], default=["many", "huge"])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, os.cpu_count() or 1])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tracelab", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--extract", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.extract:
        source, out = options.extract
        _extract(source, out, options.tracelab)
        return
    if options.sessions is None:
        parser.error("--sessions names a folder with sessions to repeat")
    everything: list[Figure] = []
    for mb in options.mb:
        for shape in options.shape:
            figures = list(measure(options.sessions, [mb], [shape], options.workers, options.rounds, options.tracelab))
            _show(figures)
            everything += figures
    print(f"\nload average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    if options.json:
        options.json.write_text(json.dumps([asdict(figure) for figure in everything], indent=2) + "\n")


if __name__ == "__main__":
    main()
