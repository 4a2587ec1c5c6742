"""Drawings of predictions and policies as SVG, the same bytes for the same figures."""

from collections.abc import Mapping, Sequence
from typing import Any

from ... import plotting
from ...page import Drawing
from .results import Importance, TaskResult

__all__ = ["calibration", "importances", "over_steps"]

_MODELS = ("#5f6b76", *plotting.PALETTE[:6])
"""Colours of models: the first one is the baseline, which is grey."""


def calibration(result: TaskResult, name: str) -> Drawing:
    """Predicted against observed, with intervals."""
    figure, axes = plotting.figure(4.2, 5.2)
    axes.plot([0, 1], [0, 1], color="#8a949e", linestyle="--", linewidth=1)
    for one in result.calibration:
        axes.plot([one.predicted] * 2, [one.observed.low, one.observed.high], color=plotting.colour(0), linewidth=1.5)
    points = [(one.predicted, one.observed.value) for one in result.calibration]
    axes.plot(
        [x for x, _ in points], [y for _, y in points], "o-", color=plotting.colour(0), markersize=5, linewidth=0.8
    )
    axes.set(xlabel="predicted probability", ylabel="observed share", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    said = "; ".join(f"{x:.2f} predicted, {y:.2f} observed" for x, y in points)
    return Drawing(name, plotting.svg(figure), said, f"Calibration of {result.best}{_after(result)}; dashed: perfect.")


def importances(result: TaskResult, name: str) -> Drawing:
    """What the best model goes by."""
    shown: Sequence[Importance] = result.importances[:10]
    figure, axes = plotting.figure(1.1 + 0.3 * len(shown))
    rows = range(len(shown))
    axes.barh(
        rows, [one.loss for one in shown], xerr=[one.spread for one in shown], color=plotting.colour(0), height=0.6
    )
    plotting.label_rows(axes, [one.feature for one in shown])
    axes.set_xlabel("growth of the loss when the feature is shuffled")
    said = "; ".join(f"{one.feature} {one.loss:+.4f}" for one in shown)
    return Drawing(name, plotting.svg(figure), said, f"Permutation importance of {result.best}{_after(result)}.")


def over_steps(results: Sequence[TaskResult], key: str, label: str) -> Drawing:
    """A score after more and more steps, one line a model."""
    figure, axes = plotting.figure()
    names = [one.name for one in results[0].models]
    said = list[str]()
    for number, name in enumerate(names):
        scores: list[Mapping[str, Any]] = [m.scores for result in results for m in result.models if m.name == name]
        at = [(result.at or 0) * (1 + 0.02 * (number - 1)) for result in results]
        values = [one[key].value for one in scores]
        axes.plot(at, values, "o-", color=_MODELS[number % 7], label=name, markersize=5)
        for x, one in zip(at, scores, strict=True):
            axes.plot([x, x], [one[key].low, one[key].high], color=_MODELS[number % 7], linewidth=1.2)
        said.append(f"{name}: " + ", ".join(f"{value:.3f}" for value in values))
    axes.set(xlabel="steps seen", ylabel=label)
    plotting.legend(figure, len(names))
    return Drawing(
        f"{key}-over-steps",
        plotting.svg(figure),
        "; ".join(said),
        f"{label} after more steps, 95% intervals over groups.",
    )


def _after(result: TaskResult) -> str:
    return "" if result.at is None else f" after {result.at} step" + ("s" if result.at > 1 else "")
