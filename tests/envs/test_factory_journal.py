"""A build goes on where it was stopped, and its report counts what happened."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from trajectory_hub.envs.factory.build import plan_build
from trajectory_hub.envs.factory.catalogue import load_catalogue
from trajectory_hub.envs.factory.journal import Journal, Outcome
from trajectory_hub.envs.factory.report import BuildReport
from trajectory_hub.errors import ConfigError

DONE = Outcome(candidate="a", kind="injected", package="p", version="1", operator="o", accepted=True, instance_id="i")
REFUSED = replace(DONE, candidate="b", accepted=False, reason="no test fails", instance_id="")


def test_outcomes_survive(tmp_path: Path) -> None:
    journal = Journal(tmp_path, {"seed": 0})
    journal.add(DONE)
    journal.add(REFUSED)
    again = Journal(tmp_path, {"seed": 0})
    assert again.get("a") == DONE and again.get("b") == REFUSED and again.get("c") is None


def test_half_a_line_is_forgotten(tmp_path: Path) -> None:
    Journal(tmp_path, {}).add(DONE)
    path = tmp_path / "journal.jsonl"
    path.write_bytes(path.read_bytes() + b'{"candidate": "b", "ki')
    again = Journal(tmp_path, {})
    again.add(REFUSED)
    assert [outcome.candidate for outcome in Journal(tmp_path, {}).outcomes()] == ["a", "b"]


def test_another_configuration_is_refused_by_name(tmp_path: Path) -> None:
    Journal(tmp_path / "out" / ".build", {"seed": 0, "catalogue": "x"})
    with pytest.raises(ConfigError, match="out was begun with another seed"):
        Journal(tmp_path / "out" / ".build", {"seed": 1, "catalogue": "x"})


def test_limit_is_spread_over_packages() -> None:
    catalogue = load_catalogue()
    plan = plan_build(catalogue, kinds=("injected",), limit=len(catalogue.packages) + 2)
    assert plan.wanted == len(catalogue.packages) + 2
    assert {unit.wanted for unit in plan.units} == {1, 2}


def test_default_plan_can_meet_the_promise() -> None:
    plan = plan_build(load_catalogue())
    wanted = Counter({kind: sum(u.wanted for u in plan.units if u.kind == kind) for kind in ("injected", "release")})
    assert wanted["injected"] >= 330 and wanted["release"] >= 25


def test_report_counts_by_operator_and_reason() -> None:
    report = BuildReport(
        outcomes=[DONE, REFUSED, replace(REFUSED, candidate="c")],
        given=Counter(o=7),
        problems=[],
        wanted=3,
        seconds=1.0,
        cpu_seconds=2.0,
        resumed=0,
    )
    tally = report.by_operator()[0]
    assert (tally.given, tally.tried, tally.accepted, tally.why) == (7, 3, 1, "no test fails 2")
    assert report.as_json()["tasks"] == ["i"]
