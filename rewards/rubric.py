"""The rubric: weighted criteria, filled in by a layer, combined into the reward of a step and the score of an episode.

`Rubric(config).start(task)` gives a scorer; `scorer.score(step)` is called once for every step, in order.
"""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from ..envs.step import Step
from ..envs.task import Task
from ..errors import ConfigError
from .checks import assess
from .config import RubricConfig, RubricSource, load_config
from .episode import EpisodeTracker
from .facts import TaskFacts
from .history import History
from .interpret import interpret
from .layers import combination, combined_name
from .rules import RULES_VERSION, all_rules
from .rules.base import Finding, View
from .scores import CRITERIA, DIGITS, CriterionScore, Layer, LayerScorer, RuleScore, StepScore, rounded
from .shell import Kind
from .text import writable

__all__ = ["Rubric", "RuleLayer", "Scorer", "combined_score", "weighted_mean"]

_ADVANCE = 0.5
_NO_ADVANCE = 0.3
_Chosen = list[tuple[Callable[[View], Finding], str, float, bool]]


class RuleLayer:
    """The deterministic rules as a layer."""

    def __init__(self, config: RubricConfig) -> None:
        self.config = config
        self.name = f"rules@{RULES_VERSION}"
        self.rules = _chosen_rules(config)
        """For each kind of act, the rules that look at it."""

    def start(self, task: Task) -> "RuleScorer":
        """Begin an episode."""
        facts = TaskFacts.of(task, privileged=self.config.privileged)
        return RuleScorer(facts, self.rules, self.name)


class RuleScorer:
    """The rules at work on one episode."""

    def __init__(self, facts: TaskFacts, rules: Mapping[Kind, Mapping[str, _Chosen]], layer: str) -> None:
        self.history = History(facts)
        self._facts = facts
        self._rules = rules
        self._layer = layer

    def score(self, step: Step) -> dict[str, CriterionScore]:
        """Judge a step and take it into the history."""
        act = interpret(step, self._facts.workdir)
        check = assess(act, self.history)
        view = View(self._facts, self.history, act, check)
        found: dict[str, tuple[RuleScore, ...]] = {}
        decisive: tuple[str, str] | None = None
        for criterion, chosen in self._rules[act.kind].items():
            given: list[RuleScore] = []
            for judge, name, weight, decides in chosen:
                finding = judge(view)
                if finding is None:
                    continue
                score = round(finding[0], DIGITS)
                told = finding[1]
                given.append(RuleScore(name, score, weight, told if told.isascii() else writable(told)))
                if decides and score == 0.0 and decisive is None:
                    decisive = criterion, name
            found[criterion] = tuple(given)
        scores = {name: self._combine(name, found.get(name, ()), decisive) for name in CRITERIA}
        advanced = decisive is None and _advances(scores)
        self.history.record(act, check, advanced=advanced)
        return scores

    def _combine(
        self, criterion: str, rules: tuple[RuleScore, ...], decisive: tuple[str, str] | None
    ) -> CriterionScore:
        if decisive is not None:
            if decisive[0] == criterion:
                return CriterionScore(criterion, 0.0, self._layer, rules)
            return CriterionScore(criterion, None, self._layer, rules, decisive[1] if rules else None)
        total = gained = 0.0
        for _, score, weight, _ in rules:
            total += weight
            gained += weight * score
        mean = rounded(gained / total) if total else None
        return CriterionScore(criterion, mean, self._layer, rules)


class Scorer:
    """A rubric at work on one episode."""

    def __init__(self, config: RubricConfig, rules: RuleScorer, layer: LayerScorer | None) -> None:
        self._weights = config.weights
        self._rules = rules
        self._layer = layer
        self._combine = combination(config.layers)
        self._tracker = EpisodeTracker(config.episode)
        self.last: StepScore | None = None
        """The score of the last step."""

    def score(self, step: Step) -> StepScore:
        """Judge the next step of the episode."""
        criteria = self._rules.score(step)
        record: Mapping[str, Any] = {}
        if self._layer is not None:
            criteria = self._combine(criteria, self._layer.score(step))
            record = getattr(self._layer, "record", record)
        reward = weighted_mean(criteria, self._weights)
        process = self._tracker.update(reward or 0.0, self._rules.history)
        self.last = StepScore(step.index, reward or 0.0, criteria, process, record)
        return self.last


class Rubric:
    """Criteria with weights. Immutable; one object may score any number of episodes at once."""

    def __init__(self, config: RubricSource = None, layer: Layer | None = None) -> None:
        """With `layer`, its scores replace those of the rules in every criterion it returns, or are combined with them
        as `layers` of the configuration says. Without, the configuration's judge is the layer, where it has one to use.
        """
        self.config = load_config(config)
        self._rules = RuleLayer(self.config)
        self._layer = layer if layer is not None else _judge_layer(self.config)

    @property
    def version(self) -> str:
        """Provenance of its scores."""
        if self._layer is None:
            return self._rules.name
        if self.config.layers.combine == "rules":
            return f"{self._rules.name}+{self._layer.name}"
        return combined_name(self._rules.name, self._layer.name, self.config.layers)

    def start(self, task: Task) -> Scorer:
        """Begin an episode."""
        layer = self._layer.start(task) if self._layer is not None else None
        return Scorer(self.config, self._rules.start(task), layer)

    def score(self, task: Task, steps: Iterable[Step]) -> list[StepScore]:
        """Score a recorded trajectory."""
        scorer = self.start(task)
        return [scorer.score(step) for step in steps]

    def __deepcopy__(self, memo: dict[int, Any]) -> "Rubric":
        # Nothing in it changes, and a judge's connections cannot be copied.
        return self

    def close(self) -> None:
        """Close what its layer holds open, a judge's connections for example; may be called again."""
        close = getattr(self._layer, "close", None)
        if close is not None:
            close()


def _judge_layer(config: RubricConfig) -> Layer | None:
    if config.layers.combine == "rules" or config.judge is None:
        return None
    from .judge.asking import Judge  # it brings an HTTP client, which rules do not need
    from .judge.layer import JudgeLayer

    return JudgeLayer(Judge(config.judge))


def _advances(scores: Mapping[str, CriterionScore]) -> bool:
    """Whether a step brought the work on: a rule of goal progress says so, none denies it, and it is no repetition."""
    said = [rule.score for rule in scores["goal_progress"].rules if rule.rule != "keeps_moving"]
    new = [rule.score for rule in scores["non_redundancy"].rules if rule.rule != "thinks_something_new"]
    return bool(said) and max(said) >= _ADVANCE and min([*said, *new]) >= _NO_ADVANCE


def combined_score(config: RubricConfig, process: float, resolved: bool | None) -> float | None:
    """Process and outcome in one figure, by `outcome_weight`; None when it needs a verdict and there is none."""
    share = config.outcome_weight
    if share and resolved is None:
        return None
    return rounded((1 - share) * process + share * float(bool(resolved)))


def weighted_mean(criteria: Mapping[str, CriterionScore], weights: Mapping[str, float]) -> float | None:
    """Sum of w_i r_i over sum of w_i, over the criteria that have a score; None when none has."""
    total = gained = 0.0
    for name, weight in weights.items():
        score = criteria[name].score
        if score is not None:
            total += weight
            gained += weight * score
    return rounded(gained / total) if total else None


def _chosen_rules(config: RubricConfig) -> dict[Kind, dict[str, _Chosen]]:
    """For each kind of act, the rules that look at it and are switched on."""
    known = all_rules()
    _refuse_unknown(config.criteria, known, "criterion")
    for criterion, chosen in config.criteria.items():
        _refuse_unknown(chosen.rules, [item.name for item in known[criterion]], f"rule of {criterion}")
    table: dict[Kind, dict[str, _Chosen]] = {kind: {} for kind in Kind}
    for criterion in CRITERIA:
        chosen = config.criteria.get(criterion)
        weights: Mapping[str, float] = chosen.rules if chosen else {}
        for kind in Kind:
            table[kind][criterion] = [
                (item.judge, item.name, weights[item.name], item.decisive)
                for item in known[criterion]
                if kind in item.kinds and weights.get(item.name) and (config.privileged or not item.privileged)
            ]
    return table


def _refuse_unknown(names: Iterable[str], known: Iterable[str], what: str) -> None:
    choices = list(known)
    for name in names:
        if name not in choices:
            near = get_close_matches(name, choices, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(choices)}"
            raise ConfigError(f"the rubric names {name!r}, which is no {what}; {hint}")
