"""`trajhub gate` as a user meets it: exit codes, tables, JSON, files."""

import json
from pathlib import Path

import pytest

from .conftest import Command
from .graded import Outcome, graded_run

COUNT = 20


def weak(index: int, seed: int) -> Outcome:
    return index % 4 == 0


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    return {
        "base": graded_run(folder / "base", COUNT, weak),
        "better": graded_run(folder / "better", COUNT, lambda i, s: i % 4 != 3),
        "same": graded_run(folder / "same", COUNT, weak),
        "half": graded_run(folder / "half", COUNT, lambda i, s: None if i == 7 else True),
    }


def test_go_is_0_and_no_go_is_1(trajhub: Command, runs: dict[str, Path]) -> None:
    code, out, err = trajhub("gate", runs["base"], runs["better"])
    assert code == 0
    assert "GO: +50.0 points, 95% interval" in out.splitlines()[-1]
    assert "Next:" in err
    code, out, _ = trajhub("gate", runs["base"], runs["same"])
    assert code == 1
    assert out.splitlines()[-1].startswith("NO-GO: +0.0 points")


def test_what_cannot_be_used_is_2_and_names_it(trajhub: Command, runs: dict[str, Path]) -> None:
    code, out, err = trajhub("gate", runs["base"], runs["half"])
    assert (code, out) == (2, "")
    assert "lab__repo3-7, seed 0: was not graded" in err and "--grade" in err
    assert trajhub("gate", runs["base"], "nowhere")[0] == 2
    assert trajhub("gate", runs["base"], runs["better"], "--alpha", "2")[0] == 2
    assert trajhub("gate", runs["base"], runs["better"], runs["better"])[0] == 2
    assert trajhub("gate", runs["base"], runs["better"], "--seal", "x")[0] == 2


def test_json_and_files_say_the_same_and_give_the_command_again(
    trajhub: Command, runs: dict[str, Path], tmp_path: Path
) -> None:
    code, out, _ = trajhub(
        "gate", runs["base"], runs["better"], "--min-gain", "0.1", "--may-differ", "env.*", "--json", "-o", tmp_path
    )
    told = json.loads(out)
    assert code == 0
    assert {name: value for name, value in json.loads((tmp_path / "gate.json").read_text()).items()} == told
    assert told["command"] == f"trajhub gate {runs['base']} {runs['better']} --min-gain 0.1 --may-differ 'env.*'"
    markdown, html = (tmp_path / "gate.md").read_text(), (tmp_path / "gate.html").read_text()
    assert "| better | GO | +50.0 |" in markdown and told["command"] in markdown
    assert html.startswith("<!doctype html>") and "<script" not in html


def test_several_runs_of_a_side_stand_between_commas(trajhub: Command, runs: dict[str, Path]) -> None:
    code, out, _ = trajhub("gate", runs["base"], f"{runs['better']},{runs['same']}", "--json")
    told = json.loads(out)
    assert told["candidates"][0]["by_run"] == [0.5, 0.0]
    assert told["candidates"][0]["side"]["name"] == "better, same"
    assert code in (0, 1)


def test_several_candidates_are_go_when_one_is(trajhub: Command, runs: dict[str, Path]) -> None:
    code, out, _ = trajhub("gate", runs["base"], runs["same"], runs["better"])
    assert code == 0
    assert "GO (better, the best of 2)" in out.splitlines()[-1]
