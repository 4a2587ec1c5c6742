"""Everything `trajhub trace policies` does: predict without having seen, replay at many settings, write."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ...rollouts.files import write_texts
from ...rollouts.steering.config import DynamicTimeout
from ...rollouts.steering.predictor import Predictor, read_predictor
from .crossed import Judges, judges_for
from .data import Trace, read_traces
from .evaluate import alone
from .metrics import Resamples
from .replay import MARGINS, THRESHOLDS, Ledger, base_ledger, early_stop, point, timeouts
from .replay_report import page_of
from .replay_results import Point, PoliciesReport

__all__ = ["ReplaySettings", "replay", "replay_policies"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySettings:
    """What is asked for."""

    thresholds: tuple[float, ...] = THRESHOLDS
    margins: tuple[float, ...] = MARGINS
    timeout: DynamicTimeout = field(default_factory=lambda: DynamicTimeout(predictor="", quantile=0.99, floor=1.0))
    folds: int = 5
    seed: int = 0
    resamples: int = 1000
    limit: int | None = None
    each: Callable[[], None] = field(default=lambda: None, compare=False)


def replay_policies(runs: Sequence[Path], predictor: Path, folder: Path, settings: ReplaySettings) -> PoliciesReport:
    """Write `policies.{json,md,html}` and `figures/`. Raises UsageError without graded episodes."""
    given, _ = read_predictor(predictor)
    traces = read_traces(runs)[: settings.limit]
    with alone():
        report = replay(traces, [str(run) for run in runs], given, settings)
    texts = page_of(report).texts("policies")
    write_texts(folder, texts | {"policies.json": report.model_dump_json(indent=2) + "\n"})
    return report


def replay(traces: Sequence[Trace], runs: Sequence[str], given: Predictor, settings: ReplaySettings) -> PoliciesReport:
    """Replay the policy that a predictor serves. Raises UsageError for a target that no policy goes by."""
    graded = [trace for trace in traces if trace.resolved is not None]
    if not graded:
        raise UsageError("no episode is graded, so there is no success to count: `trajhub grade` judges patches")
    judges = judges_for(graded, given, settings.folds, settings.seed, settings.each)
    number = {task: place for place, task in enumerate(sorted({trace.task for trace in graded}))}
    samples = Resamples(np.array([number[trace.task] for trace in graded]), settings.resamples, settings.seed)
    base = base_ledger(graded)
    ways = _ways(graded, judges, given, settings)
    sweep = [point(name, setting, base, ledger, samples) for name, setting, ledger in ways]
    chosen_by, chosen = _chosen(base, judges, samples, [way for way in ways if way[0] == "early stop"])
    return PoliciesReport(
        runs=tuple(runs),
        target=given.target,
        episodes=len(graded),
        tasks=len(number),
        resolved=sum(bool(trace.resolved) for trace in graded),
        folds=settings.folds,
        seed=settings.seed,
        resamples=settings.resamples,
        judged_by_the_file=judges.unseen,
        sweep=tuple(sweep),
        chosen=chosen,
        chosen_by=chosen_by,
    )


_Way = tuple[str, float, Ledger]


def _ways(traces: Sequence[Trace], judges: Judges, given: Predictor, settings: ReplaySettings) -> list[_Way]:
    if given.target == "success":
        stop = early_stop(traces, judges)
        return [("early stop", threshold, stop(threshold)) for threshold in settings.thresholds]
    if given.target == "tool_latency":
        cut = timeouts(traces, judges, settings.timeout)
        names = ("cut", "cut, at best", "retry", "retry, as repeated")
        return [(f"time-out: {name}", margin, cut(margin, name)) for name in names for margin in settings.margins]
    raise UsageError(f"no policy goes by a predictor of {given.target}; success and tool_latency serve one each")


def _chosen(base: Ledger, judges: Judges, samples: Resamples, ways: Sequence[_Way]) -> tuple[str | None, Point | None]:
    """Each part at the threshold that was best on the other parts, so that the choice is no part of the result."""
    unit = next((unit for unit in ("usd", "minutes", "million_tokens") if not np.isnan(base.spent[unit]).any()), None)
    if not ways or unit is None:
        return None, None
    folds = np.array(judges.folds)
    resolved, touched = base.resolved.copy(), base.touched.copy()
    spent = {name: values.copy() for name, values in base.spent.items()}
    for fold in np.unique(folds):
        inside, others = folds == fold, folds != fold
        _, _, best = max(ways, key=lambda way: _rate(way[2], unit, others))
        resolved[inside], touched[inside] = best.resolved[inside], best.touched[inside]
        for name in spent:
            spent[name][inside] = best.spent[name][inside]
    chosen = point("early stop, chosen by other tasks", float("nan"), base, Ledger(resolved, spent, touched), samples)
    return f"per_{unit}", chosen.model_copy(update={"setting": None})


def _rate(ledger: Ledger, unit: str, rows: NDArray[np.bool_]) -> float:
    spent = float(np.nansum(ledger.spent[unit][rows]))
    return float(ledger.resolved[rows].sum()) / spent if spent > 0 else 0.0
