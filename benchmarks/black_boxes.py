"""A real agent on real tasks by `trajhub run`: `python -m trajectory_hub.benchmarks.black_boxes AGENT TASKS [N [OUT]]`.

What follows OUT is passed on to `trajhub run`. The model is a service on this machine that plays an answer back: look
around, apply the task's reference patch, look at the change, run the tests, be done. So what is measured is the path of
the records, not a model: how episodes ended, how the transcript, the proxy's record and telemetry were joined, what
sandbox and proxy recorded, how long it took until the first agent was let loose and each later one, what images the
engine holds besides those before, and how large the agent's house is. N tasks are done, 3 unless told otherwise.
"""

import json
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..envs.engine import Engine
from ..envs.sources import load_tasks
from ..envs.task import Task
from ..rollouts import payloads
from ..rollouts.log import read_events
from ..rollouts.proxy import read_exchanges
from ..rollouts.run_dir import Episode, read_episodes
from ..tests.support.playback import Playback

__all__ = ["answers", "measure"]


def answers(task: Task) -> list[str]:
    """The commands that solve a task."""
    apply = f"git apply --whitespace=nowarn <<'END_OF_PATCH'\n{task.patch.rstrip()}\n\nEND_OF_PATCH"
    tests = f"{task.test_command or 'true'} 2>&1 | tail -5"
    return ["git log --oneline | head -3; ls", apply, "git diff --stat", tests]


def measure(agent: str, tasks: str, limit: int, out: Path, options: Sequence[str] = ()) -> dict[str, Any]:
    """Figures of one run."""
    chosen = load_tasks(tasks)[:limit]
    by_statement = {json.dumps(task.problem_statement, ensure_ascii=False)[1:200]: task for task in chosen}

    def answer(request: str) -> list[str]:
        plain = request.replace("\\\\", "\\")
        return next(
            (answers(task) for told, task in by_statement.items() if told in request or told in plain), list[str]()
        )

    before, began, moment = _held(), time.monotonic(), datetime.now(UTC)
    with Playback(answer) as model:
        command = [sys.executable, "-m", "trajectory_hub", "run", agent, "--tasks", tasks, "--limit", str(limit),
                   "--model", f"playback@{model.url}/v1", "--grade", "-o", str(out), "--json", *options]  # fmt: skip
        print(shlex.join(command), file=sys.stderr)
        done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    wall, after = round(time.monotonic() - began, 1), _held()
    houses = sorted(_houses(out))
    held = {
        "images": after["images"] - before["images"],
        "house": sum(after.get(name, 0) for name in houses),
        "house_is_new": not set(houses) <= set(before),
    }
    loose = sorted(_loose(out, moment))
    return {"exit_code": done.returncode, "wall_s": wall, "bytes": held, "let_loose_s": loose, **_figures(out)}


def _held() -> dict[str, int]:
    """Bytes that all `images`, and each volume by its name, take on the engine."""
    engine = Engine()
    try:
        told: dict[str, Any] = engine.api.df()
    finally:
        engine.close()
    volumes: list[dict[str, Any]] = told.get("Volumes") or []
    return {"images": told["LayersSize"], **{one["Name"]: one["UsageData"]["Size"] for one in volumes}}


def _houses(run: Path) -> set[str]:
    """The volumes that sandboxes of a run had."""
    found = set[str]()
    for episode in read_episodes(run):
        start = next(iter(read_events(episode.folder / "events.jsonl"))).payload
        if isinstance(start, payloads.EpisodeStart):
            found |= set(start.sandbox.get("volumes") or ())
    return found


def _loose(run: Path, moment: datetime) -> Iterator[float]:
    """Seconds from `moment` until each episode's agent was let loose."""
    for episode in read_episodes(run):
        for event in read_events(episode.folder / "events.jsonl"):
            if isinstance(event.payload, payloads.Note) and event.payload.kind == "agent_started":
                yield round((event.t_start - moment).total_seconds(), 1)


def _figures(run: Path) -> dict[str, Any]:
    rows = [_row(episode) for episode in read_episodes(run)]
    joins: list[dict[str, Any]] = [row.pop("join") for row in rows]
    told = {name: _sum(join.get(name, {}) for join in joins) for name in ("by", "requests", "telemetry")}
    read = [one for join in joins for one in join.get("transcripts", ())]
    return {
        "episodes": len(rows),
        "stop_reasons": Counter(row["stop"] for row in rows),
        **{name: sum(row[name] for row in rows) for name in ("resolved", "steps", "requests", "samples")},
        "join_share": [join.get("share") for join in joins],
        "joined": told,
        "clock": [join.get("clock") for join in joins],
        "transcripts": [(one.get("adapter"), one.get("events"), one.get("unread")) for one in read],
        "not_understood": _sum(one.get("not_understood", {}) for one in read),
        **{name: [row[name] for row in rows] for name in ("seconds", "cpu_s", "memory_mb")},
        "proxy": _sum(row["proxy"] for row in rows),
        "given": rows[0]["given"] if rows else [],
        "agent_version": sorted({row["version"] for row in rows}),
    }


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total = Counter[str]()
    for one in counts:
        total.update(one)
    return dict(total)


def _row(episode: Episode) -> dict[str, Any]:
    events = list(read_events(episode.folder / "events.jsonl"))
    told = [event.payload for event in events]
    metrics = [one for one in told if isinstance(one, payloads.SandboxMetric)]
    samples = [one for one in metrics if one.scope == "sample"]
    proxy = episode.folder / "artifacts" / "proxy.jsonl"
    exchanges = list(read_exchanges(proxy)) if proxy.exists() else []
    end = episode.end
    return {
        "stop": str(end.stop_reason) if end is not None else "open",
        "steps": end.steps if end is not None else 0,
        "requests": end.requests if end is not None else 0,
        "join": (end.join if end is not None else None) or {},
        "resolved": any(one.resolved for one in told if isinstance(one, payloads.Verdict)),
        "samples": len(samples),
        "memory_mb": round(max((one.memory_bytes or 0 for one in samples), default=0) / 2**20),
        "cpu_s": round(sum(one.cpu_s or 0 for one in samples), 1),
        "seconds": round(sum(one.wall_ms or 0 for one in samples) / 1e3, 1),
        "proxy": Counter(one.fault or str(one.status) for one in exchanges),
        "given": [one.data["files"] for one in told if isinstance(one, payloads.Note) and one.kind == "agent_started"],
        "version": episode.first.agent_version,
    }


if __name__ == "__main__":
    place = Path(sys.argv[4]) if len(sys.argv) > 4 else Path(tempfile.mkdtemp(prefix="trajhub-black-boxes-")) / "run"
    told = measure(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 3, place, sys.argv[5:])
    print(json.dumps(told, indent=2))
