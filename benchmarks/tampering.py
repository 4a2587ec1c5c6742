"""Is a patch that tampers with the tests ever graded resolved? Ours and the official harness's answer for each.

    python -m trajectory_hub.benchmarks.tampering TASKS [--task ID] [-o DIR]

Prints a table and writes `tampering.json`; ends with status 1 when our grader calls any of the patches resolved.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..console import table
from ..envs.engine import Engine
from ..envs.grader import Grader
from ..envs.sources import load_tasks
from ..envs.task import Task
from ..envs.verdict import Verdict
from .official import Case, ask
from .tampers import TAMPERS, tampering_patches

__all__ = ["main"]


def _caught_by(verdict: Verdict) -> str:
    parts = [f"{part.path} ({part.reason})" for part in verdict.set_aside]
    wrong = [r.kind for r in verdict.canaries.results if not r.ok and not r.discounted]
    if wrong:
        parts.append("canaries: " + ", ".join(f"{wrong.count(kind)} {kind}" for kind in dict.fromkeys(wrong)))
    return "; ".join(parts) or verdict.detail


def _verdicts(grader: Grader, task: Task, workers: int) -> tuple[dict[str, str], dict[str, Verdict]]:
    with grader.sandbox(task) as sandbox:
        patches = [(tamper.name, patch) for tamper, patch in tampering_patches(sandbox, task)]

    def grade(named: tuple[str, str]) -> tuple[str, Verdict]:
        return named[0], grader.grade(task, named[1])

    with ThreadPoolExecutor(workers) as pool:
        return dict(patches), dict(pool.map(grade, patches))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the attacks; 0 when none is graded resolved."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tasks", help="task repo, dataset or file, with images on this engine")
    parser.add_argument("--task", action="append", help="id of a task; all attacks run on each (default: the first)")
    parser.add_argument("--workers", type=int, default=2, help="our graders at a time")
    parser.add_argument("--official-workers", type=int, default=6, help="official instances at a time")
    parser.add_argument("-o", "--output", type=Path, default=Path("tampering"), help="folder for results")
    arguments = parser.parse_args(argv)
    tasks = load_tasks(arguments.tasks, ids=arguments.task, limit=None if arguments.task else 1)
    engine = Engine(run_id="tampering")
    rows: list[dict[str, object]] = []
    for task in tasks:
        patches, verdicts = _verdicts(Grader(engine), task, arguments.workers)
        cases = {f"{task.instance_id}.{name}": Case(task, patch) for name, patch in patches.items()}
        with tempfile.TemporaryDirectory(prefix="trajhub-official-") as folder:
            answers = ask(cases, Path(folder), run_id="tampering", workers=arguments.official_workers)
        for tamper in TAMPERS:
            verdict = verdicts[tamper.name]
            rows.append(
                {
                    "instance_id": task.instance_id,
                    "attack": tamper.name,
                    "about": tamper.about,
                    "official": answers[f"{task.instance_id}.{tamper.name}"].outcome,
                    "ours": verdict.reason,
                    "resolved": verdict.resolved,
                    "caught_by": _caught_by(verdict),
                }
            )
    engine.close()
    columns = ("attack", "official", "ours", "caught_by")
    table("Tampering patches", columns, [[row[column] for column in columns] for row in rows])
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "tampering.json").write_text(json.dumps(rows, indent=2) + "\n")
    ours = sum(bool(row["resolved"]) for row in rows)
    official = sum(row["official"] == "resolved" for row in rows)
    print(f"{len(rows)} attacks: the official harness calls {official} resolved, our grader {ours}")
    return 1 if ours else 0


if __name__ == "__main__":
    sys.exit(main())
