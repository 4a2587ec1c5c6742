"""Drawings of predictions and policies as SVG, the same bytes for the same figures."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

from ...extras import need
from ...page import Drawing
from .results import Importance, TaskResult

__all__ = ["PALETTE", "calibration", "figure", "importances", "over_steps", "svg"]

_STYLE = {
    "svg.hashsalt": "prediction",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a949e",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6eaee",
}
PALETTE = ("#5f6b76", "#e69f00", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9")


def figure(width: float = 8.5, height: float = 3.6, columns: int = 1) -> tuple[Any, Any]:
    """A figure and its axes."""
    with need("matplotlib", "plots", "trace").rc_context(_STYLE):
        made = need("matplotlib.figure", "plots", "trace").Figure(figsize=(width, height), layout="constrained")
        return made, made.subplots(1, columns)


def svg(made: Any) -> str:
    """A figure as SVG."""
    target = io.StringIO()
    with need("matplotlib", "plots", "trace").rc_context(_STYLE):
        made.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    return target.getvalue()


def calibration(result: TaskResult, name: str) -> Drawing:
    """Predicted against observed, with intervals."""
    made, axes = figure(5.2, 4.2)
    axes.plot([0, 1], [0, 1], color="#8a949e", linestyle="--", linewidth=1)
    for one in result.calibration:
        axes.plot([one.predicted] * 2, [one.observed.low, one.observed.high], color=PALETTE[2], linewidth=1.5)
    points = [(one.predicted, one.observed.value) for one in result.calibration]
    axes.plot([x for x, _ in points], [y for _, y in points], "o-", color=PALETTE[2], markersize=5, linewidth=0.8)
    axes.set(xlabel="predicted probability", ylabel="observed share", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    said = "; ".join(f"{x:.2f} predicted, {y:.2f} observed" for x, y in points)
    return Drawing(name, svg(made), said, f"Calibration of {result.best}{_after(result)}; dashed: perfect.")


def importances(result: TaskResult, name: str) -> Drawing:
    """What the best model goes by."""
    shown: Sequence[Importance] = result.importances[:10]
    made, axes = figure(8.5, 1.1 + 0.3 * len(shown))
    rows = range(len(shown))
    axes.barh(rows, [one.loss for one in shown], xerr=[one.spread for one in shown], color=PALETTE[2], height=0.6)
    axes.set_yticks(rows, [one.feature for one in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("growth of the loss when the feature is shuffled")
    said = "; ".join(f"{one.feature} {one.loss:+.4f}" for one in shown)
    return Drawing(name, svg(made), said, f"Permutation importance of {result.best}{_after(result)}.")


def over_steps(results: Sequence[TaskResult], key: str, label: str) -> Drawing:
    """A score after more and more steps, one line a model."""
    made, axes = figure()
    names = [one.name for one in results[0].models]
    said = list[str]()
    for number, name in enumerate(names):
        scores: list[Mapping[str, Any]] = [m.scores for result in results for m in result.models if m.name == name]
        at = [(result.at or 0) * (1 + 0.02 * (number - 1)) for result in results]
        values = [one[key].value for one in scores]
        axes.plot(at, values, "o-", color=PALETTE[number % 7], label=name, markersize=5)
        for x, one in zip(at, scores, strict=True):
            axes.plot([x, x], [one[key].low, one[key].high], color=PALETTE[number % 7], linewidth=1.2)
        said.append(f"{name}: " + ", ".join(f"{value:.3f}" for value in values))
    axes.set(xlabel="steps seen", ylabel=label)
    made.legend(loc="outside upper center", ncols=len(names), frameon=False)
    return Drawing(
        f"{key}-over-steps", svg(made), "; ".join(said), f"{label} after more steps, 95% intervals over groups."
    )


def _after(result: TaskResult) -> str:
    return "" if result.at is None else f" after {result.at} step" + ("s" if result.at > 1 else "")
