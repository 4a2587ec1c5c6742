"""The report of a calibration: what was decided, what it rests on, what it does not say."""

from collections.abc import Iterable, Iterator, Sequence

from ...errors import MissingExtra
from ...page import Block, Code, Heading, Page, Table, Text
from ..scores import CRITERIA
from .bootstrap import CONFIDENCE
from .plots import drawings
from .results import OVERALL, Calibration, Refit

__all__ = ["calibration_report", "unsaid"]


def calibration_report(found: Calibration, subject: str, command: str) -> Page:
    """`subject` says what was calibrated, `command` how to do it again. Without matplotlib there are no drawings."""
    missing: list[Block] = []
    try:
        figures = {figure.name: figure for figure in drawings(found)}
    except MissingExtra as error:
        figures = {}
        missing.append(Text(f"There are no drawings: {error}."))
    blocks = [
        Text(found.gate.sentence, lead=True),
        Text(_basis(found)),
        *map(Text, found.cautions),
        *missing,
        Heading("Layers against people"),
        _layers(found),
        *map(Text, unsaid(found)),
        *(figures[name] for name in ("correlation",) if name in figures),
        Heading("Does a score mean what people mean by it?"),
        *(figures[name] for name in ("reliability",) if name in figures),
        _curves(found),
        Heading("Refitted weights"),
        *_refit(found),
        *(figures[name] for name in ("refit",) if name in figures),
        *_preferences(found),
        Heading("Agreement among annotators"),
        *_agreement(found),
        Heading("How this was computed"),
        *map(Text, _method(found)),
        Code(command),
    ]
    return Page(f"Calibration of {subject}", tuple(blocks))


def _basis(found: Calibration) -> str:
    people = _count(len(found.annotators), "annotator")
    return (
        f"It rests on {_count(found.labels, 'label')} by {people} ({', '.join(found.annotators)}), of "
        f"{_count(found.steps, 'step')} in {_count(found.trajectories, 'trajectory', 'trajectories')} of "
        f"{_count(found.tasks, 'task')}."
    )


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _layers(found: Calibration) -> Table:
    columns = ("layer", "criterion", "steps", "labelled", "Pearson", "Spearman", "Kendall", "calibration error", "bias")
    rows = [
        (
            each.layer,
            each.criterion,
            each.steps,
            each.labelled,
            *(each.coefficients[name].brief for name in ("pearson", "spearman", "kendall")),
            *((f"{each.reliability.error:.3f}", f"{each.reliability.bias:+.3f}") if each.reliability else (None, None)),
        )
        for each in found.comparisons
    ]
    return Table("Correlation with people's labels, 95% intervals over trajectories", columns, tuple(rows))


def unsaid(found: Calibration) -> list[str]:
    """In sentences, which figures or intervals there are not, and why."""
    named = [(f"{each.layer}, {each.criterion}", each.coefficients["pearson"]) for each in found.comparisons]
    named += [(name, each.accuracy) for name, each in found.preferences.items()]
    return [
        f"{name}: {'no figure' if figure.value is None else 'no interval'}, because {figure.note}."
        for name, figure in named
        if figure.note is not None
    ]


def _curves(found: Calibration) -> Table:
    rows = [
        (each.layer, f"{bin.low:.1f} to {bin.high:.1f}", bin.steps, f"{bin.score:.3f}", f"{bin.label:.3f}")
        for each in found.comparisons
        if each.criterion == OVERALL and each.reliability is not None
        for bin in each.reliability.bins
    ]
    return Table("Calibration curves overall", ("layer", "score", "steps", "mean score", "mean label"), tuple(rows))


def _refit(found: Calibration) -> Iterator[Block]:
    if found.refit is None:
        yield Text(f"The weights were not refitted: {found.not_refitted}.")
        return
    yield Text(_verdict(found.refit))
    columns = ("criterion", "steps", "before", "after, out of fold", "gain", "in sample (flatters)")
    yield Table(
        "Pearson's r before and after",
        columns,
        tuple(
            (
                each.criterion,
                each.steps,
                *(figure.brief for figure in (each.before, each.after, each.gain, each.in_sample)),
            )
            for each in found.refit.changes
        ),
    )
    yield Table("Weights", ("of", "part", "before", "after"), tuple(_weights(found.refit)))


def _verdict(refit: Refit) -> str:
    gain = refit.changes[-1].gain
    if refit.better:
        return f"The refit helps on tasks it has not seen: Pearson's r overall grows by {gain}."
    return f"The refit is not shown to help on tasks it has not seen (gain overall: {gain}): keep the present weights."


def _weights(refit: Refit) -> Iterator[tuple[object, ...]]:
    after = refit.learned.weights
    for name, old, new in zip(CRITERIA, refit.before.criteria, after.criteria, strict=True):
        yield "step", name, f"{old:.3g}", f"{new:.3g}"
    for name in CRITERIA:
        if len(refit.layers) > 1:
            for layer, old, new in zip(refit.layers, refit.before.layers[name], after.layers[name], strict=True):
                yield name, layer, f"{old:.3g}", f"{new:.3g}"
        if name in after.rules:
            rules = refit.rule_names[name]
            for rule, old, new in zip(rules, refit.before.rules[name], after.rules[name], strict=True):
                yield name, rule, f"{old:.3g}", f"{new:.3g}"


def _preferences(found: Calibration) -> Iterable[Block]:
    if not found.preferences:
        return []
    columns = ("score", "pairs", "prefers what people prefer", "equal scores", "people undecided", "not scored")
    rows = [
        (name, each.pairs, each.accuracy.brief, each.equal, each.undecided, each.unscored)
        for name, each in found.preferences.items()
    ]
    return [Heading("Preferences between trajectories"), Table("Accuracy on pairs", columns, tuple(rows))]


def _agreement(found: Calibration) -> Sequence[Block]:
    rows = tuple((name, str(alpha)) for name, alpha in found.alphas.items())
    return [
        Text("No layer can be shown to agree with people better than people agree with each other."),
        Table("Krippendorff's alpha, interval", ("criterion", "alpha"), rows),
    ]


def _method(found: Calibration) -> list[str]:
    return [
        "A step's label is the mean over annotators. Overall means the weighted mean over the labelled criteria, "
        "with the rubric's weights, for people and layers alike.",
        f"Intervals ({CONFIDENCE:.0%}, {found.resamples} resamples, seed {found.seed}) resample whole trajectories: "
        "the steps of one are not independent. For pairs of trajectories they resample tasks, for agreement items.",
        "Weights are refitted by least squares, never below 0, and held near the present ones as strongly as an inner "
        "cross-validation over tasks chooses. The figures after the refit are of tasks that neither the weights nor "
        "that choice have seen; their intervals do not include how much the weights themselves would vary.",
        "The calibration error is the mean distance of score and label over ten bins; with few labels, chance alone "
        "makes it larger.",
        "To compute it again:",
    ]
