"""Recorded runs as things to label: which steps and pairs there are, what is known of them, and how they are shown."""

import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from statistics import fmean

from ..envs.step import Step
from ..errors import Failure, UsageError
from ..rewards.human.blind import Episode, View, names_to_mask, pair_view, step_view
from ..rewards.human.labels import PairItem, Side, StepItem
from ..rewards.human.plain import plain_texts
from ..rewards.human.sampling import Candidate
from ..rewards.human.visible import Mask
from ..rewards.scores import CRITERIA
from .score_log import read_scores, scored_layers
from .trajectory import Trajectory, read_trajectories, read_trajectory

__all__ = ["LabelRuns"]

_Scores = Mapping[str, float]
_ByStep = Mapping[int, _Scores]
_CACHED = 32
_JUDGE = "judge"
"""How the names of judges' layers begin."""
_COUNTED = (None, Failure.MODEL, Failure.TOOL)


@dataclass(frozen=True, slots=True)
class _Known:
    """What sampling needs of an episode, without its texts."""

    run_id: str
    episode_id: str
    task_id: str
    outcome: str
    counted: bool
    """It ended, and not by a fault of the machine or a service: it can be compared with others."""
    acts: int
    """Hash of everything that was done."""
    steps: tuple[int, ...]
    rules: _ByStep
    judge: _ByStep


class LabelRuns:
    """Several runs. Reads each log once for what sampling needs, and again when one of its episodes is shown."""

    def __init__(
        self,
        runs: Sequence[Path],
        *,
        pattern: str | None = None,
        masked: Iterable[str] = (),
        tick: Callable[[], object] = lambda: None,
    ) -> None:
        """With `pattern`, only tasks whose id matches it. `masked` are further names to black out in what is shown.

        `tick` is called for every episode read.
        """
        self._tick = tick
        self._folders: dict[tuple[str, str], Path] = {}
        self._known: list[_Known] = []
        self._masked = tuple(masked)
        for run in runs:
            self._read(run, pattern)
        self._by_name = {(known.run_id, known.episode_id): known for known in self._known}
        self._episode = lru_cache(_CACHED)(self._load)

    def _read(self, run: Path, pattern: str | None) -> None:
        judged = _judge_scores(run)
        for trajectory in read_trajectories(run):
            self._tick()
            header = trajectory.header
            if pattern is not None and not fnmatchcase(header.task_id, pattern):
                continue
            name = header.run_id, header.episode_id
            if name in self._folders:
                raise UsageError(f"{run} holds the episode {header.episode_id} of run {header.run_id} a second time")
            self._folders[name] = trajectory.folder or run
            self._known.append(_known(trajectory, judged.get(header.episode_id, {})))

    def steps(self) -> Iterator[Candidate]:
        """Every recorded step."""
        for known in self._known:
            for step in known.steps:
                item = StepItem.of(run_id=known.run_id, episode_id=known.episode_id, task_id=known.task_id, step=step)
                rules, judge = known.rules.get(step, {}), known.judge.get(step, {})
                yield Candidate(item=item, rules=rules, judge=judge, outcome=known.outcome)

    def pairs(self) -> Iterator[Candidate]:
        """Every two episodes of one task that did not do the very same."""
        tasks = defaultdict[str, list[_Known]](list)
        for known in self._known:
            if known.counted and known.steps:
                tasks[known.task_id].append(known)
        for task_id, several in tasks.items():
            for one, other in itertools.combinations(several, 2):
                if one.acts != other.acts:
                    yield _pair(task_id, one, other)

    def view(self, item: StepItem | PairItem, left: Side) -> View:
        """What an annotator sees of an item; of a pair, with the trajectory `left` on the left."""
        if isinstance(item, StepItem):
            return step_view(self._episode(item.run_id, item.episode_id), item.step)
        a, b = self._episode(item.run_a, item.episode_a), self._episode(item.run_b, item.episode_b)
        return pair_view(a, b) if left == "a" else pair_view(b, a)

    def texts(self, item: StepItem | PairItem, left: Side) -> dict[str, str] | None:
        """What an annotator sees as plain texts; None when the item is of another run."""
        return plain_texts(self.view(item, left)) if self.holds(item) else None

    def scores(self, item: StepItem | PairItem) -> _Scores:
        """The rules' scores of a step by criterion; empty for a pair, and for a step that is not here."""
        if not isinstance(item, StepItem):
            return {}
        known = self._by_name.get((item.run_id, item.episode_id))
        return known.rules.get(item.step, {}) if known is not None else {}

    def holds(self, item: StepItem | PairItem) -> bool:
        """Whether the episodes of an item are among these runs."""
        if isinstance(item, StepItem):
            return (item.run_id, item.episode_id) in self._folders
        return {(item.run_a, item.episode_a), (item.run_b, item.episode_b)} <= self._folders.keys()

    def _load(self, run_id: str, episode_id: str) -> Episode:
        trajectory = read_trajectory(self._folders[run_id, episode_id])
        header, task = trajectory.header, trajectory.start.task
        names = names_to_mask(header.agent, header.model, header.run_id, header.episode_id)
        return Episode(
            statement=str(task.get("problem_statement") or trajectory.start.observation),
            steps=trajectory.steps,
            patch=trajectory.patch.patch if trajectory.patch is not None else "",
            mask=Mask([*names, *self._masked]),
        )


def _known(trajectory: Trajectory, judge: _ByStep) -> _Known:
    header, end = trajectory.header, trajectory.end
    rewards = [reward for reward in trajectory.rewards if reward is not None]
    rules = {
        reward.step: {each.criterion: each.score for each in reward.criteria if each.score is not None}
        for reward in rewards
    }
    return _Known(
        run_id=header.run_id,
        episode_id=header.episode_id,
        task_id=header.task_id,
        outcome={True: "resolved", False: "unresolved", None: "not graded"}[trajectory.resolved],
        counted=end is not None and end.failure in _COUNTED,
        acts=hash(tuple(map(_act, trajectory.steps))),
        steps=tuple(step.index for step in trajectory.steps),
        rules=rules,
        judge=judge,
    )


def _act(step: Step) -> str:
    return step.action if step.tool is None else step.tool + json.dumps(dict(step.arguments), default=str)


def _pair(task_id: str, one: _Known, other: _Known) -> Candidate:
    item = PairItem.of(task_id, (one.run_id, one.episode_id), (other.run_id, other.episode_id))
    a, b = (one, other) if (item.run_a, item.episode_a) == (one.run_id, one.episode_id) else (other, one)
    outcome = " and ".join(sorted((a.outcome, b.outcome)))
    return Candidate(item=item, rules=_lead(a.rules, b.rules), judge=_lead(a.judge, b.judge), outcome=outcome)


def _lead(a: _ByStep, b: _ByStep) -> dict[str, float]:
    """By how much the mean of `a` leads that of `b` by each criterion: 0.5 is equal, 1 is a lead of one."""
    means = [
        {name: fmean(of) for name in CRITERIA if (of := [s[name] for s in each.values() if name in s])}
        for each in (a, b)
    ]
    return {name: (1 + means[0][name] - means[1][name]) / 2 for name in means[0].keys() & means[1].keys()}


def _judge_scores(run: Path) -> dict[str, dict[int, dict[str, float]]]:
    """By episode and step, the mean over the judges that scored the run; empty when none did."""
    collected = defaultdict[tuple[str, int, str], list[float]](list)
    for layer in scored_layers(run):
        for row in read_scores(run, layer) if layer.startswith(_JUDGE) else ():
            for name, told in row.criteria.items():
                if told.score is not None:
                    collected[row.episode_id, row.step, name].append(told.score)
    scores: dict[str, dict[int, dict[str, float]]] = {}
    for (episode, step, name), values in collected.items():
        scores.setdefault(episode, {}).setdefault(step, {})[name] = fmean(values)
    return scores
