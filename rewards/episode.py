"""The episode as a whole: milestones, waste and integrity, and the process score made of them.

A mean over steps could be raised by adding steps that score above it, so the process score has no mean:
milestones can each be reached once, and every poor step costs. Adding a step that reaches no milestone
never raises it.
"""

from .config import EpisodeConfig
from .history import History
from .scores import ProcessScore, rounded

__all__ = ["EpisodeTracker"]

_ENOUGH_FILES = 3


class EpisodeTracker:
    """Follows one episode; constant work a step."""

    def __init__(self, config: EpisodeConfig) -> None:
        self._config = config
        self._weights = config.milestones.model_dump()
        self._waste = 0.0
        self._total = sum(self._weights.values()) or 1.0

    def update(self, reward: float, history: History) -> ProcessScore:
        """Take a scored and recorded step into account."""
        self._waste += max(0.0, self._config.sound - reward)
        reached = milestones(history)
        coverage = 0.0
        for name, value in reached.items():
            coverage += self._weights[name] * value
        coverage /= self._total
        economy = 1 / (1 + self._waste / self._config.patience)
        integrity = self._config.tampering if history.tampered else 1.0
        return ProcessScore(
            score=rounded(coverage * economy * integrity),
            coverage=rounded(coverage),
            economy=rounded(economy),
            integrity=integrity,
            waste=rounded(self._waste),
            milestones=reached,
        )


def milestones(history: History) -> dict[str, float]:
    """How far each milestone is reached now. A change that is taken back is no longer reached."""
    changed = _changed(history)
    verified = _verified(history) if changed else 0.0
    return {
        "explored": min(1.0, rounded(len(history.read_sources) / _ENOUGH_FILES)),
        "located": _located(history),
        "reproduced": history.reproduced,
        "changed": changed,
        "verified": verified,
        "submitted": 0.0 if not history.submitted or not changed else rounded(0.3 + 0.7 * verified),
    }


def _located(history: History) -> float:
    places = history.task.places
    if places:
        return min(1.0, rounded(len(history.read_sources & places) / min(len(places), _ENOUGH_FILES)))
    return 1.0 if history.located and history.read_sources else 0.0


def _changed(history: History) -> float:
    if not history.changed_sources:
        return 0.0
    reference = history.task.reference
    share = 1.0
    if reference and history.changed_sources.keys().isdisjoint(reference):
        share = 0.4
    if history.only_assumed:
        share *= 0.5
    informed = any(history.files[path].informed for path in history.changed_sources)
    return share if informed else share * 0.5


def _verified(history: History) -> float:
    check = history.last_check
    if check is None or history.unverified:
        return 0.0
    return check.strength if check.ok else 0.2
