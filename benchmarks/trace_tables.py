"""Layer 2 at scale: how fast tables are built from event logs, and synthetic tables for whoever reads them.

    python -m trajectory_hub.benchmarks.trace_tables synthetic FOLDER [--steps 1000000] [--seed 0]

What is synthetic says so: nothing in it was measured.
"""

import argparse
from pathlib import Path

from .synthetic_tables import synthetic_run

__all__ = ["main", "synthetic_run"]


def main() -> None:
    """Run what the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    synthetic = commands.add_parser("synthetic", help="write synthetic tables")
    synthetic.add_argument("folder", type=Path)
    synthetic.add_argument("--steps", type=int, default=1_000_000)
    synthetic.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(synthetic_run(given.folder, given.steps, given.seed))


if __name__ == "__main__":
    main()
