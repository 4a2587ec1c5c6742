"""Where things lie, as seen from the page."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from ...page import Cell, Link
from .collect import Collected

__all__ = ["Paths"]

_METRICS = "metrics.jsonl"


@dataclass(frozen=True, slots=True)
class Paths:
    """Makes links from a page in `page` to files of the experiment in `root`."""

    root: Path
    page: Path
    links: bool = True
    """Without, a page can be taken elsewhere alone."""

    @property
    def typed(self) -> str:
        """The experiment's folder: from the working folder where it lies in there, else as it was given."""
        whole, here = self.root.resolve(), Path.cwd()
        return str(whole.relative_to(here)) if whole.is_relative_to(here) else str(self.root)

    def link(self, text: str, target: str | Path) -> Cell:
        """A link to a file of the experiment; plain text where there is no such file or no links are wanted."""
        path = self.root / target
        if not self.links or not path.exists():
            return text
        return Link(text, os.path.relpath(path.resolve(), self.page.resolve()))

    def told(self, command: str) -> str:
        """A command with the experiment's folder as one would type it here."""
        return command.replace(str(self.root.resolve()), self.typed)

    def loss_curves(self, found: Collected) -> dict[str, list[tuple[float, float]]]:
        """Training loss by step of each arm's first training seed that has metrics."""
        curves = dict[str, list[tuple[float, float]]]()
        for one in found.arms:
            trained = one.arm.of(one.seed)
            if one.arm.name in curves or not trained.training:
                continue
            points = _losses((self.root / trained.training).parent / _METRICS)
            if len(points) > 1:
                curves[one.arm.name] = points
        return curves


def _losses(path: Path) -> list[tuple[float, float]]:
    if not path.is_file():
        return []
    rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    return [(float(row["step"]), float(row["loss"])) for row in rows if "loss" in row and "step" in row]
