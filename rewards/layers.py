"""Two layers become one: the rules, another layer (a judge), and how their scores are combined by configuration."""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import cast

from .config import LayersConfig, LayerWeights
from .rules import all_rules
from .scores import CRITERIA, CriterionScore, rounded

__all__ = ["Combination", "combination", "combined", "combined_name", "decisive_zero", "replaced"]

Scores = Mapping[str, CriterionScore]
Combination = Callable[[Scores, Scores], dict[str, CriterionScore]]
"""From the rules' scores of a step and those of another layer to the scores that count."""


def replaced(rules: Scores, other: Scores) -> dict[str, CriterionScore]:
    """The other layer's scores in place of the rules', in every criterion it returns."""
    return {**rules, **other}


def combination(config: LayersConfig) -> Combination:
    """How two layers are combined under `config`; `rules`, which has no second layer, lets one given replace them."""
    return replaced if config.combine == "rules" else partial(combined, config=config)


def combined(rules: Scores, judge: Scores, config: LayersConfig) -> dict[str, CriterionScore]:
    """The scores that count, each with what both layers say in `parts`."""
    if config.combine == "rules":
        return dict(rules)
    decisive = decisive_zero(rules) if config.veto else None
    return {name: _one(name, rules.get(name), judge.get(name), decisive, config) for name in CRITERIA}


def combined_name(rules: str, judge: str, config: LayersConfig) -> str:
    """Name of the layer that a combination is, for example `weighted(rules@1,judge@1:m)`."""
    if config.combine == "rules":
        return rules
    if config.combine == "judge" and not config.veto:
        return judge
    return f"{'veto-' if config.veto else ''}{config.combine}({rules},{judge})"


def decisive_zero(rules: Scores) -> str | None:
    """The decisive rule that found the step void, if one did."""
    known = _decisive()
    found = (given.rule for score in rules.values() for given in score.rules if given.score == 0 and given.weight)
    return next((rule for rule in found if rule in known), None)


@lru_cache(maxsize=1)
def _decisive() -> frozenset[str]:
    return frozenset(rule.name for rules in all_rules().values() for rule in rules if rule.decisive)


def _one(
    criterion: str,
    rules: CriterionScore | None,
    judge: CriterionScore | None,
    decisive: str | None,
    config: LayersConfig,
) -> CriterionScore:
    rules = rules or CriterionScore(criterion, None, "rules", reason="no rule applies")
    judge = judge or CriterionScore(criterion, None, "judge", reason="not asked about this criterion")
    name = combined_name(rules.layer, judge.layer, config)
    parts = (rules, judge)
    if decisive is not None:
        aside = decisive if rules.score is None else None
        return CriterionScore(criterion, rules.score, name, (), aside, f"veto of {decisive}", None, parts)
    if judge.score is None and config.missing == "none":
        return CriterionScore(criterion, None, name, reason=judge.reason, parts=parts)
    if config.combine == "judge":
        chosen = judge if judge.score is not None else rules
        return chosen._replace(layer=name if config.veto else chosen.layer, reason=chosen.evidence, parts=parts)
    weights = cast("Mapping[str, LayerWeights]", config.criteria).get(criterion, config.weights)
    return _weighted(criterion, name, ((rules, weights.rules), (judge, weights.judge)))


def _weighted(criterion: str, name: str, parts: tuple[tuple[CriterionScore, float], ...]) -> CriterionScore:
    """Sum of w_i s_i over sum of w_i, over the layers that give a score."""
    given = [(part, part.score, weight) for part, weight in parts if part.score is not None and weight]
    said = " | ".join(f"{part.layer} {score:g} x {weight:g}: {part.evidence}" for part, score, weight in given)
    total = sum(weight for _, _, weight in given)
    mean = rounded(sum(score * weight for _, score, weight in given) / total) if given else None
    spread = next((part.spread for part, _, _ in given if part.spread is not None), None)
    reason = said or "no layer gives a score"
    return CriterionScore(criterion, mean, name, reason=reason, spread=spread, parts=tuple(part for part, _ in parts))
