"""How heavy a tail is: Pareto, log-normal and exponential laws above an estimated threshold, compared by likelihood.

After Clauset, Shalizi & Newman 2009 (SIAM Review 51, 661-703): the threshold x_min is the one whose Pareto tail lies
nearest the data (Kolmogorov-Smirnov distance), alpha = 1 + n / sum(ln(x / x_min)) (their equation 3.1), and laws are
compared on the same tail by Vuong's normalised log-likelihood ratio (their section 5, appendix C). That the better
law is a *good* one is not tested here: their bootstrap takes hours at these sizes.
"""

from math import erfc, isfinite, log, sqrt
from typing import Literal

import numpy as np

from ...extras import need
from .figures import Figures
from .statistics import Floats

__all__ = ["Comparison", "TailFit", "fit_tail", "log_normal_tail"]

_CANDIDATES = 200
"""Thresholds tried, evenly spaced among the ordered distinct values."""
_LEAST = 50
"""Observations a tail must hold."""
_SEARCHED = 50_000
"""Observations on which the threshold is searched; a random sample where there are more."""
_DECIDED = 0.1
"""Below this p, one law is said to be better (as Clauset et al. do)."""


class Comparison(Figures):
    """Vuong's test of the Pareto law against another on the same tail."""

    against: Literal["log-normal", "exponential"]
    ratio: float
    """Log-likelihood of the Pareto law less that of the other, over sqrt(n) times its deviation: normal when equal."""
    p: float
    """Two-sided; a small one means that the sign of `ratio` can be trusted."""
    better: str | None
    """The better law, or null where p is 0.1 or more."""


class TailFit(Figures):
    """Laws fitted to the values from x_min upward."""

    n: int
    """Positive observations."""
    searched: int
    """Of those, how many the threshold was searched on."""
    x_min: float
    tail: int
    """Observations from x_min upward; all of them are fitted."""
    alpha: float
    """Exponent of the Pareto density x^-alpha; the mean is infinite below 2, the variance below 3."""
    alpha_error: float
    """Standard error, (alpha - 1) / sqrt(tail)."""
    distance: float
    """Kolmogorov-Smirnov distance of the Pareto tail."""
    mu: float
    """Of the log-normal law truncated to the tail; ln of the unit."""
    sigma: float
    body_mu: float
    """Of a log-normal law of all positive observations: mean and deviation of ln x."""
    body_sigma: float
    body_distance: float
    """Kolmogorov-Smirnov distance of that law."""
    comparisons: tuple[Comparison, ...]


def fit_tail(values: Floats, *, seed: int = 0) -> TailFit | None:
    """Fit the tail of positive values; None with fewer than 50 of them, or where no threshold leaves 50.

    Zeros and negative values are left out.
    """
    x = np.sort(values[(values > 0) & np.isfinite(values)])
    if len(x) < _LEAST:
        return None
    searched = x
    if len(x) > _SEARCHED:
        searched = np.sort(np.random.default_rng(seed).choice(x, _SEARCHED, replace=False))
    threshold = _threshold(searched)
    if threshold is None:
        return None
    tail = x[np.searchsorted(x, threshold) :]
    alpha = _alpha(tail, threshold)
    mu, sigma = log_normal_tail(tail, threshold)
    logs = np.log(x)
    body_mu, body_sigma = float(logs.mean()), float(logs.std())
    return TailFit(
        n=len(x),
        searched=len(searched),
        x_min=threshold,
        tail=len(tail),
        alpha=alpha,
        alpha_error=(alpha - 1) / sqrt(len(tail)),
        distance=_distance(tail, threshold, alpha),
        mu=mu,
        sigma=sigma,
        body_mu=body_mu,
        body_sigma=body_sigma,
        body_distance=_normal_distance(logs, body_mu, body_sigma),
        comparisons=_compare(tail, threshold, alpha, mu, sigma),
    )


def log_normal_tail(tail: Floats, threshold: float) -> tuple[float, float]:
    """Most likely mu and sigma of a log-normal law truncated to the values from `threshold` upward.

    The likelihood needs only n, sum(ln x) and sum(ln^2 x), so that it costs nothing to evaluate.
    """
    logs = np.log(tail)
    count, first, second = len(tail), float(logs.sum()), float((logs**2).sum())
    normal, bound = need("scipy.special", "tail fits"), log(threshold)

    def cost(parameters: Floats) -> float:
        mu, sigma = float(parameters[0]), float(np.exp(parameters[1]))
        squares = second - 2 * mu * first + count * mu**2
        mass = float(normal.log_ndtr(-(bound - mu) / sigma))
        value = squares / (2 * sigma**2) + count * (log(sigma) + mass)
        return value / count if isfinite(value) else 1e18

    deviation = max(float(logs.std()), 1e-6)
    start = np.array([float(logs.mean()), log(deviation)])
    # A law whose bulk lies far below the threshold is a Pareto law in all but name: the search is kept near.
    limits = [(bound - 1000 * deviation - 10, float(logs.max()) + 1), (log(deviation) - 4, log(deviation) + 5)]
    found = need("scipy.optimize", "tail fits").minimize(cost, start, method="Nelder-Mead", bounds=limits)
    return float(found.x[0]), float(np.exp(found.x[1]))


def _threshold(x: Floats) -> float | None:
    """The candidate whose Pareto tail lies nearest the ordered values."""
    distinct = np.unique(x[: len(x) - _LEAST + 1])
    if not len(distinct):
        return None
    places = np.unique(np.linspace(0, len(distinct) - 1, min(_CANDIDATES, len(distinct))).astype(int))
    best, least = None, float("inf")
    for candidate in distinct[places]:
        tail = x[np.searchsorted(x, candidate) :]
        if tail[-1] == candidate:
            continue
        distance = _distance(tail, float(candidate), _alpha(tail, float(candidate)))
        if distance < least:
            best, least = float(candidate), distance
    return best


def _alpha(tail: Floats, threshold: float) -> float:
    return 1 + len(tail) / float(np.log(tail / threshold).sum())


def _distance(tail: Floats, threshold: float, alpha: float) -> float:
    """Largest gap between the ordered tail's distribution and the Pareto law's, on both sides of each step."""
    model = 1 - (tail / threshold) ** (1 - alpha)
    return _gap(model)


def _normal_distance(logs: Floats, mu: float, sigma: float) -> float:
    if sigma == 0:
        return 1.0
    return _gap(need("scipy.special", "tail fits").ndtr((logs - mu) / sigma))


def _gap(model: Floats) -> float:
    steps = np.arange(len(model) + 1) / len(model)
    return float(max(np.abs(steps[1:] - model).max(), np.abs(model - steps[:-1]).max()))


def _compare(tail: Floats, threshold: float, alpha: float, mu: float, sigma: float) -> tuple[Comparison, ...]:
    logs = np.log(tail)
    pareto = log(alpha - 1) - log(threshold) - alpha * (logs - log(threshold))
    mass = float(need("scipy.special", "tail fits").log_ndtr(-(log(threshold) - mu) / sigma))
    log_normal = -logs - log(sigma * sqrt(2 * np.pi)) - (logs - mu) ** 2 / (2 * sigma**2) - mass
    rate = 1 / (float(tail.mean()) - threshold)
    exponential = log(rate) - rate * (tail - threshold)
    return _vuong("log-normal", pareto - log_normal), _vuong("exponential", pareto - exponential)


def _vuong(against: Literal["log-normal", "exponential"], ratios: Floats) -> Comparison:
    """R / (sigma sqrt(n)) and its two-sided p (Vuong 1989)."""
    deviation = float(ratios.std())
    ratio = 0.0 if deviation == 0 else float(ratios.sum()) / (deviation * sqrt(len(ratios)))
    p = erfc(abs(ratio) / sqrt(2))
    better = None if p >= _DECIDED else "Pareto" if ratio > 0 else against
    return Comparison(against=against, ratio=ratio, p=p, better=better)
