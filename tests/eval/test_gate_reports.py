"""Reports of other harnesses as sides of a gate."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.errors import UsageError
from trajectory_hub.eval.gate import GateConfig, TooMuchExcluded, Unusable, gate

RESULTS = Path(__file__).parents[3] / "shared" / "data" / "swebench-pro-results"
NAMES = [f"lab__repo-{index}" for index in range(40)]
WEAK, STRONG = NAMES[:10], NAMES[:30]


def official(path: Path, resolved: list[str], **changes: Any) -> Path:
    """A report as `swebench eval` writes it (its schema version 2)."""
    unresolved = [name for name in NAMES if name not in resolved]
    told: dict[str, Any] = {
        "total_instances": len(NAMES),
        "submitted_instances": len(NAMES),
        "resolved_instances": len(resolved),
        "unresolved_instances": len(unresolved),
        "submitted_ids": NAMES,
        "completed_ids": NAMES,
        "resolved_ids": resolved,
        "unresolved_ids": unresolved,
        "empty_patch_ids": [],
        "error_ids": [],
        "infra_failure_ids": [],
        "schema_version": 2,
    }
    path.write_text(json.dumps(told | changes))
    return path


def predictions(path: Path, patches: dict[str, str]) -> Path:
    rows = [{"instance_id": name, "model_name_or_path": "m", "model_patch": patch} for name, patch in patches.items()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_official_reports_are_compared_with_a_caution(tmp_path: Path) -> None:
    report = gate([official(tmp_path / "base.json", WEAK)], [official(tmp_path / "new.json", STRONG)])
    assert (report.decision, report.gain) == ("GO", 0.5)
    assert report.best.mcnemar is not None and report.best.mcnemar.gained == 20
    assert "nobody can tell from them" in report.cautions[0]


def test_verdicts_by_instance_id_and_several_seeds(tmp_path: Path) -> None:
    files = list[Path]()
    for seed in range(3):
        for side, solved in (("base", WEAK), ("new", STRONG)):
            files.append(tmp_path / f"{side}{seed}.json")
            files[-1].write_text(json.dumps({name: name in solved[seed:] for name in NAMES}))
    report = gate(files[::2], files[1::2])
    assert (report.base.seeds, report.best.side.passes[-1].k) == (3, 3)
    assert report.gain == pytest.approx(0.5)
    assert report.best.side.passes[-1].at == 0.75


def test_what_the_harness_calls_the_environments_fault_is_excluded(tmp_path: Path) -> None:
    base = official(tmp_path / "base.json", WEAK)
    few = official(tmp_path / "few.json", STRONG, infra_failure_ids=NAMES[38:])
    assert gate([base], [few]).best.side.excluded == {"environment": 2}
    many = official(tmp_path / "many.json", STRONG, infra_failure_ids=NAMES[32:])
    with pytest.raises(TooMuchExcluded):
        gate([base], [many])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"resolved_ids": [*STRONG, "lab__repo-99"]}, "for which nothing was submitted"),
        ({"resolved_ids": NAMES[:35]}, "is both in resolved_ids and in unresolved_ids"),
        ({"resolved_instances": 12}, "the report counts 12"),
        ({"unresolved_ids": NAMES[31:], "unresolved_instances": 9}, "has no outcome"),
    ],
)
def test_a_report_that_contradicts_itself_is_refused(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    base = official(tmp_path / "base.json", WEAK)
    with pytest.raises(Unusable, match=told):
        gate([base], [official(tmp_path / "new.json", STRONG, **changes)])


def test_other_tasks_are_refused(tmp_path: Path) -> None:
    base = official(tmp_path / "base.json", WEAK)
    fewer = tmp_path / "fewer.json"
    fewer.write_text(json.dumps(dict.fromkeys(NAMES[:-1], True)))
    with pytest.raises(Unusable, match=r"only .* has it"):
        gate([base], [fewer])


def test_predictions_must_be_those_that_were_graded(tmp_path: Path) -> None:
    base = official(tmp_path / "base.json", WEAK)
    new = official(tmp_path / "m.run1.json", STRONG)
    patches = {name: f"diff of {name}" for name in NAMES}
    told = predictions(tmp_path / "p.jsonl", patches)
    assert gate([base], [Path(f"{told}+{new}")]).decision == "GO"
    graded = tmp_path / "logs" / "run_evaluation" / "run1" / "m" / NAMES[3]
    graded.mkdir(parents=True)
    (graded / "patch.diff").write_text("diff of something else")
    with pytest.raises(Unusable, match="is not the one in the predictions"):
        gate([base], [Path(f"{told}+{new}")])
    empty = predictions(tmp_path / "empty.jsonl", patches | {NAMES[0]: ""})
    with pytest.raises(Unusable, match="its prediction holds no patch"):
        gate([base], [Path(f"{empty}+{new}")])
    other = predictions(tmp_path / "other.jsonl", {name: "diff" for name in NAMES[1:]})
    with pytest.raises(Unusable, match="is in the report only"):
        gate([base], [Path(f"{other}+{new}")])


def test_a_folder_of_trajhub_grade_is_checked_against_its_verdicts(tmp_path: Path) -> None:
    base = tmp_path / "base.json"
    base.write_text(json.dumps({name: name in WEAK for name in NAMES}))
    grades = tmp_path / "grades"
    for name in NAMES:
        (grades / name).mkdir(parents=True)
        (grades / name / "verdict.json").write_text(json.dumps({"resolved": name in STRONG}))
    told = {"ids_by_reason": {"resolved": STRONG, "tests_failed": NAMES[30:]}, "resolved_ids": STRONG}
    (grades / "report.json").write_text(json.dumps(told | {"not_counted_ids": []}))
    assert gate([base], [grades]).gain == 0.5
    (grades / NAMES[2] / "verdict.json").write_text(json.dumps({"resolved": False}))
    with pytest.raises(Unusable, match="says otherwise"):
        gate([base], [grades])


def test_what_is_no_report_is_refused(tmp_path: Path) -> None:
    base = official(tmp_path / "base.json", WEAK)
    path = tmp_path / "other.json"
    for content, told in (("[", "not JSON"), ("{}", "not an empty one"), ('{"a": 1}', "is no report")):
        path.write_text(content)
        with pytest.raises(Unusable, match=told):
            gate([base], [path])
    with pytest.raises(UsageError, match="neither a run"):
        gate([base], [tmp_path / "absent.json"])


def test_two_real_agents_on_swe_bench_pro(tmp_path: Path) -> None:
    """113 tasks gained, 59 lost: McNemar's exact p, and an interval that Bonett and Price's formula gives as well."""
    if not RESULTS.is_dir():
        pytest.skip(f"{RESULTS} is not here: real verdicts of two agents on SWE-bench Pro")
    told = {path.name.partition("-")[0]: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}
    common = told["claude"].keys() & told["gpt"].keys()
    paths = {name: tmp_path / f"{name}.json" for name in told}
    with pytest.raises(Unusable, match=r"only .* has it"):
        for name, path in paths.items():
            path.write_text(json.dumps(told[name]))
        gate([paths["gpt"]], [paths["claude"]])
    for name, path in paths.items():
        path.write_text(json.dumps({task: told[name][task] for task in common}))
    report = gate([paths["gpt"]], [paths["claude"]])
    best = report.best
    assert (len(common), best.pairs_gained, best.pairs_lost) == (729, 113, 59)
    assert report.decision == "GO"
    assert best.mcnemar is not None and best.mcnemar.p_value == pytest.approx(4.6549e-05, rel=1e-4)
    assert report.gain == pytest.approx(54 / 729)
    up, down, count = 114 / 731, 60 / 731, 731
    half = 1.9632 * ((up + down - (up - down) ** 2) / (count - 1)) ** 0.5
    assert report.interval == pytest.approx((up - down - half, up - down + half), abs=1e-4)
    assert {row.repository for row in best.repositories} >= {"ansible/ansible", "NodeBB/NodeBB", "flipt-io/flipt"}


def _sides(folder: Path, changes: Mapping[int, tuple[int, int]], count: int, seeds: int = 1) -> list[list[Path]]:
    """Reports of a base that resolves what `changes` says (base, candidate: seeds that resolve it), else nothing."""
    sides = list[list[Path]]()
    for side, name in enumerate(("base", "candidate")):
        paths = [folder / f"{name}-{seed}.json" for seed in range(seeds)]
        for seed, path in enumerate(paths):
            told = {f"o__r{n % 7}-{n}": seed < changes.get(n, (0, 0))[side] for n in range(count)}
            path.write_text(json.dumps(told))
        sides.append(paths)
    return sides


def test_three_points_are_three_points_whatever_they_are_made_of(tmp_path: Path) -> None:
    """13 tasks gain a third and 4 lose one: floating point adds that up to 0.029999999999999995."""
    base, candidate = _sides(tmp_path, dict.fromkeys(range(13), (0, 1)) | dict.fromkeys(range(13, 17), (1, 0)), 100, 3)
    found = gate(base, candidate, GateConfig(alpha=0.2, min_gain=0.03))
    assert (found.decision, found.gain) == ("GO", 0.03)


def test_too_few_tasks_for_any_go_are_named(tmp_path: Path) -> None:
    base, candidate = _sides(tmp_path, dict.fromkeys(range(5), (0, 1)), 5)
    found = gate(base, candidate)
    assert found.decision == "NO-GO"
    assert any("no outcome of 5 tasks can be GO" in said and "0.0625" in said for said in found.cautions)


def test_repositories_asked_for_are_compared_with_tasks(tmp_path: Path) -> None:
    """Each repository gains a little, and its tasks differ much."""
    changes = {n: (0, 1) if n < 42 else (1, 0) for n in range(70)}
    base, candidate = _sides(tmp_path, changes, 70)
    found = gate(base, candidate, GateConfig(cluster="repository"))
    low, high = found.best.interval_by_task
    assert low < 0 < high
    assert (found.decision, found.best.cluster) == ("GO", "repository")
    assert any("with tasks as clusters" in said for said in found.cautions)
