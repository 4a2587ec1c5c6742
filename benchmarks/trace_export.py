"""How fast episodes are exported, and that memory does not grow with their number.

    python -m trajectory_hub.benchmarks.trace_export RUN [--episodes 50] [--times 4]

Each format exports the first episodes of RUN, then a run that holds them several times over, each in a process of its
own whose greatest resident size is read when it is done.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ..rollouts.episode_log import EVENTS
from ..rollouts.exporters.registry import exporters
from ..rollouts.run_dir import EPISODES, MANIFEST
from ..rollouts.trajectory import episode_folders

__all__ = ["main"]

_CODE = """
import json, resource, sys, time
from trajectory_hub.rollouts.exporters import export
from trajectory_hub.rollouts.exporters.registry import exporters
exporters().get(sys.argv[2])
begun = time.process_time()
report = export([sys.argv[1]], sys.argv[2], sys.argv[3])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"cpu_s": time.process_time() - begun, "peak_mb": peak / 1024, "episodes": report.episodes}))
"""


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--times", type=int, default=4)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        runs = [_copied(given.run, Path(work) / f"x{times}", given.episodes, times) for times in (1, given.times)]
        print(f"{'format':18}{'episodes':>9}{'MB read':>9}{'MB/s':>8}{'episodes/s':>12}{'peak MB':>9}{'x1':>7}")
        for name in sorted(exporters().exporters):
            one, many = (_measured(run, name, Path(work) / "out") for run in runs)
            read = sum(path.stat().st_size for path in runs[1].glob(f"{EPISODES}/*/{EVENTS}")) / 1e6
            rate, speed = read / many["cpu_s"], given.episodes * given.times / many["cpu_s"]
            told = f"{name:18}{many['episodes']:>9.0f}{read:>9.1f}{rate:>8.1f}{speed:>12.0f}"
            print(f"{told}{many['peak_mb']:>9.0f}{one['peak_mb']:>7.0f}", flush=True)
    print(f"CPU seconds of one process; this one's own peak: {_own_peak():.0f} MB")


def _own_peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _copied(run: Path, target: Path, episodes: int, times: int) -> Path:
    """A run that holds the first episodes of `run` so many times."""
    folders = episode_folders(run)[:episodes]
    for number in range(times):
        for folder in folders:
            copy = target / EPISODES / f"{number}-{folder.name}"
            copy.mkdir(parents=True)
            (copy / EVENTS).symlink_to((folder / EVENTS).resolve())
    shutil.copy(run / MANIFEST, target / MANIFEST)
    return target


def _measured(run: Path, name: str, out: Path) -> dict[str, float]:
    command = [sys.executable, "-c", _CODE, str(run), name, str(out)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    for path in out.parent.glob(f"{out.name}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
