"""Calibration of recorded runs against a file of labels, and what it leaves on disk."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import UsageError
from ..rewards.config import RubricConfig, load_config
from ..rewards.human.bootstrap import RESAMPLES
from ..rewards.human.calibrate import calibrate
from ..rewards.human.labels import PairLabel, StepLabel
from ..rewards.human.observations import ScoredStep
from ..rewards.human.preferences import EpisodeKey
from ..rewards.human.report import calibration_report
from ..rewards.human.results import Calibration
from ..rewards.human.rubric_file import refitted_rubric, rubric_text
from ..rewards.human.store import LabelStore
from .calibration_data import read_scored
from .files import write_json, write_texts
from .run_dir import read_manifest

__all__ = ["CALIBRATION", "calibrate_runs", "read_labels", "rubric_of", "write_calibration"]

CALIBRATION = "calibration.json"
"""Everything that was found, for programs."""


def read_labels(path: Path) -> tuple[list[StepLabel], list[PairLabel]]:
    """The labels that hold in a file. Raises UsageError when there is no such file."""
    with LabelStore(path, create=False) as store:
        return list(store.steps()), list(store.pairs())


def rubric_of(run: Path) -> RubricConfig:
    """The rubric that a run was scored with, as far as it says; else the packaged one."""
    return load_config(read_manifest(run).get("rubric"))


def calibrate_runs(
    runs: Sequence[Path],
    labels: Path,
    rubric: RubricConfig,
    *,
    layer: str | None = None,
    min_pearson: float = 0.8,
    seed: int = 0,
    resamples: int = RESAMPLES,
    tick: Callable[[str], None] = lambda doing: None,
) -> Calibration:
    """Calibrate the layers that scored some runs. `tick` is told what is being done.

    Raises UsageError when the labels say too little about these runs, see `rewards.human.calibrate`.
    """
    said, pairs = read_labels(labels)
    if not said:
        raise UsageError(
            f"{labels} holds no label of a step; `trajhub label {runs[0]} --labels {labels}` collects them"
        )
    wanted = {(label.run_id, label.episode_id) for label in said}
    wanted |= {end for pair in pairs for end in ((pair.run_a, pair.episode_a), (pair.run_b, pair.episode_b))}
    steps, whole = list[ScoredStep](), defaultdict[str, dict[EpisodeKey, float]](dict)
    for episode in read_scored(runs, wanted, rubric.weights):
        tick(f"reading {episode.key[1]}")
        steps += episode.steps
        for name, score in episode.whole.items():
            whole[name][episode.key] = score
    return calibrate(
        steps,
        said,
        rubric,
        pairs=pairs,
        episodes=whole,
        layer=layer,
        min_pearson=min_pearson,
        seed=seed,
        resamples=resamples,
        tick=tick,
    )


def write_calibration(found: Calibration, folder: Path, rubric: RubricConfig, subject: str, command: str) -> list[Path]:
    """Write the report, its drawings, the figures as JSON and the refitted rubric, if any; the paths, report first."""
    report = calibration_report(found, subject, command)
    texts = {"report.html": report.html(), "report.md": report.markdown()}
    texts |= {f"figures/{drawing.name}.svg": drawing.svg for drawing in report.drawings}
    if found.refit is not None:
        origin = f"Refitted to people's labels of {subject}.\n{command}"
        texts["rubric.yaml"] = rubric_text(refitted_rubric(rubric, found.refit), origin)
    write_texts(folder, texts)
    write_json(folder / CALIBRATION, {"subject": subject, "command": command} | found.as_dict())
    return [folder / name for name in (*texts, CALIBRATION)]
