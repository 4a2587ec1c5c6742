"""From outcomes to a decision."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from .config import GateConfig
from .report import GateReport

__all__ = ["compare", "gate"]


def gate(base: Sequence[Path], candidate: Sequence[Path], config: GateConfig | None = None) -> GateReport:
    """Compare the runs of a candidate with those of the base.

    Raises UsageError for input that no decision can rest on: missing, mismatched or tampered results.
    """
    return compare(base, {_name(candidate): candidate}, config)


def compare(
    base: Sequence[Path], candidates: Mapping[str, Sequence[Path]], config: GateConfig | None = None
) -> GateReport:
    """Compare several candidates with one base; the false-GO rate holds for all of them together (Holm)."""
    raise NotImplementedError


def _name(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths)
