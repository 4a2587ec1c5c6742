"""The judge as a layer of the rubric."""

from collections.abc import Mapping
from typing import Any

from ...envs.step import Step
from ...envs.task import Task
from ...errors import ConfigError
from ..scores import CriterionScore
from .asking import Judge
from .ensemble import judgement
from .view import EpisodeView

__all__ = ["JudgeLayer"]


class JudgeLayer:
    """A layer that asks a `Judge` about each step when it happens. What fails stays unscored; nothing is invented."""

    def __init__(self, judge: Judge) -> None:
        """Raises ConfigError when the outcome shall be revealed: nobody knows it yet."""
        if judge.config.reveal.outcome:
            raise ConfigError("reveal.outcome is for recorded episodes: while one runs, nobody knows its outcome")
        self.judge = judge

    @property
    def name(self) -> str:
        """`judge@<version of the prompt>:<models>`."""
        return self.judge.name

    def start(self, task: Task) -> "JudgeScorer":
        """Begin an episode."""
        return JudgeScorer(self.judge, task)

    def close(self) -> None:
        """Close the judge."""
        self.judge.close()


class JudgeScorer:
    """The judge at work on one episode."""

    def __init__(self, judge: Judge, task: Task) -> None:
        self._judge = judge
        self._view = EpisodeView(task, judge.config.context, judge.config.reveal)
        self.record: Mapping[str, Any] = {}
        """How the last step's scores came about, for JSON."""

    def score(self, step: Step) -> dict[str, CriterionScore]:
        """Ask about a step, and wait for the answers."""
        view = self._view.look(step)
        made = judgement(self._judge, view, self._judge.submit(view).outcomes())
        self.record = made.record
        return made.criteria
