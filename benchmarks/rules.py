"""How many steps a second the rule layer scores, on realistic steps: real source text, several KB an observation.

    python -m trajectory_hub.benchmarks.rules [--json FILE]

Episodes are made from the standard library's own files, with a fixed seed: reads of 60 to 140 lines, searches,
edits, shell commands and test logs in the proportions real agents show. The median of several passes is
reported, with the cost at the end of a long episode beside that at its beginning: it must not grow.
"""

import argparse
import hashlib
import json
import random
import statistics
import sysconfig
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..console import table
from ..envs.step import Step
from ..envs.task import Provenance, Task
from ..rewards.rubric import Rubric
from ..tools.base import Telemetry

__all__ = ["main", "make_episode", "measure"]

_BUDGET = 5_000
_MODULES = ("argparse", "ast", "configparser", "csv", "difflib", "inspect", "pathlib", "shutil", "tarfile", "textwrap")
_KINDS = ("read",) * 8 + ("search",) * 4 + ("shell",) * 4 + ("edit",) * 3 + ("tests",) * 2 + ("write",)
_WHEN = datetime(2024, 1, 1, tzinfo=UTC)
_COST = Telemetry(wall_ms=1.0)


def make_episode(length: int, seed: int) -> tuple[Task, list[Step]]:
    """A task and the steps of an episode over files of the standard library."""
    rng = random.Random(seed)
    folder = Path(sysconfig.get_paths()["stdlib"])
    sources = {f"Lib/{name}.py": text for name in _MODULES if (text := _text(folder, name))}
    task = Task(
        instance_id=f"bench-{seed}",
        repo="bench/stdlib",
        base_commit="0" * 40,
        patch="--- a/Lib/difflib.py\n+++ b/Lib/difflib.py\n@@ -100,3 +100,3 @@\n-a\n+b\n",
        problem_statement="`SequenceMatcher.ratio` and `get_close_matches` are wrong when `autojunk` is set.",
        provenance=Provenance(source="benchmark"),
    )
    return task, [_step(index, rng, sources) for index in range(length)]


def _text(folder: Path, name: str) -> list[str]:
    single = folder / f"{name}.py"
    path = single if single.exists() else folder / name / "__init__.py"
    return path.read_text("utf-8").split("\n") if path.exists() else []


def _step(index: int, rng: random.Random, sources: dict[str, list[str]]) -> Step:
    path = rng.choice(sorted(sources))
    lines = sources[path]
    made: dict[str, Any] = _MAKERS[rng.choice(_KINDS)](rng, path, lines, index)
    return Step(
        index=index,
        action=json.dumps({"name": made["tool"], "arguments": made["arguments"]}),
        ok=True,
        telemetry=_COST,
        t_start=_WHEN,
        t_end=_WHEN,
        duration_ms=1.0,
        **made,
    )


def _read(rng: random.Random, path: str, lines: list[str], index: int) -> dict[str, Any]:
    start = rng.randrange(1, max(2, len(lines) - 140))
    end = min(len(lines), start + rng.randrange(60, 140))
    shown = "\n".join(f"{number:6d}\t{lines[number - 1]}" for number in range(start, end + 1))
    data = {"path": path, "start": start, "end": end, "total_lines": len(lines), "sha256": _sha("".join(lines))}
    return {
        "tool": "file_read",
        "arguments": {"path": path, "start": start, "end": end},
        "observation": shown,
        "data": data,
    }


def _search(rng: random.Random, path: str, lines: list[str], index: int) -> dict[str, Any]:
    word = rng.choice([w for w in " ".join(lines[:400]).split() if w.isidentifier() and len(w) > 3] or ["def"])
    hits = [(number, line) for number, line in enumerate(lines, 1) if word in line][:60]
    shown = "\n".join(f"{path}:{number}:{line}" for number, line in hits)
    data = {
        "kind": "content",
        "pattern": word,
        "path": ".",
        "matches": len(hits),
        "files": [path],
        "truncated": False,
    }
    arguments = {"pattern": word, "path": ".", "kind": "content"}
    return {"tool": "search", "arguments": arguments, "observation": shown, "data": data}


def _shell(rng: random.Random, path: str, lines: list[str], index: int) -> dict[str, Any]:
    start = rng.randrange(0, max(1, len(lines) - 90))
    command = rng.choice(
        (
            f"sed -n '{start},{start + 80}p' {path}",
            f"cd /testbed && grep -rn 'def ' {path} | head -{rng.randrange(5, 80)}",
            f'python -c \'import difflib; print(difflib.SequenceMatcher(None, "a{index}", "b").ratio())\'',
            "python reproduce.py",
            "git diff",
        )
    )
    shown = "\n".join(lines[start : start + 80])
    data = {"command": command, "timed_out": False, "output_sha256": _sha(shown), "output_bytes": len(shown)}
    return {
        "tool": "shell",
        "arguments": {"command": command},
        "observation": f"{shown}\n[exit code 0]",
        "exit_code": 0,
        "data": data,
    }


def _edit(rng: random.Random, path: str, lines: list[str], index: int) -> dict[str, Any]:
    at = rng.randrange(1, len(lines) - 8)
    old = "\n".join(lines[at : at + 5])
    new = old.replace("=", "= ", 1) + f"\n# {index}"
    data = {
        "path": path, "changed": True, "matches": 1, "line": at, "lines_removed": 5, "lines_added": 6,
        "before_sha256": _sha(f"{path}{index}"), "after_sha256": _sha(f"{path}{index + 1}"),
    }  # fmt: skip
    return {
        "tool": "file_edit",
        "arguments": {"path": path, "old": old, "new": new},
        "observation": f"{path} changed at line {at}:\n{new}",
        "data": data,
    }


def _write(rng: random.Random, path: str, lines: list[str], index: int) -> dict[str, Any]:
    content = "from difflib import SequenceMatcher\n" + "\n".join(lines[:20])
    data = {
        "path": "reproduce.py", "created": index < 20, "bytes": len(content), "before_sha256": None,
        "after_sha256": _sha(content + str(index)), "changed": True,
    }  # fmt: skip
    arguments = {"path": "reproduce.py", "content": content}
    return {
        "tool": "file_write",
        "arguments": arguments,
        "observation": "reproduce.py: created (20 lines).",
        "data": data,
    }


def _tests(rng: random.Random, path: str, lines: list[str], index: int) -> dict[str, Any]:
    names = [f"Lib/test/test_difflib.py::test_{number}" for number in range(60)]
    tests = {name: "FAILED" if rng.random() < 0.05 else "PASSED" for name in names}
    log = "\n".join(f"{status} {name}" for name, status in tests.items())
    data = {"command": "pytest", "selected": [names[0]], "tests": tests, "counts": {}, "parsed": True}
    bad = sum(status == "FAILED" for status in tests.values())
    return {
        "tool": "run_tests",
        "arguments": {"tests": [names[0]]},
        "observation": f"{log}\n{60 - bad} passed, {bad} failed\n[exit code {int(bad > 0)}]",
        "exit_code": int(bad > 0),
        "data": data,
    }


_MAKERS = {"read": _read, "search": _search, "shell": _shell, "edit": _edit, "write": _write, "tests": _tests}


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def measure(length: int, episodes: int, passes: int) -> dict[str, Any]:
    """Score the same episodes several times over."""
    rubric = Rubric()
    made = [make_episode(length, seed) for seed in range(episodes)]
    sizes = [len(step.observation) for _, steps in made for step in steps]
    rates, cpu, costs, last = list[float](), list[float](), list[float](), list[float]()
    for _ in range(passes):
        began, worked, scored = time.perf_counter(), time.process_time(), 0
        for task, steps in made:
            scorer = rubric.start(task)
            for step in steps:
                scorer.score(step)
            scored += len(steps)
        rates.append(scored / (time.perf_counter() - began))
        cpu.append(scored / (time.process_time() - worked))
    for task, steps in made:
        scorer = rubric.start(task)
        spent = [_timed(scorer.score, step) for step in steps]
        costs += spent
        last += spent[-max(1, length // 10) :]
    costs.sort()
    return {
        "steps_per_episode": length,
        "episodes": episodes,
        "mean_observation_bytes": round(statistics.mean(sizes)),
        "steps_per_s": round(statistics.median(rates)),
        "steps_per_cpu_s": round(statistics.median(cpu)),
        "p50_us": round(costs[len(costs) // 2], 1),
        "p95_us": round(costs[int(len(costs) * 0.95)], 1),
        "last_tenth_p50_us": round(statistics.median(last), 1),
        "rules_version": rubric.version,
    }


def _timed(score: Any, step: Step) -> float:
    began = time.perf_counter()
    score(step)
    return (time.perf_counter() - began) * 1e6


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; exit 1 below the budget, by CPU time, so that other work on the machine does not decide."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args(arguments)
    rows = [measure(30, 20, chosen.passes), measure(300, 4, chosen.passes)]
    table("Rule layer", list(rows[0]), [list(row.values()) for row in rows])
    if chosen.json:
        chosen.json.write_text(json.dumps({"budget_steps_per_s": _BUDGET, "rows": rows}, indent=2) + "\n", "utf-8")
    return int(any(row["steps_per_cpu_s"] < _BUDGET for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
