"""A refitted rubric as a file that `load_config` reads."""

import yaml

from ..config import CriterionConfig, LayersConfig, LayerWeights, RubricConfig
from ..scores import CRITERIA
from .bootstrap import Floats
from .refit import LEAST
from .results import Refit

__all__ = ["refitted_rubric", "rubric_text"]

_DIGITS = 3


def refitted_rubric(rubric: RubricConfig, refit: Refit) -> RubricConfig:
    """The rubric with the refitted weights; what no label spoke about keeps its weight.

    The weights of the criteria add up to what they did, as do those of the fitted rules of each criterion.
    """
    weights = refit.learned.weights
    shares = _like(weights.criteria, refit.before.criteria)
    criteria = dict[str, CriterionConfig]()
    for name, share in zip(CRITERIA, shares, strict=True):
        if name not in rubric.criteria:
            continue
        given = rubric.criteria[name]
        rules = dict(given.rules)
        if name in weights.rules:
            fitted = _like(weights.rules[name], refit.before.rules[name])
            rules |= {rule: weight for rule, weight in zip(refit.rule_names[name], fitted, strict=True) if weight}
        criteria[name] = CriterionConfig(weight=share, rules=rules)
    return rubric.model_copy(update={"criteria": criteria, "layers": _layers(rubric.layers, refit)})


def _layers(given: LayersConfig, refit: Refit) -> LayersConfig:
    """With the fitted weights of rules and judge, where the runs have scores of one of each."""
    kinds = [name.partition("@")[0] for name in refit.layers]
    if sorted(kinds) != ["judge", "rules"]:
        return given
    criteria = {
        name: LayerWeights(
            **dict(zip(kinds, _like(refit.learned.weights.layers[name], refit.before.layers[name]), strict=True))
        )
        for name in CRITERIA
    }
    return given.model_copy(update={"criteria": criteria})


def _like(fitted: Floats, present: Floats) -> list[float]:
    """Fitted weights scaled to the sum of the present ones; what had weight keeps some."""
    scale = float(present.sum()) / max(float(fitted.sum()), 1e-12)
    return [
        max(round(float(new) * scale, _DIGITS), LEAST / 10) if old else 0.0
        for new, old in zip(fitted, present, strict=True)
    ]


def rubric_text(rubric: RubricConfig, origin: str) -> str:
    """The rubric as YAML; `origin` says in a line or more where it comes from."""
    head = "".join(f"# {line}\n" for line in origin.splitlines())
    return head + yaml.safe_dump(rubric.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
