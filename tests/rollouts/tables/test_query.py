"""Questions to tables: several runs at once, read only, with errors that help."""

import json
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.cli import main
from trajectory_hub.errors import UsageError
from trajectory_hub.rollouts.tables import ask, open_tables


def trajhub(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, output and messages of a command."""
    code = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["trajhub", *map(str, arguments)])
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_several_runs_are_one_table(recorded: Path, reference: Path) -> None:
    with open_tables([recorded, reference, recorded]) as connection:
        found = ask(connection, "SELECT run_id, count(*), avg(resolved::INT) FROM episodes GROUP BY ALL ORDER BY 1")
        assert found.rows == [("random", 4, 0.0), ("reference", 4, 1.0)]
        steps = ask(connection, "SELECT count(*) FROM steps JOIN episodes USING (run_id, episode_id)").rows
        assert steps == ask(connection, "SELECT sum(steps) FROM episodes").rows
        begun = ask(connection, "SELECT min(t_start) FROM episodes").rows[0][0]
        assert begun.tzinfo is None and begun.year == 2026


def test_two_runs_of_one_id_are_refused(recorded: Path, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(recorded, tmp_path / "copy"))
    with pytest.raises(UsageError, match="are both of the run 'random'"):
        open_tables([recorded, copy])
    with pytest.raises(UsageError, match="name at least one run"):
        open_tables([])


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("SELECT tol_ms FROM steps", "near ones are tool_ms"),
        ("SELECT steps.cost FROM steps", "cost_usd"),
        ("SELECT * FROM turns", "There are episodes, steps, requests, samples"),
        ("DROP VIEW steps", "ask one SELECT at a time"),
        ("SELECT 1; SELECT 2", "ask one SELECT at a time"),
        ("COPY (SELECT 1) TO 'x.csv'", "ask one SELECT at a time"),
        ("SELECT * FROM read_csv('/etc/hostname')", "disabled"),
        ("SELEC 1", "syntax error"),
    ],
)
def test_questions_that_cannot_be_answered_say_why(recorded: Path, question: str, told: str) -> None:
    with open_tables([recorded], locked=True) as connection, pytest.raises(UsageError, match=told):
        ask(connection, question)


def test_commands(recorded: Path, reference: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = trajhub(capsys, "trace", "build", recorded, reference, "--json")
    made = json.loads(out)
    assert code == 0 and [row["built"] for row in made] == ["missing", "missing"] and "trajhub trace sql" in err
    code, out, _ = trajhub(capsys, "trace", "build", recorded)
    assert code == 0 and "current" in out
    question = "SELECT action, count(*) AS n FROM steps GROUP BY action ORDER BY n DESC, action"
    code, out, _ = trajhub(capsys, "trace", "sql", question, recorded, "--json")
    rows: list[dict[str, Any]] = json.loads(out)
    assert code == 0 and sum(row["n"] for row in rows) == made[0]["rows"]["steps"]
    code, out, _ = trajhub(capsys, "trace", "sql", question, recorded, "--csv", "--limit", 1)
    assert code == 0 and out.splitlines() == ["action,n", f"{rows[0]['action']},{rows[0]['n']}"]
    code, _, err = trajhub(capsys, "trace", "sql", "SELECT nothing FROM steps", recorded)
    assert code == 2 and "trajhub trace columns" in err
    code, out, _ = trajhub(capsys, "trace", "columns", "samples")
    assert code == 0 and "memory_bytes" in out and "episodes" not in out.split("\n")[0]
    code, _, err = trajhub(capsys, "trace", "columns", "turns")
    assert code == 2 and "there are episodes, steps, requests, samples" in err


def test_prices_can_be_given(recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from trajectory_hub.errors import ConfigError
    from trajectory_hub.rollouts.tables.prices import read_prices

    file = tmp_path / "mine.yaml"
    file.write_text("prices: {models: {mine.v2: {input: 1, output: 2}}}\n")
    for item in (str(file), f"prices={file}"):
        assert read_prices([item]).models["mine.v2"].output == 2
    table = read_prices(["prices.models.gpt-5.4={input: 7, output: 8}", "prices.models.gpt-5.4.cached_input=0.5"])
    assert table.models["gpt-5.4"].model_dump() == {
        "input": 7,
        "output": 8,
        "cached_input": 0.5,
        "cache_creation": None,
    }
    with pytest.raises(ConfigError, match=r"prices\.models\.mine\.output: Field required"):
        read_prices(["prices.models.mine.input=1"])
    with pytest.raises(ConfigError, match=r"prices\.workers: Extra inputs are not permitted"):
        read_prices(["prices.as_of=2026-01-01", "workers=3"])
    assert trajhub(capsys, "trace", "build", recorded, "-c", file)[0] == 0
