"""Small tables of layer 2, made up for tests: rows as dictionaries, what is left out is null."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import duckdb
from trajectory_hub.rollouts.tables.columns import TABLES, arrow, schema

__all__ = ["START", "Rows", "connect", "episode", "request", "sample", "step", "world", "write_tables"]

Rows = dict[str, list[dict[str, Any]]]
START = datetime(2026, 6, 1, tzinfo=UTC)
ACTIONS = ("read", "search", "list", "edit", "test", "run", "submit")
_TOOLS = {
    "read": "Read",
    "search": "Grep",
    "list": "Glob",
    "edit": "Edit",
    "test": "Bash",
    "run": "Bash",
    "submit": "submit",
}


def episode(name: str, **known: Any) -> dict[str, Any]:
    """A graded episode of its own task."""
    fixed = {"run_id": "run", "task_id": name, "agent": "one", "model": "m", "timing": "recorded", "graded": True}
    return {**fixed, "episode_id": name, "excluded": False, "attempt_final": True, "attempt": 1, **known}


def step(name: str, number: int, action: str = "read", **known: Any) -> dict[str, Any]:
    """A step of the episode of that name."""
    fixed = {"run_id": "run", "malformed": False, "failed": False, "reverted": False, "repeated": False}
    return {**fixed, "episode_id": name, "step": number, "action": action, "tool": _TOOLS.get(action, action), **known}


def request(name: str, number: int, **known: Any) -> dict[str, Any]:
    """A request of the episode of that name."""
    return {"run_id": "run", "episode_id": name, "request": number, "user_messages": int(number == 0), **known}


def sample(name: str, second: float, **known: Any) -> dict[str, Any]:
    """A resource sample so many seconds after the beginning."""
    return {"run_id": "run", "episode_id": name, "t": START + timedelta(seconds=second), **known}


def connect(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> Any:
    """A connection that shows these rows as `open_tables` does."""
    connection = duckdb.connect()
    for table in TABLES:
        connection.register(f"_{table}", _arrow(table, rows.get(table, ())))
        connection.execute(f"CREATE VIEW {table} AS SELECT * FROM _{table}")
    return connection


def write_tables(rows: Mapping[str, Sequence[Mapping[str, Any]]], folder: Path) -> Path:
    """The same as parquet files."""
    folder.mkdir(parents=True, exist_ok=True)
    for table in TABLES:
        arrow().parquet.write_table(_arrow(table, rows.get(table, ())), folder / f"{table}.parquet")
    return folder


def _arrow(table: str, rows: Sequence[Mapping[str, Any]]) -> Any:
    fields = schema(table)
    unknown = {name for row in rows for name in row} - set(fields.names)
    assert not unknown, f"no such columns of {table}: {sorted(unknown)}"
    return arrow().Table.from_pylist([{name: row.get(name) for name in fields.names} for row in rows], schema=fields)


def world(
    *, tasks: int = 12, seeds: int = 2, agents: Sequence[str] = ("one", "two"), seed: int = 0, length: int = 14
) -> Rows:
    """Episodes of several agents on the same tasks; the second agent tests more, and whoever tests resolves more."""
    random, rows = Random(seed), Rows(episodes=[], steps=[], requests=[], samples=[])
    for place, agent in enumerate(agents):
        for task in range(tasks):
            for turn in range(seeds):
                _episode(
                    rows, random, f"task-{task:02d}", f"{agent}--task-{task:02d}--s{turn}", agent, place, turn, length
                )
    return rows


def _episode(rows: Rows, random: Random, task: str, name: str, agent: str, eager: int, turn: int, length: int) -> None:
    clock, tokens, tests, edits = START + timedelta(days=turn, minutes=random.random()), 2000, 0, list[str]()
    begin, spent_model, spent_tool = clock, 0.0, 0.0
    count = random.randint(6, length)
    for number in range(count):
        weights = (4, 3, 1, 2 + number / 3, 1 + 2 * eager, 1, 0)
        action = "submit" if number == count - 1 else random.choices(ACTIONS, weights)[0]
        model, tool = random.lognormvariate(8, 0.8), random.lognormvariate(6, 1.8)
        output, new = random.randint(40, 400), random.randint(100, 3000)
        before, tokens = tokens, tokens + new
        rows["requests"].append(
            request(name, number, t_start=clock, t_end=clock + timedelta(milliseconds=model), model_ms=model,
                    input_tokens=tokens, cached_tokens=before if number else 0, output_tokens=output,
                    repeated_tokens=before if number else None, cost_usd=0.001 * tokens / 1000, tool_calls=1,
                    gap_ms=0.0 if number == 0 else tool, human_ms=0.0, ttft_ms=model / 4)
        )  # fmt: skip
        clock += timedelta(milliseconds=model)
        tests += action == "test"
        paths = [f"src/{random.choice('abc')}.py"]
        edits += paths if action == "edit" else []
        rows["steps"].append(
            step(name, number, action, request=number, t_start=clock, t_end=clock + timedelta(milliseconds=tool),
                 tool_ms=tool, failed=random.random() < 0.1, paths=paths, edited=paths if action == "edit" else [],
                 edit_line=random.randint(1, 300) if action == "edit" else None, phase="edit" if edits else "explore",
                 tests_passed=random.randint(0, 9) if action == "test" else None,
                 tests_failed=random.randint(0, 2) if action == "test" else None, cpu_s=tool / 2000,
                 cpu_user_s=tool / 3000, cpu_system_s=tool / 6000, memory_peak_bytes=random.randint(10**7, 10**9),
                 io_read_bytes=random.randint(0, 10**6), io_write_bytes=random.randint(0, 10**5))
        )  # fmt: skip
        for second in range(int(tool / 1000)):
            rows["samples"].append(
                {**sample(name, 0), "t": clock + timedelta(seconds=second), "step": number,
                 "cpu_pct": random.uniform(1, 150),
                 "memory_bytes": random.randint(10**8, 9 * 10**8)}
            )  # fmt: skip
        clock += timedelta(milliseconds=tool)
        spent_model, spent_tool = spent_model + model, spent_tool + tool
    wall = (clock - begin).total_seconds() * 1000
    resolved = random.random() < 0.25 + 0.15 * min(tests, 4)
    rows["episodes"].append(
        episode(name, task_id=task, repo="owner/name", agent=agent, agent_version="1", seed=turn, format="trajhub",
                t_start=begin, t_end=clock, wall_ms=wall, resolved=resolved,
                outcome="resolved" if resolved else "failed",
                steps=count, requests=count, malformed_actions=0, cost_usd=0.01 * count, cost_source="prices",
                input_tokens=tokens * count // 2, output_tokens=200 * count, reset_ms=0.0, model_ms=spent_model,
                tool_ms=spent_tool, environment_ms=0.0, idle_ms=max(0.0, wall - spent_model - spent_tool), human_ms=0.0,
                user_messages=1, compactions=0, tool_calls=count, tool_failures=1, tests_run=tests, edits=len(edits),
                reverts=0, files_read=["src/a.py"], files_edited=sorted(set(edits)), patch_files=sorted(set(edits)),
                cpu_s=spent_tool / 2000, memory_peak_bytes=9 * 10**8, memory_mean_bytes=3e8, lines_added=3,
                lines_removed=1)
    )  # fmt: skip
