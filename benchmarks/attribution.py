"""Are failures blamed on who caused them? A confusion table over faults put into real episodes.

    python -m trajectory_hub.benchmarks.attribution [--held-out] [--filter WORD] [-o FOLDER] [--json FILE]

Needs a Docker engine. Each fault happens for real: sandboxes run out of memory, containers and images vanish, a server
answers 429 or hangs up, the grader's tests never end. The rules were written with the first set of faults at hand; the
held-out set, with what is right for each and why, was written by somebody who had not read them. Ends with status 1
when less than 95% are blamed rightly.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..console import table
from ..envs.engine import Engine
from ..errors import Failure
from ..rollouts.attribution import Attribution, attribute_run
from ..rollouts.attribution.kinds import FAILURES
from .fault_stage import Fault, Stage, make_stage
from .faults import FAULTS
from .heldout import HELD_OUT

__all__ = ["Reading", "main", "read_fault"]

_ENOUGH = 0.95
_NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Reading:
    """What was made of one fault."""

    fault: str
    failure: str
    """Who is to blame; `nobody` where nobody failed."""
    blamed: str
    """Who was blamed; `nobody` where no rule said anything."""
    kind: str
    said: str
    right: bool
    """The failure is right."""
    exactly: bool
    """The kind as well."""
    seconds: float
    rule: str | None
    told: tuple[str, ...]
    """The evidence."""


def read_fault(fault: Fault, stage: Stage) -> tuple[Reading, Attribution]:
    """Let it happen, and see who is blamed."""
    begun = time.monotonic()
    run = fault.inject(stage)
    found = [attribution for _, _, attribution in attribute_run(run)][-1]
    expected = FAILURES[fault.expected[0]] if fault.expected else None
    reading = Reading(
        fault=fault.name,
        failure=expected.value if expected is not None else _NOBODY,
        blamed=found.failure.value if found.failure is not None else _NOBODY,
        kind=fault.expected[0].value if fault.expected else "nothing",
        said=found.kind.value if found.kind is not None else "nothing",
        right=found.failure is expected,
        exactly=found.kind in fault.expected if fault.expected else found.kind is None,
        seconds=round(time.monotonic() - begun, 2),
        rule=found.rule,
        told=tuple(one.told for one in found.evidence),
    )
    return reading, found


def _confusion(readings: Sequence[Reading]) -> None:
    counts = Counter((reading.failure, reading.blamed) for reading in readings)
    said = [*(failure.value for failure in Failure), _NOBODY]
    rows = [[name, *(counts[(name, other)] for other in said)] for name in said]
    shown = [row for row in rows if any(row[1:])]
    table("To blame (rows), blamed (columns)", ("", *said), shown)


def _read_all(chosen: Sequence[Fault], output: Path | None) -> list[Reading]:
    engine = Engine(run_id="faults")
    try:
        with tempfile.TemporaryDirectory() as folder:
            work = output or Path(folder)
            work.mkdir(parents=True, exist_ok=True)
            stage = make_stage(work, engine)
            return [read_fault(fault, stage)[0] for fault in chosen]
    finally:
        engine.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Print each fault and the confusion table; 1 when fewer than 95% are right."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--held-out", action="store_true", help="faults that the rules were not written with")
    parser.add_argument("--filter", default="", help="only faults whose name holds this")
    parser.add_argument("-o", "--output", type=Path, help="keep the runs in this folder")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    chosen = [fault for fault in (HELD_OUT if options.held_out else FAULTS) if options.filter in fault.name]
    readings = _read_all(chosen, options.output)
    columns = ("fault", "failure", "blamed", "kind", "said", "right", "exactly", "seconds")
    table("Faults", columns, [[getattr(reading, name) for name in columns] for reading in readings])
    _confusion(readings)
    right, exactly = (
        sum(flags) / len(readings) for flags in zip(*((r.right, r.exactly) for r in readings), strict=True)
    )
    print(f"{len(readings)} faults: {right:.1%} blamed on who caused them, {exactly:.1%} by the exact kind")
    if options.json:
        options.json.write_text(json.dumps([asdict(reading) for reading in readings], indent=2) + "\n")
    return 0 if right >= _ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
