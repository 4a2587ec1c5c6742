"""The stages that decide: every arm on the same held-out tasks, and the gate over pairs of arms."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ...rollouts.files import write_atomic
from ..evaluation import evaluate as evaluated
from ..evaluation import load_eval_config, subject_of
from ..gate import compare
from .config import GatePlan, merged
from .generation import GenerationServer
from .lab import Lab
from .model import GateRecord
from .playing import run_figures, run_in, watched
from .stages import Stage

__all__ = ["evaluate", "gate_all", "gate_seed"]


def evaluate(lab: Lab, seed: int, name: str, trained: Stage) -> Stage:
    """An arm's episodes on the evaluation tasks, graded."""
    config = lab.config.evaluation

    def work(folder: Path) -> Mapping[str, Any]:
        subject = subject_of(str(trained.folder / "checkpoint"))
        run, tasks, serving = run_in(folder), lab.tasks(config.tasks), lab.config.serving
        settings = merged(lab.config.rollout, config.rollout, {"tasks": lab.specs[config.tasks], "seeds": config.seeds})
        with ExitStack() as stack:
            if serving.engine == "transformers":
                server = stack.enter_context(GenerationServer(Path(subject.text), batch=serving.batch))
                settings["url"] = server.base_url
            evaluation = load_eval_config({**settings, "serve": serving.serve})
            evaluated(run, subject, evaluation, tasks=tasks, host=lab.host, watch=watched)
        return run_figures(run, graded=True)

    said = {**config.model_dump(mode="json"), "rollout_all": dict(lab.config.rollout)}
    stage = lab.stages.do(f"seed{seed}/eval-{name}", said, work, [trained])
    lab.record.arm(name).of(seed).runs.append(lab.path(run_in(stage.folder)))
    return stage


def gate_seed(lab: Lab, seed: int, evaluated: Mapping[str, Stage]) -> Stage:
    """The gates of one training seed."""
    runs = {name: [run_in(stage.folder)] for name, stage in evaluated.items()}
    return _gates(lab, f"seed{seed}/gates", seed, runs, list(evaluated.values()))


def gate_all(lab: Lab, evaluated: Sequence[Mapping[str, Stage]]) -> Stage:
    """The gates of all training seeds together."""
    runs = {name: [run_in(each[name].folder) for each in evaluated] for name in evaluated[0]}
    return _gates(lab, "gates", None, runs, [stage for each in evaluated for stage in each.values()])


def _gates(lab: Lab, name: str, seed: int | None, runs: Mapping[str, Sequence[Path]], after: Sequence[Stage]) -> Stage:
    plans = [(arm.name, plan) for arm in lab.config.arms for plan in arm.gates]

    def work(folder: Path) -> Mapping[str, Any]:
        return {f"{arm}-over-{plan.against}": _gate(lab, folder, arm, plan, runs) for arm, plan in plans}

    said = {"gate": lab.config.gate.model_dump(mode="json"), "plans": [(a, p.model_dump()) for a, p in plans]}
    stage = lab.stages.do(name, said, work, after)
    for arm, plan in plans:
        key = f"{arm}-over-{plan.against}"
        told = stage.figures[key]
        report = lab.path(stage.folder / f"{key}.json")
        lab.record.gates.append(
            GateRecord(base=plan.against, candidate=arm, seed=seed, report=report, expected=plan.expected, **dict(told))
        )
    lab.save()  # with the gates: the next seed's stages take long
    return stage


def _gate(lab: Lab, folder: Path, arm: str, plan: GatePlan, runs: Mapping[str, Sequence[Path]]) -> Mapping[str, Any]:
    """One comparison; its report is written beside it."""
    report = compare(runs[plan.against], {arm: runs[arm]}, lab.config.gate)
    write_atomic(folder / f"{arm}-over-{plan.against}.json", report.model_dump_json(indent=2) + "\n")
    found = report.candidates[0]
    return {
        "decision": report.decision,
        "gain": round(found.gain, 6),
        "interval": [round(end, 6) for end in found.interval],
        "gained": found.pairs_gained,
        "lost": found.pairs_lost,
    }
