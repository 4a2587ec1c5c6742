"""What a number of tasks and seeds can show.

A true gain g becomes significant with probability P(T > t_crit - g / SE): the usual approximation for a t test. A
task's measured difference varies by `between^2 + within^2 / k` with k episodes a side (a one-way random-effects model,
estimated by the analysis of variance: Searle, Casella & McCulloch 1992, Variance Components, chapter 3).
"""

from collections.abc import Sequence
from math import ceil, sqrt

import numpy as np

from ...extras import need
from .clusters import Clustered, Floats, below, quantile
from .config import GateConfig
from .report import Power

__all__ = ["SEEDS", "components", "needed_tasks", "power_of", "probability"]

SEEDS = (1, 2, 4, 8, 16)
"""Episodes a task for which the needed tasks are told."""
_USUAL = 0.03


def probability(gain: float, error: float, freedom: float, alpha: float) -> float:
    """The probability that a true gain lies significantly above 0."""
    if error == 0:
        return 1.0 if gain > 0 else 0.0
    return below(gain / error - quantile(1 - alpha / 2, freedom), freedom)


def needed_tasks(gain: float, variance: float, alpha: float, power: float) -> int:
    """Tasks whose differences vary by `variance` that make a true `gain` significant with probability `power`."""
    normal = need("scipy.stats", "power").norm
    tasks = max(3, ceil((normal.ppf(1 - alpha / 2) + normal.ppf(power)) ** 2 * variance / gain**2))
    while probability(gain, sqrt(variance / tasks), tasks - 1, alpha) < power:
        tasks += max(1, tasks // 200)
    return tasks


def components(pairs: Sequence[Floats]) -> tuple[float, float] | None:
    """Variance of the true difference from task to task, and of a single pair around it; None with one pair a task.

    `pairs` are the differences of each task's pairs.
    """
    several = [task for task in pairs if len(task) > 1]
    if not several or len(pairs) < 2:
        return None
    freedom = sum(len(task) - 1 for task in several)
    within = sum(float(((task - task.mean()) ** 2).sum()) for task in several) / freedom
    means = np.array([task.mean() for task in pairs])
    chance = within * float(np.mean([1 / len(task) for task in pairs]))
    return max(0.0, float(means.var(ddof=1)) - chance), within


def power_of(found: Clustered, pairs: Sequence[Floats], config: GateConfig) -> Power:
    """What `found`, the clustered mean of these pairs' differences, could have shown, and what more tasks would."""
    null = config.min_gain if config.rule == "exceeds_min_gain" else 0.0
    margin = config.min_gain or _USUAL
    freedom, alpha = found.freedom, config.alpha
    reach = quantile(1 - alpha / 2, freedom) + quantile(config.power, freedom)
    parts = components(pairs)
    total = found.error**2 * len(pairs)
    depth = float(np.mean([len(task) for task in pairs]))
    if parts is None or sum(parts) == 0:
        variances = {round(depth): total}
    else:
        # Clustered by repository, and with pseudo-tasks, the mean varies more than its components alone say.
        design = max(1.0, total / (parts[0] + parts[1] / depth))
        variances = {k: design * (parts[0] + parts[1] / k) for k in SEEDS}
    return Power(
        probability=config.power,
        detectable=min(1.0, null + reach * found.error),
        target=null + margin,
        at_target=probability(margin, found.error, freedom, alpha),
        between=None if parts is None else sqrt(parts[0]),
        within=None if parts is None else sqrt(parts[1]),
        tasks_needed={k: needed_tasks(margin, value, alpha, config.power) for k, value in variances.items()},
    )
