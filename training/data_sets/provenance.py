"""What data were made of, and how it was decided: the part of the statistics that is not figures of rows."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from ... import __version__
from ...envs.task import Task
from ...errors import UsageError
from ..trajectories.leakage import Leakage
from ..trajectories.records import Source
from ..trajectories.refusal import Refusals

__all__ = ["STATISTICS", "by_licence", "checked_out", "decisions", "licences_of", "run_facts"]

STATISTICS = "statistics.json"
_UNKNOWN = "unknown"


def checked_out(out: Path) -> Path:
    """`out`, if it is empty or was written by us. Raises UsageError for a folder that holds something else."""
    if out.exists() and not (out / STATISTICS).exists():
        # What a killed export leaves: unfinished files.
        left = [path for path in out.rglob("*") if not path.name.endswith(".partial")] if out.is_dir() else [out]
        if [path for path in left if path != out / "data"]:
            raise UsageError(f"{out} exists and holds something else; choose another -o")
    return out


def run_facts(sources: Sequence[Source], digests: Mapping[str, str]) -> list[dict[str, Any]]:
    """One entry a run: who acted, with which code, how many episodes became data, and a digest of their logs.

    `digests`: SHA-256 of the log of each episode used, by `run/episode`.
    """
    by_run: defaultdict[str, list[str]] = defaultdict(list)
    for name, digest in sorted(digests.items()):
        run_id, _, episode = name.partition("/")
        by_run[run_id].append(f"{episode} {digest}\n")
    return [_facts(source, by_run[source.run_id]) for source in sources]


def _facts(source: Source, lines: Sequence[str]) -> dict[str, Any]:
    policy: Mapping[str, Any] = source.manifest.get("policy") or {}
    versions: Mapping[str, Any] = source.manifest.get("versions") or {}
    code = [str(part) for part in (versions.get("trajectory_hub"), source.manifest.get("commit")) if part]
    return {
        "run": source.run_id,
        "agent": policy.get("name"),
        "model": policy.get("model"),
        "code": " ".join(code) or None,
        "episodes": len(lines),
        "digest": sha256("".join(lines).encode()).hexdigest() if lines else None,
    }


def licences_of(tasks: Mapping[str, Task]) -> dict[str, str]:
    """The licence of each known task's repository, by task id."""
    return {name: task.provenance.licence or _UNKNOWN for name, task in sorted(tasks.items())}


def by_licence(rows: Mapping[str, int], licences: Mapping[str, str]) -> dict[str, int]:
    """Rows by licence; `rows` are those of each task."""
    found = Counter[str]()
    for task_id, count in rows.items():
        found[licences.get(task_id, _UNKNOWN)] += count
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def decisions(config: Mapping[str, Any], *refusals: Refusals, leakage: Leakage | None = None) -> dict[str, Any]:
    """Settings, refusals by reason with the first names of each, and leaks by name."""
    counts = Counter[str]()
    names: dict[str, list[str]] = {}
    leaks: dict[str, str] = {}
    for each in refusals:
        counts.update(each.as_dict())
        for reason, found in each.named().items():
            names[reason] = [*names.get(reason, []), *found]
        leaks |= {name: str(reason) for name, reason in each.leaks.items()}
    return {
        "version": __version__,
        "config": config,
        "refused": dict(sorted(counts.items())),
        "refused_names": dict(sorted(names.items())),
        "leaks": dict(sorted(leaks.items())),
        "evaluation": leakage.as_dict() if leakage is not None else None,
    }
