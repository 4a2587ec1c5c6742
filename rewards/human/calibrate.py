"""Calibration: how far each layer of scores can be trusted, measured against people's labels."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from ...errors import UsageError
from ..config import RubricConfig
from ..scores import CRITERIA
from .bootstrap import RESAMPLES, Estimate, Floats
from .correlation import clusters_of, correlate, gain
from .labels import PairLabel, StepLabel
from .observations import Observations, ScoredStep, observe, overall, weighted_mean
from .preferences import EpisodeKey, pair_accuracy
from .ratings import ratings_of
from .reliability import reliability
from .results import COMBINATION, OVERALL, REFITTED, Calibration, Change, Comparison, Gate, Refit
from .reweigh import FEWEST_TASKS, Predicted, Weights, learn, out_of_fold, present_weights, scored
from .study import interval_alpha

__all__ = ["FEWEST_STEPS", "calibrate"]

FEWEST_STEPS = 10
"""Labelled steps below which nothing is said."""


def calibrate(
    steps: Iterable[ScoredStep],
    labels: Sequence[StepLabel],
    rubric: RubricConfig,
    *,
    pairs: Sequence[PairLabel] = (),
    episodes: Mapping[str, Mapping[EpisodeKey, float]] | None = None,
    layer: str | None = None,
    min_pearson: float = 0.8,
    seed: int = 0,
    resamples: int = RESAMPLES,
    tick: Callable[[str], None] = lambda doing: None,
) -> Calibration:
    """Compare layers with labels, refit the weights, decide.

    `episodes` gives scores of whole trajectories by name of the score, for pair labels. `layer` is what the gate looks
    at: a layer, `combination` (the default where there are several) or `refitted`. Raises UsageError when there are too
    few labelled steps to say anything, or no such layer.
    """
    seen = observe(steps, labels)
    _refuse_few(seen, labels)
    start = present_weights(seen, rubric)
    tables = {**seen.layers, **seen.compounds}
    if len(seen.layers) > 1:
        tables[COMBINATION] = scored(seen, start).criteria
    comparisons = list[Comparison]()
    for name, table in tables.items():
        tick(f"comparing {name}")
        comparisons += _compare(name, table, seen, start, seed, resamples)
    tick("refitting weights")
    refit, not_refitted = _refit(seen, start, seed, resamples)
    found = {(each.layer, each.criterion): each.coefficients["pearson"] for each in comparisons}
    if refit is not None:
        found[REFITTED, OVERALL] = refit.changes[-1].after
    known = set(seen.keys)
    used = [label for label in labels if (label.run_id, label.episode_id, label.step) in known]
    return Calibration(
        steps=len(seen.keys),
        trajectories=seen.trajectory_count,
        tasks=seen.task_count,
        labels=len(used),
        annotators=tuple(sorted({label.annotator for label in used})),
        unmatched=len(labels) - len(used),
        alphas={
            table.criterion: interval_alpha(table, seed=seed, resamples=resamples) for table in ratings_of(used, pairs)
        },
        comparisons=tuple(comparisons),
        refit=refit,
        not_refitted=not_refitted,
        preferences={
            name: pair_accuracy(pairs, scores, seed=seed, resamples=resamples)
            for name, scores in (episodes or {}).items()
            if pairs
        },
        gate=_gate(
            found, layer or (COMBINATION if COMBINATION in tables else next(iter(tables))), min_pearson, not_refitted
        ),
        seed=seed,
        resamples=resamples,
    )


def _refuse_few(seen: Observations, labels: Sequence[StepLabel]) -> None:
    if len(seen.keys) < FEWEST_STEPS:
        raise UsageError(
            f"{len(seen.keys)} steps of these runs have both a label and a score, at least {FEWEST_STEPS} are needed "
            f"({len(labels)} labels were read): label more steps with `trajhub label`, or name other runs"
        )


def _gate(found: Mapping[tuple[str, str], Estimate], layer: str, least: float, not_refitted: str | None) -> Gate:
    if (layer, OVERALL) not in found:
        known = ", ".join(name for name, criterion in found if criterion == OVERALL)
        why = f" (the weights were not refitted: {not_refitted})" if layer == REFITTED and not_refitted else ""
        raise UsageError(f"no layer is called {layer!r}{why}; there are {known}")
    return Gate(layer=layer, least=least, pearson=found[layer, OVERALL])


def _compare(
    name: str, table: Floats, seen: Observations, start: Weights, seed: int, resamples: int
) -> list[Comparison]:
    columns = {criterion: (table[:, i], seen.labels[:, i]) for i, criterion in enumerate(CRITERIA)}
    columns[OVERALL] = overall(table, seen.labels, start.criteria), weighted_mean(seen.labels, start.criteria)
    found: list[Comparison] = []
    for criterion, (scores, labels) in columns.items():
        labelled = np.isfinite(labels)
        both = labelled & np.isfinite(scores)
        if labelled.any():
            x, y, clusters = scores[both], labels[both], clusters_of(seen.trajectories[both].tolist())
            found.append(
                Comparison(
                    layer=name,
                    criterion=criterion,
                    steps=int(both.sum()),
                    labelled=int(labelled.sum()),
                    coefficients=correlate(x, y, clusters, seed=seed, resamples=resamples),
                    reliability=reliability(x, y),
                )
            )
    return found


def _refit(seen: Observations, start: Weights, seed: int, resamples: int) -> tuple[Refit | None, str | None]:
    """Refitted weights, or why there are none."""
    if seen.task_count < FEWEST_TASKS:
        return (
            None,
            f"the labels cover {seen.task_count} tasks, at least {FEWEST_TASKS} are needed to test on other tasks",
        )
    if not seen.rules and len(seen.layers) < 2 and int(np.isfinite(seen.labels).any(axis=0).sum()) < 2:
        return None, "there is nothing to weigh: one layer, one criterion, and no rules"
    learned = learn(seen, start)
    before, after = scored(seen, start), out_of_fold(seen, start, seed=seed)
    inside = scored(seen, learned.weights)
    changes = _changes(seen, start, (before, after, inside), seed, resamples)
    names = {name: rules.names for name, rules in seen.rules.items()}
    return Refit(before=start, learned=learned, changes=changes, rule_names=names, layers=tuple(seen.layers)), None


def _changes(
    seen: Observations, start: Weights, scores: tuple[Predicted, ...], seed: int, resamples: int
) -> tuple[Change, ...]:
    """Before and after, by criterion and overall, on the steps that all of them score."""
    whole = weighted_mean(seen.labels, start.criteria)
    rows = [(name, seen.labels[:, i], [each.criteria[:, i] for each in scores]) for i, name in enumerate(CRITERIA)]
    rows.append((OVERALL, whole, [each.overall for each in scores]))
    found: list[Change] = []
    for name, labels, tables in rows:
        used = np.isfinite(labels) & np.isfinite(np.column_stack(tables)).all(axis=1)
        if used.any():
            clusters = clusters_of(seen.trajectories[used].tolist())
            old, new, inside = (table[used] for table in tables)
            r = [correlate(each, labels[used], clusters, seed=seed, resamples=resamples) for each in (old, new, inside)]
            more = gain(old, new, labels[used], clusters, seed=seed, resamples=resamples)
            before, after, fitted = (each["pearson"] for each in r)
            steps = int(used.sum())
            found.append(Change(criterion=name, steps=steps, before=before, after=after, in_sample=fitted, gain=more))
    return tuple(found)
