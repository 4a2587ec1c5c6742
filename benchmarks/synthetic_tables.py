"""Layer-2 tables that look like those of real agents, of any size: for benchmarks and tests of what reads tables.

Nothing here was measured. Distributions have the shapes that papers report (log-normal durations by kind of tool,
growing prompts with a cached prefix, exploration before edits before tests, harder tasks that are resolved less often),
so that readers meet every branch: nulls, parallel calls, waits for people, failures, compactions.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..rollouts.files import write_json
from ..rollouts.tables import TABLES, schema
from ..rollouts.tables.columns import arrow
from .synthetic_columns import ACTIONS, AGENTS, episode_table, request_table, sample_table, step_table, within

__all__ = ["ACTIONS", "synthetic_run"]

_MIX = np.array(  # share of each action in each phase
    [
        [0.42, 0.28, 0.14, 0.01, 0.07, 0.02, 0.03, 0.02, 0.0, 0.01],
        [0.22, 0.10, 0.02, 0.44, 0.10, 0.05, 0.02, 0.03, 0.0, 0.02],
        [0.12, 0.05, 0.01, 0.14, 0.22, 0.38, 0.05, 0.02, 0.0, 0.01],
    ]
)
_LATENCY = np.log([35.0, 120.0, 15.0, 25.0, 900.0, 6_000.0, 40.0, 1.0, 5.0, 300.0])  # median milliseconds
_SPREAD = np.array([0.8, 1.0, 0.6, 0.7, 1.6, 1.5, 0.6, 0.3, 0.4, 1.3])
_OBSERVED = np.log([3_000.0, 900.0, 600.0, 500.0, 700.0, 2_500.0, 900.0, 40.0, 60.0, 400.0])
_CHUNK = 150_000
_EPOCH = 1_767_225_600_000.0
"""2026-01-01, in milliseconds."""


def synthetic_run(path: Path, steps: int, seed: int = 0, *, tasks: int = 50) -> Path:
    """Write `run.json` and the four tables of a run of at least so many steps; the same seed gives the same bytes.

    Episodes are `tasks` times as many seeds as needed; about 35 steps each. Memory is constant.
    """
    pa = arrow()
    path.mkdir(parents=True, exist_ok=True)
    write_json(path / "run.json", {"run_id": path.name, "created": "2026-01-01T00:00:00+00:00", "config": None})
    writers = {
        name: pa.parquet.ParquetWriter(path / f"{name}.parquet", schema(name), compression="zstd") for name in TABLES
    }
    try:
        for chunk in _chunks(path.name, steps, seed, tasks):
            for name, columns in chunk.items():
                arrays = {
                    field.name: columns.get(field.name, pa.nulls(_length(columns), field.type))
                    for field in schema(name)
                }
                writers[name].write_table(pa.table(arrays, schema=schema(name)))
    finally:
        for writer in writers.values():
            writer.close()
    return path


def _length(columns: dict[str, Any]) -> int:
    return len(columns["episode_id"])


def _chunks(run_id: str, steps: int, seed: int, tasks: int) -> Iterator[dict[str, dict[str, Any]]]:
    rng = np.random.default_rng(seed)
    difficulty = rng.normal(0.0, 1.0, tasks)
    done = first = 0
    while done < steps:
        wanted = min(_CHUNK, steps - done)
        chunk, made = _chunk(run_id, rng, difficulty, first, max(1, wanted // 30 + 1))
        first += len(chunk["episodes"]["episode_id"])
        done += made
        yield chunk


def _chunk(run_id: str, rng: Any, difficulty: Any, first: int, count: int) -> tuple[dict[str, dict[str, Any]], int]:
    """The four tables of `count` episodes, and how many steps they have."""
    number = np.arange(first, first + count)
    hard = difficulty[number % len(difficulty)] + rng.normal(0, 0.5, count)
    agent = rng.integers(0, len(AGENTS), count)
    turns = np.clip(rng.lognormal(3.4 + 0.15 * hard, 0.55, count).astype(int), 4, 250)
    turn = _turns(rng, turns, agent)
    step = _steps(rng, turn, hard, turns)
    _clock(rng, turn, step, number, agent)
    names = np.array([f"synthetic__{i % len(difficulty):03d}--s{i // len(difficulty):06d}--a1" for i in number])
    who = {"run_id": run_id, "episode_id": names}
    tables = {
        "episodes": episode_table(rng, who, number, len(difficulty), hard, agent, turn, step),
        "steps": step_table(rng, who, turn, step, number % len(difficulty), agent),
        "requests": request_table(who, turn, step),
    }
    tables["samples"] = sample_table(rng, who, step)
    return tables, len(step["episode"])


def _turns(rng: Any, turns: Any, agent: Any) -> dict[str, Any]:
    """One row a request: of which episode, how many calls, tokens, model time."""
    episode = np.repeat(np.arange(len(turns)), turns)
    index = within(turns)
    last = index == turns[episode] - 1
    calls = np.where(rng.random(len(episode)) < 0.08, 2, 1)
    asks = (rng.random(len(episode)) < 0.03) & (agent[episode] == 0) & ~last
    calls = np.where(asks | last, 0, calls)
    output = rng.lognormal(5.2, 0.8, len(episode)).astype(np.int64) + 10
    said: Any = rng.lognormal(6.2, 1.1, len(episode)).astype(np.int64) + output
    fresh: Any = said + np.where(index == 0, 9_000, 0)
    total = _cumulated(fresh, turns)
    seen = np.where(index == 0, 0, total - fresh)
    cached = np.where(rng.random(len(episode)) < 0.93, seen, 0)
    model = 700.0 + output * 14.0 * rng.lognormal(0.0, 0.25, len(episode)) + (total - cached) * 0.05
    return {
        "episode": episode, "index": index, "calls": calls, "asks": asks, "output": output, "input": total,
        "seen": seen, "cached": cached, "created": total - cached, "model_ms": model, "ttft": model * 0.25,
        "thinking": (output * rng.beta(2, 6, len(episode))).astype(np.int64), "fresh": fresh, "turns": turns,
    }  # fmt: skip


def _cumulated(values: Any, counts: Any) -> Any:
    """Running sums that begin again with each group."""
    running = np.cumsum(values)
    ends = np.cumsum(counts)
    before = np.concatenate([[0], running])[ends - counts]
    return running - np.repeat(before, counts)


def _steps(rng: Any, turn: dict[str, Any], hard: Any, turns: Any) -> dict[str, Any]:
    """One row a step: its request, what it does, how it went."""
    request = np.repeat(np.arange(len(turn["calls"])), turn["calls"])
    episode = turn["episode"][request]
    place = turn["index"][request] / turns[episode]
    edges = rng.uniform(0.2, 0.5, len(turns)), rng.uniform(0.55, 0.85, len(turns))
    phase = (place > edges[0][episode]).astype(int) + (place > edges[1][episode])
    action = (rng.random(len(request))[:, None] > np.cumsum(_MIX, axis=1)[phase]).sum(axis=1)
    action = np.minimum(action, len(ACTIONS) - 1)
    second = np.concatenate([[False], request[1:] == request[:-1]])
    chance = np.array([0.02, 0.03, 0.02, 0.08, 0.15, 0.35, 0.03, 0.0, 0.0, 0.1])[action]
    return {
        "request": request, "episode": episode, "phase": phase, "action": action, "second": second,
        "failed": rng.random(len(request)) < chance * (1.0 + 0.2 * np.clip(hard[episode], -2, 2)),
        "tool_ms": rng.lognormal(_LATENCY[action], _SPREAD[action]),
        "observed": rng.lognormal(_OBSERVED[action], 0.9).astype(np.int64),
        "file": np.minimum(rng.zipf(1.6, len(request)), 40) - 1,
        "repeated": rng.random(len(request)) < 0.04 + 0.03 * (hard[episode] > 1),
    }  # fmt: skip


def _clock(rng: Any, turn: dict[str, Any], step: dict[str, Any], number: Any, agent: Any) -> None:
    """When everything was, in milliseconds since 1970: reset, then for each turn the model, then its tools at once."""
    count = len(turn["turns"])
    tools = np.zeros(len(turn["episode"]))
    np.maximum.at(tools, step["request"], step["tool_ms"])
    gap = rng.lognormal(2.5, 0.8, len(tools))
    gap = np.where(turn["index"] == 0, 0.0, gap)
    human = np.concatenate([[0.0], np.where(turn["asks"][:-1], rng.lognormal(10.5, 1.3, len(tools) - 1), 0.0)])
    turn["human_ms"], turn["gap_ms"] = human, gap + human
    spent = human + gap + turn["model_ms"] + tools
    begin = _EPOCH + number * 37_000.0
    reset = rng.lognormal(6.0, 0.7, count)
    after = _cumulated(spent, turn["turns"]) + (begin + reset)[turn["episode"]]
    turn["t_end"] = after - tools
    turn["t_start"] = turn["t_end"] - turn["model_ms"]
    step["t_start"] = turn["t_end"][step["request"]] + 1.0
    step["t_end"] = step["t_start"] + step["tool_ms"]
    turn["tools_ms"], turn["begin"], turn["reset"] = tools, begin, reset
    turn["over"] = np.maximum.reduceat(after, np.cumsum(turn["turns"]) - turn["turns"]) + 20.0
