"""`trajhub calibrate` and `trajhub agreement`: how far scores can be trusted, and how far people agree."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import console

if TYPE_CHECKING:
    from ..rewards.human.results import Calibration
    from ..rewards.human.study import CriterionAgreement

__all__ = ["agreement", "calibrate"]

Runs = Annotated[list[Path], typer.Argument(help="Folders of runs.")]
Labels = Annotated[Path, typer.Option("--labels", help="File of labels, as `trajhub label` writes it.")]
Out = Annotated[Path | None, typer.Option("-o", "--out", help="Folder of the report; default `calibration` in RUN.")]
RubricFile = Annotated[
    Path | None,
    typer.Option("--rubric", help="Rubric to refit; default: the first run's own, else the packaged one."),
]
LayerName = Annotated[
    str | None, typer.Option("--layer", help="What the gate judges: a layer's name, `combination` or `refitted`.")
]
MinPearson = Annotated[float, typer.Option("--min-pearson", min=-1, max=1, help="Pearson's r required for GO.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of the resampling and the folds.")]
Resamples = Annotated[int, typer.Option("--resamples", min=200, help="Resamples for each interval.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LabelFile = Annotated[Path, typer.Argument(help="File of labels, as `trajhub label` writes it.")]
Worst = Annotated[int, typer.Option("--limit", min=0, help="Disagreements to list for each criterion.")]


def calibrate(
    runs: Runs,
    labels: Labels,
    out: Out = None,
    rubric: RubricFile = None,
    layer: LayerName = None,
    min_pearson: MinPearson = 0.8,
    seed: Seed = 0,
    resamples: Resamples = 2000,
    as_json: Json = False,
) -> None:
    """Compare each layer of scores with people's labels, refit the weights, and decide; exit code 1 is NO-GO."""
    from ..rewards.config import load_config
    from .calibration import calibrate_runs, rubric_of, write_calibration

    settled = load_config(rubric) if rubric is not None else rubric_of(runs[0])
    with console.progress("Calibrating", None) as tick:
        found = calibrate_runs(
            runs,
            labels,
            settled,
            layer=layer,
            min_pearson=min_pearson,
            seed=seed,
            resamples=resamples,
            tick=lambda doing: tick(note=doing),
        )
    folder = out or runs[0] / "calibration"
    written = write_calibration(
        found, folder, settled, ", ".join(map(str, runs)), shlex.join(["trajhub", *sys.argv[1:]])
    )
    if as_json:
        console.emit_json(found.as_dict() | {"files": [str(path) for path in written]})
    else:
        _show(found)
    again = (
        [f"trajhub rollout -c rubric={folder / 'rubric.yaml'}"]
        if found.refit is not None and found.refit.better
        else []
    )
    console.next_steps(written[0], f"trajhub agreement {labels}", *again)
    if not found.gate.go:
        raise typer.Exit(1)


def _show(found: "Calibration") -> None:
    from ..rewards.human.report import unsaid

    rows = [
        (
            each.layer,
            each.criterion,
            each.steps,
            *(each.coefficients[name].brief for name in ("pearson", "spearman", "kendall")),
        )
        for each in found.comparisons
    ]
    columns = ("layer", "criterion", "steps", "Pearson", "Spearman", "Kendall")
    console.table("Scores against people's labels", columns, rows)
    if found.refit is not None:
        changes = [
            (each.criterion, each.steps, each.before.brief, each.after.brief, each.gain.brief)
            for each in found.refit.changes
        ]
        columns = ("criterion", "steps", "before", "after, out of fold", "gain")
        console.table("Pearson's r before and after the weights were refitted", columns, changes)
    else:
        print(f"The weights were not refitted: {found.not_refitted}.")
    if found.preferences:
        pairs = [(name, each.pairs, each.accuracy.brief) for name, each in found.preferences.items()]
        console.table("Preferences", ("score", "pairs", "prefers what people prefer"), pairs)
    for sentence in (*unsaid(found), *found.cautions):
        print(console.safe(sentence))
    print(console.safe(found.gate.sentence))


def agreement(
    labels: LabelFile, limit: Worst = 5, seed: Seed = 0, resamples: Resamples = 2000, as_json: Json = False
) -> None:
    """Measure how far annotators agree, by criterion and by annotator, and list what they differ on most."""
    from ..rewards.human.study import study_agreement
    from .calibration import read_labels

    steps, pairs = read_labels(labels)
    with console.progress("Measuring agreement", None):
        study = study_agreement(steps, pairs, seed=seed, resamples=resamples, worst=limit)
    if as_json:
        console.emit_json(study.as_dict())
        return
    said = ", ".join(f"{name} {count}" for name, count in study.annotators.items())
    print(f"Labels: {console.safe(said or 'none')}")
    for each in study.criteria:
        _show_criterion(each)
    console.next_steps(labels, f"trajhub calibrate RUN --labels {labels}")


def _show_criterion(each: "CriterionAgreement") -> None:
    measures = [
        ("raw agreement", each.shared, each.raw),
        ("Fleiss' kappa", each.fleiss_items, each.fleiss),
        *((f"Krippendorff's alpha, {level}", each.shared, found) for level, found in each.alpha.items()),
        *(
            (f"Cohen's kappa, {weighting}: {pair.first} and {pair.second}", pair.items, found)
            for pair in each.pairs
            for weighting, found in pair.kappa.items()
        ),
    ]
    print()
    console.table(f"{each.criterion}: {each.shared} of {each.items} items by two or more", ("", "items", ""), measures)
    people = [(one.name, one.items, one.raw, one.bias, one.alpha_without) for one in each.annotators]
    columns = ("annotator", "items", "same as others", "kinder by", "alpha without")
    console.table("Annotators", columns, people)
    if each.disagreements:
        worst = [
            (one.item, f"{one.spread:.2f}", ", ".join(f"{name} {value:g}" for name, value in one.said.items()))
            for one in each.disagreements
        ]
        console.table("Most disagreed on", ("item", "spread", "said"), worst)
