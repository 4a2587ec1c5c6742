"""Tables are those of the logs: the same bytes always, current or built again, whatever the logs went through."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.errors import UsageError
from trajectory_hub.rollouts.tables import COLUMNS, TABLES, Tables, build_tables, schema
from trajectory_hub.rollouts.tables import build as building
from trajectory_hub.rollouts.tables.columns import arrow

from .world import answered, asked, ended, start, stepped, write_episode


def _digests(run: Path) -> dict[str, str]:
    return {table: sha256((run / f"{table}.parquet").read_bytes()).hexdigest() for table in TABLES}


def _rows(run: Path, table: str) -> list[dict[str, Any]]:
    return arrow().parquet.read_table(run / f"{table}.parquet").to_pylist()


def test_same_logs_give_the_same_bytes(recorded: Path, tmp_path: Path) -> None:
    first = build_tables(recorded)
    before = _digests(recorded)
    assert first.built == "missing" and first.rows["episodes"] == 4
    assert build_tables(recorded, force=True).built == "asked"
    assert _digests(recorded) == before
    elsewhere = Path(shutil.copytree(recorded, tmp_path / "elsewhere"))
    for table in TABLES:
        (elsewhere / f"{table}.parquet").unlink()
    build_tables(elsewhere)
    assert _digests(elsewhere) == before


def test_processes_and_groups_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    for number in range(7):
        steps = [event for i in range(40) for event in stepped(i, i + 1, i + 1.5, f"cat f{i % 5}.py")]
        write_episode(run, [start(), *steps, ended(60.0)], f"t{number}--s0--a1", task_id=f"t{number}")
    build_tables(run)
    before = _digests(run)
    monkeypatch.setattr(building, "_ALONE", 0)
    monkeypatch.setattr(building, "_JOB_EPISODES", 2)
    monkeypatch.setattr(building, "_ROW_GROUP", 64)
    build_tables(run, force=True, max_workers=3)
    many = _digests(run)
    monkeypatch.setattr(building, "_JOB_EPISODES", 3)
    build_tables(run, force=True, max_workers=1)
    assert _digests(run) == many
    monkeypatch.setattr(building, "_ROW_GROUP", 1 << 16)
    build_tables(run, force=True, max_workers=2)
    assert _digests(run) == before
    names = [row["episode_id"] for row in _rows(run, "steps")]
    assert names == sorted(names) and len(names) == 280


def test_tables_follow_the_logs(recorded: Path) -> None:
    build_tables(recorded)
    assert build_tables(recorded).built is None
    shutil.rmtree(min((recorded / "episodes").iterdir()))
    again = build_tables(recorded)
    assert again.built == "older than the logs" and again.rows["episodes"] == 3
    (recorded / "steps.parquet").write_bytes(b"not parquet")
    assert build_tables(recorded).built == "missing"
    assert not list(recorded.glob(".*.partial"))


def test_other_prices_are_other_tables(recorded: Path) -> None:
    from trajectory_hub.rollouts.tables.prices import read_prices

    build_tables(recorded)
    mine = read_prices(["prices.models.gpt-5.4.output=99"])
    assert build_tables(recorded, prices=mine).built == "made with other prices"
    assert build_tables(recorded, prices=mine).built is None


def test_a_torn_log_keeps_what_is_whole(tmp_path: Path) -> None:
    run = tmp_path / "run"
    folder = write_episode(run, [start("recorded"), *stepped(0, 1, 2), *stepped(1, 3, 4)])
    log = folder / "events.jsonl"
    log.write_bytes(log.read_bytes()[:-30])
    assert build_tables(run).rows["steps"] == 1
    row = _rows(run, "episodes")[0]
    assert row["stop_reason"] is None and row["tool_calls"] == 2 and row["steps"] == 1


def test_a_damaged_line_is_left_out_and_told(tmp_path: Path) -> None:
    run = tmp_path / "run"
    folder = write_episode(run, [start("recorded"), *stepped(0, 1, 2), ended(5)])
    log = folder / "events.jsonl"
    lines = log.read_bytes().split(b"\n")
    log.write_bytes(b"\n".join([lines[0], b"{damaged", *lines[1:]]))
    made = build_tables(run)
    assert made.rows["steps"] == 1 and len(made.problems) == 1 and ":2: not an event" in made.problems[0]


def test_rows_have_the_columns_that_are_documented(recorded: Path) -> None:
    build_tables(recorded)
    for table in TABLES:
        found = arrow().parquet.read_schema(recorded / f"{table}.parquet")
        assert found.names == [column.name for column in COLUMNS[table]] == schema(table).names
        assert all(len(column.meaning) > 5 and column.meaning.endswith((".", "…")) for column in COLUMNS[table])


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is not a run: it has no run\.json"):
        build_tables(tmp_path)
    (tmp_path / "run.json").write_text('{"run_id": "r"}')
    with pytest.raises(UsageError, match="has no episodes to make tables of"):
        build_tables(tmp_path)


def test_a_run_without_episodes_yet_has_empty_tables(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"run_id": "r"}')
    (tmp_path / "episodes").mkdir()
    made: Tables = build_tables(tmp_path)
    assert set(made.rows.values()) == {0}
    with pytest.raises(UsageError, match="there is no table 'turns'; there are episodes, steps"):
        made.path("turns")


def test_only_the_last_attempt_counts(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for attempt in (1, 2):
        write_episode(run, [start(attempt=attempt), ended(5)], f"task--s0--a{attempt}")
    for name in ("x--a1", "y--a1"):
        write_episode(run, [start("recorded"), asked(0, 1), answered(0, 1, 2), ended(5)], name, seed=None, task_id="x")
    build_tables(run)
    final = {row["episode_id"]: row["attempt_final"] for row in _rows(run, "episodes")}
    assert final == {"task--s0--a1": False, "task--s0--a2": True, "x--a1": True, "y--a1": True}


def test_only_a_few_groups_are_under_way_however_long_the_run(tmp_path: Path) -> None:
    begun = list[int]()

    def jobs() -> Iterator[tuple[Any, int]]:
        for number in range(500):
            begun.append(number)
            yield [], number

    with ThreadPoolExecutor(2) as pool:
        results = building._in_order(pool, lambda job: ({}, []), jobs(), ahead=4)  # pyright: ignore[reportPrivateUsage]
        for done, _ in enumerate(results, 1):
            assert len(begun) <= done + 5
    assert len(begun) == 500


def test_rows_that_fill_a_group_are_written_and_not_kept(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "_ROW_GROUP", 3)
    waiting, write = list[int](), building._Writer._write  # pyright: ignore[reportPrivateUsage]

    def watched(self: Any, name: str, least: int) -> None:
        write(self, name, least)
        if name != "episodes":
            waiting.append(sum(batch.num_rows for batch in self._waiting[name]))

    monkeypatch.setattr(building._Writer, "_write", watched)  # pyright: ignore[reportPrivateUsage]
    rows = build_tables(recorded, force=True).rows
    assert rows["steps"] > 3
    assert waiting and max(waiting) < 3
