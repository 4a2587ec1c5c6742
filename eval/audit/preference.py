"""Fourth and fifth link: who says so, and does it help?"""

from collections import Counter
from pathlib import Path
from statistics import mean
from typing import Any, cast

from .evidence import Evidence
from .link import AuditLink, State, Table

__all__ = ["effect_link", "preference_link"]


def preference_link(run: Path, run_id: str, evidence: Evidence) -> AuditLink:
    """Which pairs were made from the run, for what reason, by whose word, and how surely."""
    pairs = [row for dataset in evidence.datasets for row in dataset.rows() if _cites(row, run_id)]
    said, tables = list[str](), list[Table]()
    if pairs:
        sure = [float(row["confidence"]) for row in pairs if row.get("confidence") is not None]
        said.append(
            f"{len(pairs)} preferences have a side from this run"
            + (f"; their confidence is {mean(sure):.3f} on average, {min(sure):.3f} at least." if sure else ".")
        )
        counts = Counter((str(row.get("level")), str(row.get("reason")), ", ".join(_layers(row))) for row in pairs)
        rows = [(*key, count) for key, count in counts.most_common()]
        tables.append(Table.of("Why they are preferred", ("level", "reason", "by", "pairs"), rows))
        examples = [(row.get("pair_id"), row.get("task_id"), row.get("why")) for row in pairs]
        tables.append(Table.of("Pairs", ("pair", "task", "why"), examples, 20))
    elif evidence.datasets:
        said.append("None of the datasets given cites this run.")
    else:
        said.append("No pairs were given (--pairs).")
    return AuditLink(
        name="preference",
        question="Who says so?",
        state=State.SHOWN if pairs else State.MISSING,
        said=tuple(said),
        tables=tuple(tables),
        commands=(f"trajhub pairs {run} -o PAIRS", "trajhub agreement LABELS"),
    )


def effect_link(evidence: Evidence) -> AuditLink:
    """Training and evaluation runs that name the data by checksum."""
    used = evidence.used()
    proven = [(path, files) for path, files in used if files]
    said = [f"{path.name} names {len(files)} of the data files by their SHA-256." for path, files in proven]
    said += [f"{path.name} names none of the data files given (--pairs)." for path, files in used if not files]
    rows = [(path, file) for path, files in proven for file in files]
    return AuditLink(
        name="effect",
        question="Does it help?",
        state=State.SHOWN if proven and len(proven) == len(used) else State.PARTLY if proven else State.MISSING,
        said=tuple(said) or ("No training or evaluation run that used this data was given (--effect).",),
        tables=(Table.of("Runs that used the data", ("manifest", "data file"), rows),) if rows else (),
        commands=("trajhub audit RUN --pairs DATA --effect MANIFEST",),
    )


def _cites(row: dict[str, Any], run_id: str) -> bool:
    """Whether a side of a pair, or of an exported preference, comes from the run."""
    for name in ("chosen", "rejected"):
        side: Any = row.get(name)
        if isinstance(side, dict) and cast("dict[str, Any]", side).get("run_id") == run_id:
            return True
        if str(row.get(f"{name}_episode", "")).rpartition("/")[0] == run_id:
            return True
    return False


def _layers(row: dict[str, Any]) -> list[str]:
    return [str(layer) for layer in row.get("layers") or ()]
