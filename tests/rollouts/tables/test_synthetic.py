"""Synthetic tables keep the promises of real ones, so that what reads them meets nothing new."""

from pathlib import Path

import pytest
from trajectory_hub.benchmarks.trace_tables import build, synthetic_run
from trajectory_hub.rollouts.tables import TABLES, ask, build_tables, open_tables, schema
from trajectory_hub.rollouts.tables.columns import arrow

CONTRADICTIONS = {
    "counts": "SELECT count(*) FROM (SELECT any_value(e.steps) AS told, count(*) AS found FROM episodes e JOIN steps s "
    "USING (run_id, episode_id) GROUP BY e.episode_id) WHERE told != found",
    "wall": "SELECT count(*) FROM episodes WHERE abs(wall_ms - model_ms - tool_ms - environment_ms - human_ms"
    " - idle_ms) > 1e-3 OR idle_ms < 0",
    "order": "SELECT count(*) FROM steps WHERE t_end < t_start",
    "calls": "SELECT count(*) FROM steps s ANTI JOIN requests r USING (episode_id, request)",
    "cost": "SELECT count(*) FROM (SELECT any_value(e.cost_usd) AS told, sum(r.cost_usd) AS found FROM episodes e JOIN "
    "requests r USING (episode_id) GROUP BY e.episode_id) WHERE abs(told - found) > 1e-6",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic_run(tmp_path_factory.mktemp("synthetic") / "run", 3_000, seed=5)


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_nothing_contradicts_itself(run: Path, what: str) -> None:
    with open_tables([run]) as connection:
        assert ask(connection, "SELECT count(*) >= 3000 FROM steps").rows == [(True,)]
        assert ask(connection, CONTRADICTIONS[what]).rows == [(0,)]


def test_the_same_seed_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    again = synthetic_run(tmp_path / "run", 3_000, seed=5)
    other = synthetic_run(tmp_path / "other" / "run", 3_000, seed=6)
    for table in TABLES:
        data = (run / f"{table}.parquet").read_bytes()
        assert data == (again / f"{table}.parquet").read_bytes() != (other / f"{table}.parquet").read_bytes()
        assert arrow().parquet.read_schema(run / f"{table}.parquet").equals(schema(table))
    assert build_tables(run).built is None


def test_the_benchmark_builds_what_it_wrote() -> None:
    found = build(200, workers=1)
    assert found["steps_per_s"] > 0 and found["peak_mib"] > 0 and found["tables_mb"] > 0
