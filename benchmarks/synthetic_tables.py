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

__all__ = ["ACTIONS", "synthetic_run"]

ACTIONS = ("read", "search", "list", "edit", "run", "test", "vcs", "think", "submit", "other")
_PHASES = ("explore", "edit", "test")
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
_TOOLS = {
    "claude-code": ("Read", "Grep", "LS", "Edit", "Bash", "Bash", "Bash", "TodoWrite", "ExitPlanMode", "Task"),
    "mini-swe-agent": ("bash",) * 10,
    "trajhub-chat": ("file_read", "search", "shell", "file_edit", "shell", "run_tests", "git", "think", "submit", "x"),
}
_AGENTS = tuple(_TOOLS)
_PRICE = (3.0, 0.3, 3.75, 15.0)  # plain, cached, creation and output, dollars per million tokens
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
    agent = rng.integers(0, len(_AGENTS), count)
    turns = np.clip(rng.lognormal(3.4 + 0.15 * hard, 0.55, count).astype(int), 4, 250)
    turn = _turns(rng, turns, agent)
    step = _steps(rng, turn, hard, turns)
    _clock(rng, turn, step, number, agent)
    names = np.array([f"synthetic__{i % len(difficulty):03d}--s{i // len(difficulty):06d}--a1" for i in number])
    who = {"run_id": run_id, "episode_id": names}
    tables = {
        "episodes": _episode_table(rng, who, number, len(difficulty), hard, agent, turn, step),
        "steps": _step_table(rng, who, turn, step, number % len(difficulty), agent),
        "requests": _request_table(who, turn, step),
    }
    tables["samples"] = _sample_table(rng, who, step)
    return tables, len(step["episode"])


def _turns(rng: Any, turns: Any, agent: Any) -> dict[str, Any]:
    """One row a request: of which episode, how many calls, tokens, model time."""
    episode = np.repeat(np.arange(len(turns)), turns)
    index = _within(turns)
    last = index == turns[episode] - 1
    calls = np.where(rng.random(len(episode)) < 0.08, 2, 1)
    asks = (rng.random(len(episode)) < 0.03) & (agent[episode] == 0) & ~last
    calls = np.where(asks | last, 0, calls)
    output = rng.lognormal(5.2, 0.8, len(episode)).astype(np.int64) + 10
    fresh: Any = rng.lognormal(6.2, 1.1, len(episode)).astype(np.int64) + output
    fresh = np.where(index == 0, fresh + 9_000, fresh)
    total = _cumulated(fresh, turns)
    seen = np.where(index == 0, 0, total - fresh)
    cached = np.where(rng.random(len(episode)) < 0.93, seen, 0)
    model = 700.0 + output * 14.0 * rng.lognormal(0.0, 0.25, len(episode)) + (total - cached) * 0.05
    return {
        "episode": episode, "index": index, "calls": calls, "asks": asks, "output": output, "input": total,
        "seen": seen, "cached": cached, "created": total - cached, "model_ms": model, "ttft": model * 0.25,
        "thinking": (output * rng.beta(2, 6, len(episode))).astype(np.int64), "fresh": fresh, "turns": turns,
    }  # fmt: skip


def _within(counts: Any) -> Any:
    """0, 1, 2 … within each group."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)


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


def _sum(values: Any, group: Any, count: int) -> Any:
    return np.bincount(group, weights=values, minlength=count)


def _whole(values: Any) -> Any:
    return np.rint(values).astype(np.int64)


def _moments(values: Any) -> Any:
    pa = arrow()
    return pa.array(_whole(values * 1_000.0), pa.timestamp("us", tz="UTC"))


def _lists(keep: Any, values: Any) -> Any:
    """Lists of one or no text."""
    pa = arrow()
    offsets = np.concatenate([[0], np.cumsum(keep)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values[keep], pa.string()))


def _named(episodes: dict[str, Any], who: Any) -> dict[str, Any]:
    pa = arrow()
    names = who["episode_id"][episodes["episode"]]
    return {"run_id": pa.array([who["run_id"]] * len(names)), "episode_id": pa.array(names)}


def _cost(turn: dict[str, Any]) -> Any:
    plain, cached, created, output = _PRICE
    price = turn["cached"] * cached + turn["created"] * created + turn["output"] * output
    return (price + (turn["input"] - turn["cached"] - turn["created"]) * plain) / 1e6


def _request_table(who: Any, turn: dict[str, Any], step: dict[str, Any]) -> dict[str, Any]:
    pa = arrow()
    begun = turn["index"] == 0
    order = np.concatenate([[0], np.cumsum(turn["calls"])[:-1]])
    steps = np.bincount(step["episode"], minlength=len(turn["turns"]))
    first = order - np.repeat(np.concatenate([[0], np.cumsum(steps)[:-1]]), turn["turns"])
    asked = np.concatenate([[False], turn["asks"][:-1]])
    return _named(turn, who) | {
        "request": turn["index"],
        "request_id": pa.array([f"r{i}" for i in turn["index"]]),
        "model": pa.array(["synthetic-1"] * len(begun)),
        "t_start": _moments(turn["t_start"]),
        "t_end": _moments(turn["t_end"]),
        "model_ms": turn["model_ms"],
        "ttft_ms": turn["ttft"],
        "input_tokens": turn["input"],
        "cached_tokens": turn["cached"],
        "cache_creation_tokens": turn["created"],
        "output_tokens": turn["output"],
        "reasoning_tokens": turn["thinking"],
        "repeated_tokens": pa.array(turn["seen"], mask=begun),
        "cost_usd": _cost(turn),
        "tool_calls": turn["calls"],
        "user_messages": (begun | asked).astype(np.int64),
        "input_chars": turn["fresh"] * 4,
        "output_chars": turn["output"] * 4,
        "finish_reason": pa.array(np.where(turn["calls"] > 0, "tool_calls", "stop")),
        "failed_attempts": np.zeros(len(begun), np.int64),
        "gap_ms": pa.array(turn["gap_ms"], mask=begun),
        "human_ms": pa.array(turn["human_ms"], mask=begun),
        "first_step": pa.array(first, mask=turn["calls"] == 0),
    }


def _step_table(
    rng: Any, who: Any, turn: dict[str, Any], step: dict[str, Any], task: Any, agent: Any
) -> dict[str, Any]:
    pa = arrow()
    episode, action = step["episode"], step["action"]
    count = len(action)
    name = np.array(ACTIONS)[action]
    tools = np.array([_TOOLS[name] for name in _AGENTS])[agent[episode], action]
    files = np.array([f"pkg/mod_{i:02d}.py" for i in range(40)])
    touched = np.isin(name, ("read", "edit", "test"))
    edits, tests = (name == "edit") & ~step["failed"], name == "test"
    file = files[(step["file"] + task[episode]) % 40]
    passed = rng.poisson(20, count)
    cpu = step["tool_ms"] / 1000 * rng.beta(3, 2, count)
    gap = np.where(step["second"], 0.0, (turn["model_ms"] + turn["gap_ms"])[step["request"]])
    signature = (episode * 4_000_037 + action * 401 + step["file"] * 7 + ~step["repeated"] * np.arange(count)) % (
        1 << 62
    )
    index = _within(np.bincount(episode, minlength=len(turn["turns"])))
    return _named(step, who) | {
        "step": index,
        "request": turn["index"][step["request"]],
        "tool": pa.array(tools),
        "action": pa.array(name),
        "program": pa.array(np.where(tests, "pytest", "python"), mask=~np.isin(name, ("run", "test"))),
        "phase": pa.array(np.array(_PHASES)[step["phase"]]),
        "t_start": _moments(step["t_start"]),
        "t_end": _moments(step["t_end"]),
        "tool_ms": step["tool_ms"],
        "gap_ms": pa.array(gap, mask=index == 0),
        "ok": ~step["failed"] | tests,
        "failed": step["failed"],
        "error": pa.array(np.where(step["failed"] & ~tests, "failed", ""), mask=~step["failed"] | tests),
        "exit_code": pa.array(step["failed"].astype(np.int64), mask=~np.isin(name, ("run", "test", "search", "list"))),
        "malformed": np.zeros(count, bool),
        "paths": _lists(touched, file),
        "edited": _lists(edits, file),
        "created": _lists(edits & (rng.random(count) < 0.1), file),
        "edit_line": pa.array(rng.integers(1, 900, count), mask=~edits),
        "reverted": edits & (rng.random(count) < 0.04),
        "tests_passed": pa.array(passed, mask=~tests),
        "tests_failed": pa.array(np.where(step["failed"], rng.poisson(3, count) + 1, 0), mask=~tests),
        "repeated": step["repeated"],
        "signature": pa.array([f"{value:016x}" for value in signature]),
        "action_chars": rng.integers(20, 600, count),
        "observation_chars": step["observed"],
        "thought_chars": rng.integers(0, 400, count),
        "reward": rng.beta(5, 2, count),
        "cpu_s": cpu,
        "cpu_user_s": cpu * 0.8,
        "cpu_system_s": cpu * 0.2,
        "memory_peak_bytes": _whole(rng.lognormal(18.2, 0.6, count)),
        "io_read_bytes": _whole(rng.lognormal(9, 2, count)),
        "io_write_bytes": _whole(rng.lognormal(8, 2, count)),
        "net_rx_bytes": np.zeros(count, np.int64),
        "net_tx_bytes": np.zeros(count, np.int64),
    }  # fmt: skip


def _sample_table(rng: Any, who: Any, step: dict[str, Any]) -> dict[str, Any]:
    """One sample at the end of each step, and one each ten seconds of a longer one."""
    count = 1 + np.minimum(step["tool_ms"] // 10_000, 60).astype(int)
    of = np.repeat(np.arange(len(count)), count)
    moment = step["t_end"][of] - _within(count) * 10_000.0
    moment = np.maximum(moment, step["t_start"][of])
    order = np.lexsort((moment, step["episode"][of]))
    of, moment = of[order], moment[order]
    cpu = rng.gamma(1.2, 45.0, len(of))
    index = _within(np.bincount(step["episode"]))
    return _named({"episode": step["episode"][of]}, who) | {
        "t": _moments(moment),
        "step": index[of],
        "cpu_pct": cpu,
        "cpu_s": cpu / 100.0,
        "memory_bytes": _whole(rng.lognormal(18.0, 0.7, len(of))),
        "io_read_bytes": _whole(rng.lognormal(8, 2, len(of))),
        "io_write_bytes": _whole(rng.lognormal(7, 2, len(of))),
        "pids": rng.integers(2, 30, len(of)),
    }


def _episode_table(
    rng: Any, who: Any, number: Any, tasks: int, hard: Any, agent: Any, turn: dict[str, Any], step: dict[str, Any]
) -> dict[str, Any]:
    pa = arrow()
    count = len(number)

    def per(values: Any, rows: dict[str, Any]) -> Any:
        return _sum(values, rows["episode"], count)

    steps, name = per(None, step), np.array(ACTIONS)[step["action"]]
    tests = per(name == "test", step)
    logit = 0.4 - 1.1 * hard + 1.5 * (tests > 1) - 4.0 * per(step["repeated"], step) / np.maximum(steps, 1)
    resolved = rng.random(count) < 1 / (1 + np.exp(-logit))
    wall = turn["over"] - turn["begin"]
    model, tool, human = per(turn["model_ms"], turn), per(turn["tools_ms"], turn), per(turn["human_ms"], turn)
    excluded = rng.random(count) < 0.01
    edits = (name == "edit") & ~step["failed"]
    files = [f"pkg/mod_{i:02d}.py" for i in range(40)]
    some = [[files[int(i)] for i in rng.choice(40, 3, replace=False)] for _ in range(count)]
    stop = np.where(excluded, "environment_error", np.where(turn["turns"] > 150, "step_limit", "submitted"))
    added = rng.poisson(20, count)
    return {
        "run_id": pa.array([who["run_id"]] * count),
        "episode_id": pa.array(who["episode_id"]),
        "task_id": pa.array([f"synthetic__{i % tasks:03d}" for i in number]),
        "repo": pa.array([f"org/repo{i % tasks % 12}" for i in number]),
        "commit": pa.array([f"{i % tasks:040x}" for i in number]),
        "agent": pa.array(np.array(_AGENTS)[agent]),
        "agent_version": pa.array(["1"] * count),
        "model": pa.array(["synthetic-1"] * count),
        "seed": number // tasks,
        "attempt": np.ones(count, np.int64),
        "format": pa.array(np.array(["claude-code", "mini-swe-agent", "trajhub"])[agent]),
        "timing": pa.array(["recorded"] * count),
        "t_start": _moments(turn["begin"]),
        "t_end": _moments(turn["over"]),
        "wall_ms": wall,
        "stop_reason": pa.array(stop),
        "failure": pa.array(np.where(excluded, "environment", "model"), mask=resolved & ~excluded),
        "excluded": excluded,
        "resolved": pa.array(resolved, mask=excluded),
        "outcome": pa.array(np.where(resolved, "resolved", "unresolved"), mask=excluded),
        "graded": ~excluded,
        "steps": _whole(steps),
        "requests": turn["turns"],
        "malformed_actions": np.zeros(count, np.int64),
        "mean_reward": rng.beta(8, 3, count),
        "process_score": np.clip(rng.beta(8, 3, count) + 0.05 * resolved, 0, 1),
        "cost_usd": per(_cost(turn), turn),
        "cost_source": pa.array(["prices"] * count),
        "input_tokens": _whole(per(turn["input"], turn)),
        "cached_tokens": _whole(per(turn["cached"], turn)),
        "cache_creation_tokens": _whole(per(turn["created"], turn)),
        "output_tokens": _whole(per(turn["output"], turn)),
        "reasoning_tokens": _whole(per(turn["thinking"], turn)),
        "reset_ms": turn["reset"],
        "model_ms": model,
        "tool_ms": tool,
        "environment_ms": turn["reset"],
        "idle_ms": wall - model - tool - human - turn["reset"],
        "human_ms": human,
        "user_messages": _whole(1 + per(turn["asks"], turn)),
        "compactions": np.zeros(count, np.int64),
        "tool_calls": _whole(steps),
        "tool_failures": _whole(per(step["failed"], step)),
        "tests_run": _whole(tests),
        "tests_passed_last": pa.array(rng.poisson(20, count), mask=tests == 0),
        "edits": _whole(per(edits, step)),
        "reverts": rng.binomial(2, 0.1, count),
        "files_read": pa.array(some, pa.list_(pa.string())),
        "files_edited": pa.array([names[:2] for names in some], pa.list_(pa.string())),
        "cpu_s": tool / 1000 * 0.6,
        "memory_peak_bytes": _whole(rng.lognormal(19.2, 0.5, count)),
        "memory_mean_bytes": rng.lognormal(18.6, 0.5, count),
        "io_read_bytes": _whole(rng.lognormal(15, 1, count)),
        "io_write_bytes": _whole(rng.lognormal(14, 1, count)),
        "patch_sha256": pa.array([f"{i:064x}" for i in rng.integers(0, 1 << 60, count)]),
        "patch_files": pa.array([names[:1] for names in some], pa.list_(pa.string())),
        "lines_added": added,
        "lines_removed": rng.poisson(8, count),
        "attempt_final": np.ones(count, bool),
    }
