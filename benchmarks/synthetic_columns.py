"""The columns of synthetic tables: what `synthetic_tables` drew, named and typed as layer 2 has it."""

from typing import Any

import numpy as np

from ..rollouts.tables.columns import arrow

__all__ = [
    "ACTIONS",
    "AGENTS",
    "episode_table",
    "request_table",
    "sample_table",
    "step_table",
    "within",
]

ACTIONS = ("read", "search", "list", "edit", "run", "test", "vcs", "think", "submit", "other")
PHASES = ("explore", "edit", "test")
TOOLS = {
    "claude-code": ("Read", "Grep", "LS", "Edit", "Bash", "Bash", "Bash", "TodoWrite", "ExitPlanMode", "Task"),
    "mini-swe-agent": ("bash",) * 10,
    "trajhub-chat": ("file_read", "search", "shell", "file_edit", "shell", "run_tests", "git", "think", "submit", "x"),
}
AGENTS = tuple(TOOLS)
PRICE = (3.0, 0.3, 3.75, 15.0)  # plain, cached, creation and output, dollars per million tokens


def within(counts: Any) -> Any:
    """0, 1, 2 … within each group."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)


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
    plain, cached, created, output = PRICE
    price = turn["cached"] * cached + turn["created"] * created + turn["output"] * output
    return (price + (turn["input"] - turn["cached"] - turn["created"]) * plain) / 1e6


def request_table(who: Any, turn: dict[str, Any], step: dict[str, Any]) -> dict[str, Any]:
    """One row a request to the model."""
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
        "repeated_tokens": turn["seen"],
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


def step_table(rng: Any, who: Any, turn: dict[str, Any], step: dict[str, Any], task: Any, agent: Any) -> dict[str, Any]:
    """One row a step."""
    pa = arrow()
    episode, action = step["episode"], step["action"]
    count = len(action)
    name = np.array(ACTIONS)[action]
    tools = np.array([TOOLS[name] for name in AGENTS])[agent[episode], action]
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
    index = within(np.bincount(episode, minlength=len(turn["turns"])))
    return _named(step, who) | {
        "step": index,
        "request": turn["index"][step["request"]],
        "tool": pa.array(tools),
        "action": pa.array(name),
        "program": pa.array(np.where(tests, "pytest", "python"), mask=~np.isin(name, ("run", "test"))),
        "phase": pa.array(np.array(PHASES)[step["phase"]]),
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


def sample_table(rng: Any, who: Any, step: dict[str, Any]) -> dict[str, Any]:
    """One sample at the end of each step, and one each ten seconds of a longer one."""
    count = 1 + np.minimum(step["tool_ms"] // 10_000, 60).astype(int)
    of = np.repeat(np.arange(len(count)), count)
    moment = step["t_end"][of] - within(count) * 10_000.0
    moment = np.maximum(moment, step["t_start"][of])
    order = np.lexsort((moment, step["episode"][of]))
    of, moment = of[order], moment[order]
    cpu = rng.gamma(1.2, 45.0, len(of))
    index = within(np.bincount(step["episode"]))
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


def episode_table(
    rng: Any, who: Any, number: Any, tasks: int, hard: Any, agent: Any, turn: dict[str, Any], step: dict[str, Any]
) -> dict[str, Any]:
    """One row an episode."""
    pa = arrow()
    count = len(number)

    def per(values: Any, rows: dict[str, Any]) -> Any:
        return _sum(values, rows["episode"], count)

    steps, name = per(None, step), np.array(ACTIONS)[step["action"]]
    tests = per(name == "test", step)
    logit = 0.4 - 1.1 * hard + 1.5 * (tests > 1) - 4.0 * per(step["repeated"], step) / np.maximum(steps, 1)
    resolved = rng.random(count) < 1 / (1 + np.exp(-logit))
    wall = turn["over"] - turn["begin"]
    excluded = rng.random(count) < 0.01
    stop = np.where(excluded, "environment_error", np.where(turn["turns"] > 150, "step_limit", "submitted"))
    return {
        "run_id": pa.array([who["run_id"]] * count),
        "episode_id": pa.array(who["episode_id"]),
        "task_id": pa.array([f"synthetic__{i % tasks:03d}" for i in number]),
        "repo": pa.array([f"org/repo{i % tasks % 12}" for i in number]),
        "commit": pa.array([f"{i % tasks:040x}" for i in number]),
        "agent": pa.array(np.array(AGENTS)[agent]),
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
        **_episode_work(rng, turn, step, resolved, wall),
    }


def _episode_work(rng: Any, turn: dict[str, Any], step: dict[str, Any], resolved: Any, wall: Any) -> dict[str, Any]:
    pa, count, name = arrow(), len(wall), np.array(ACTIONS)[step["action"]]

    def per(values: Any, rows: dict[str, Any]) -> Any:
        return _sum(values, rows["episode"], count)

    steps, tests = per(None, step), per(name == "test", step)
    model, tool, human = per(turn["model_ms"], turn), per(turn["tools_ms"], turn), per(turn["human_ms"], turn)
    edits = (name == "edit") & ~step["failed"]
    files = [f"pkg/mod_{i:02d}.py" for i in range(40)]
    some = [[files[int(i)] for i in rng.choice(40, 3, replace=False)] for _ in range(count)]
    return {
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
        "lines_added": rng.poisson(20, count),
        "lines_removed": rng.poisson(8, count),
        "attempt_final": np.ones(count, bool),
    }
