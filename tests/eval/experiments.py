"""An experiment for tests: graded runs of four arms, their gates, data and trainings, as the loop leaves them."""

import json
import random
from collections.abc import Mapping
from pathlib import Path

from trajectory_hub.envs.sources import write_task_repo
from trajectory_hub.envs.task import Provenance, Task
from trajectory_hub.eval.experiment.model import (
    EXPERIMENT,
    Arm,
    ArmSeed,
    DataRecord,
    Experiment,
    GateRecord,
    Role,
    StageRecord,
    TaskSet,
)
from trajectory_hub.eval.gate import gate
from trajectory_hub.rollouts.files import write_json

from .graded import graded_run, tasks

FAMILIES = ("off by one", "flipped comparison", "missing strip")
NASTY = "<script>alert('x')</script> | `tick` \x1b[31m"
_ARMS: Mapping[str, tuple[str, Role, str, float]] = {
    "base": ("SFT on all demonstrations", "base", "sft", 0.35),
    "random": ("SFT on as many random trajectories", "control", "sft", 0.36),
    "selected": (f"SFT on reward-selected trajectories {NASTY}", "candidate", "sft", 0.6),
    "dpo": ("DPO on step pairs", "candidate", "dpo", 0.8),
}
_GATES = (("base", "dpo", "GO"), ("random", "selected", "GO"), ("base", "random", "NO-GO"))


def make_experiment(folder: Path, *, count: int = 40, seeds: tuple[int, ...] = (0, 1)) -> Path:
    """An experiment of four arms over `count` tasks in three families."""
    folder.mkdir(parents=True)
    names = tasks(count)
    made = [_task(name, FAMILIES[index % 3]) for index, name in enumerate(names)]
    write_task_repo(made, folder / "tasks" / "eval", dockerfiles=dict.fromkeys(names, "FROM scratch\n"))
    experiment = Experiment(
        name="micro",
        created="2026-01-01T00:00:00+00:00",
        finished=True,
        command="trajhub experiment configs/experiments/micro.yaml",
        config={"gate": {"min_gain": 0.03}, "name": "micro"},
        versions={"trajectory_hub": "0.1.0"},
        machine={"cores": 2, "memory_gib": 8},
        seeds=list(seeds),
        tasks=[TaskSet(name="eval", tasks="tasks/eval", count=count, families=dict.fromkeys(FAMILIES, count // 3))],
        arms=[_arm(folder, name, count, seeds) for name in _ARMS],
    )
    experiment.data += [_data(folder, seed) for seed in seeds]
    experiment.stages += [_stage("tasks", None, 12.0), _stage("demonstrations", None, 240.0)]
    for seed in seeds:
        experiment.stages += [_stage(f"seed{seed}/{name}", seed, 200.0 + 30 * seed) for name in ("base", "dpo")]
        experiment.stages += [_stage(f"seed{seed}/eval-{name}", seed, 90.0) for name in _ARMS]
    for base, candidate, expected in _GATES:
        for seed in (*seeds, None):
            experiment.gates.append(_gate(folder, experiment, base, candidate, seed, expected))
    write_json(folder / EXPERIMENT, experiment.model_dump(mode="json"))
    return folder


def _task(name: str, family: str) -> Task:
    return Task(
        instance_id=name,
        repo="lab/repo",
        base_commit="c" * 40,
        provenance=Provenance(source="micro", method=family),
        problem_statement=f"{family}: {NASTY}",
        image=f"image-{name}",
        FAIL_TO_PASS=("t::a",),
        eval_script="true",
        log_parser="parse_log_pytest",
        patch="diff",
        test_patch="diff",
    )


def _arm(folder: Path, name: str, count: int, seeds: tuple[int, ...]) -> Arm:
    title, role, method, rate = _ARMS[name]
    made = Arm(name=name, title=title, role=role, method=method, start=None if name == "base" else "base")
    for seed in seeds:
        where = f"seed{seed}/{name}"
        # One draw a task for all arms: who resolves more resolves the same and others.
        drawn = random.Random(seed)
        luck = [drawn.random() for _ in range(count)]
        graded_run(folder / f"seed{seed}" / f"eval-{name}" / "run" / name, count, lambda i, s, d=luck, r=rate: d[i] < r)
        write_json(folder / where / "training.json", {"seconds": 61.5 + seed, "tokens_per_second": 2100.0})
        losses = ({"step": step, "loss": 2.0 / (step + 1)} for step in range(20))
        (folder / where / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in losses))
        made.seeds.append(
            ArmSeed(
                seed=seed,
                checkpoint=f"{where}/checkpoint",
                training=f"{where}/training.json",
                runs=[f"seed{seed}/eval-{name}/run/{name}"],
            )
        )
    return made


def _data(folder: Path, seed: int) -> DataRecord:
    where = folder / f"seed{seed}" / "data-pairs"
    where.mkdir(parents=True)
    (where / "README.md").write_text(f"# Card\n\nPairs of {NASTY}\n")
    return DataRecord(
        name="step-pairs", seed=seed, kind="preference", folder=f"seed{seed}/data-pairs", rows=310, episodes=600,
        sha256="a" * 64, how="Pairs of actions at the first step at which episodes part.",
    )  # fmt: skip


def _stage(name: str, seed: int | None, seconds: float) -> StageRecord:
    command = f"trajhub experiment configs/experiments/micro.yaml --only {name}"
    return StageRecord(name=name, folder=name, seed=seed, seconds=seconds, cpu_seconds=seconds, command=command)


def _gate(
    folder: Path, experiment: Experiment, base: str, candidate: str, seed: int | None, expected: str
) -> GateRecord:
    chosen = experiment.seeds if seed is None else [seed]
    sides = [[folder / experiment.arm(name).of(each).runs[0] for each in chosen] for name in (base, candidate)]
    report = gate(sides[0], sides[1])
    where = f"gates/{candidate}-over-{base}-{seed}.json"
    write_json(folder / where, report.model_dump(mode="json"))
    best = report.best
    return GateRecord.model_validate(
        {
            "base": base,
            "candidate": candidate,
            "seed": seed,
            "report": where,
            "decision": report.decision,
            "expected": expected,
            "gain": report.gain,
            "interval": report.interval,
            "gained": best.pairs_gained,
            "lost": best.pairs_lost,
        }
    )
