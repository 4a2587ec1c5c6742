"""The sign-flip test: were base and candidate the same, each task's difference could as well have had the other sign.

With one pair a task this is McNemar's exact test (McNemar 1947, Psychometrika 12, 153-157); with several it is
Fisher's randomisation test of the tasks' means (Fisher 1935, The Design of Experiments, section 21). It is exact for
any number of tasks, and says nothing where a task differs for reasons other than chance; the interval does.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

import numpy as np

from ...extras import need

__all__ = ["Flips", "holm", "mcnemar", "sign_flip"]

_STATES = 20_000
_CELLS = 4_000_000


@dataclass(frozen=True, slots=True)
class Flips:
    """A two-sided p-value."""

    p_value: float
    how: str
    """`exact`, or how many random flips it rests on."""


def sign_flip(scores: Sequence[Fraction], *, flips: int = 100_000, seed: int = 0) -> Flips:
    """How often random signs give a sum at least as far from 0 as that of `scores`."""
    scale = lcm(*(score.denominator for score in scores)) if scores else 1
    found = [int(score * scale) for score in scores if score]
    reach = sum(map(abs, found))
    if reach <= _STATES:
        return Flips(_exact(found), "exact")
    return Flips(_sampled(found, flips, seed), f"{flips} random flips")


def _exact(scores: Sequence[int]) -> float:
    """By the distribution of the sum of the positive ones: scores of one size are binomial, sizes are convolved."""
    binomial, chance = need("scipy.stats", "tests").binom, np.ones(1)
    for size, count in Counter(map(abs, scores)).items():
        lattice = np.zeros(size * count + 1)
        lattice[::size] = binomial.pmf(np.arange(count + 1), count, 0.5)
        chance = np.convolve(chance, lattice)
    reach = len(chance) - 1
    distance = np.abs(2 * np.arange(reach + 1) - reach)
    return min(1.0, float(chance[distance >= abs(sum(scores))].sum()))


def _sampled(scores: Sequence[int], flips: int, seed: int) -> float:
    """With one added to both counts, so that it is never 0 (Phipson & Smyth 2010, SAGMB 9, 39)."""
    random, sizes = np.random.default_rng(seed), np.array([abs(score) for score in scores], dtype=np.float64)
    seen, done, block = 0, 0, max(1, _CELLS // len(sizes))
    while done < flips:
        count = min(block, flips - done)
        sums = random.choice((-1.0, 1.0), size=(count, len(sizes))) @ sizes
        seen += int((np.abs(sums) >= abs(sum(scores)) - 1e-6).sum())
        done += count
    return (seen + 1) / (flips + 1)


def mcnemar(gained: int, lost: int) -> float:
    """McNemar's exact two-sided p-value: the pairs that differ, against a fair coin."""
    if not gained + lost:
        return 1.0
    return float(need("scipy.stats", "tests").binomtest(gained, gained + lost, 0.5).pvalue)


def holm(p_values: Mapping[str, float]) -> dict[str, tuple[float, int]]:
    """Holm's adjusted p-values (1979, Scandinavian Journal of Statistics 6, 65-70), and how many hypotheses are left
    at each one's turn: it is tested at alpha divided by that number, and no further after the first that is kept.
    """
    adjusted, worst = dict[str, tuple[float, int]](), 0.0
    for place, name in enumerate(sorted(p_values, key=lambda each: p_values[each])):
        left = len(p_values) - place
        worst = max(worst, min(1.0, left * p_values[name]))
        adjusted[name] = worst, left
    return {name: adjusted[name] for name in p_values}
