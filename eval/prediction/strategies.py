"""Strategies: episodes that went alike, found from measures of the traces alone, outcomes unseen."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ...extras import need
from ...rollouts.steering.features import NAMES
from .data import Trace
from .metrics import Estimate, Resamples, estimate, ratio
from .problem import Floats
from .results import Strategies, Strategy

__all__ = ["find_strategies"]

_LEFT_OUT = frozenset(("reward_mean", "reward_last", *(n for n in NAMES if n.startswith("last_"))))
"""Opinions of rewards, and what only the last step says."""
_MOST_SILHOUETTE = 2_000
_MOST_AGGLOMERATIVE = 5_000
_HALVES = 8
_STABLE = 0.7
_MARKS = 5
Method = Literal["kmeans", "agglomerative"]


def find_strategies(
    traces: Sequence[Trace], *, method: Method = "kmeans", most: int = 8, seed: int = 0, resamples: int = 500
) -> Strategies:
    """Cluster whole episodes. The number of clusters has the best silhouette among those that halves agree on.

    Silhouette: Rousseeuw 1987, Journal of Computational and Applied Mathematics 20, 53-65; stability by agreement of
    clusterings: von Luxburg 2010, Foundations and Trends in Machine Learning 2, 235-274. Raises UsageError for fewer
    than 20 episodes.
    """
    chosen = [trace for trace in traces if trace.steps]
    if method == "agglomerative":
        chosen = chosen[:_MOST_AGGLOMERATIVE]
    if len(chosen) < 20:
        raise UsageError(f"strategies need 20 episodes with steps; there are {len(chosen)}")
    z, names = _measures(chosen)
    sizes = range(2, min(most, len(np.unique(z, axis=0)), len(chosen) // 5) + 1)
    if not sizes:
        raise UsageError("all episodes went alike: there is only one strategy")
    labels = {k: _cluster(z, k, method, seed) for k in sizes}
    silhouettes = {k: _silhouette(z, found, seed) for k, found in labels.items()}
    stabilities = {k: _stability(z, found, k, method, seed) for k, found in labels.items()}
    stable = [k for k in sizes if stabilities[k] >= _STABLE] or [max(sizes, key=lambda k: stabilities[k])]
    best = max(stable, key=lambda k: silhouettes[k])
    parts = [np.flatnonzero(labels[best] == number) for number in range(best)]
    parts = sorted((part for part in parts if len(part)), key=lambda part: -len(part))
    return Strategies(
        method=method,
        clusters=tuple(_describe(part, chosen, z, names, seed, resamples) for part in parts),
        silhouettes=silhouettes,
        stabilities=stabilities,
    )


def _measures(traces: Sequence[Trace]) -> tuple[Floats, list[str]]:
    """Standardised measures of whole episodes; one that is not known counts as the median."""
    x = np.array([trace.after(len(trace.steps)) for trace in traces])
    kept = [i for i, name in enumerate(NAMES) if name not in _LEFT_OUT and not np.isnan(x[:, i]).all()]
    x = x[:, kept]
    x = np.where(np.isnan(x), np.nanmedian(x, axis=0), x)
    varied = x.std(axis=0) > 1e-9
    x, names = x[:, varied], [NAMES[i] for i, keep in zip(kept, varied, strict=True) if keep]
    return (x - x.mean(axis=0)) / x.std(axis=0), names


def _cluster(z: Floats, k: int, method: Method, seed: int) -> NDArray[np.int64]:
    module = need("sklearn.cluster", "strategies", "trace")
    if method == "kmeans":
        return module.KMeans(k, n_init=5, random_state=seed).fit_predict(z)
    return module.AgglomerativeClustering(k, linkage="ward").fit_predict(z)


def _silhouette(z: Floats, labels: NDArray[np.int64], seed: int) -> float:
    metrics: Any = need("sklearn.metrics", "strategies", "trace")
    size = _MOST_SILHOUETTE if len(z) > _MOST_SILHOUETTE else None
    return float(metrics.silhouette_score(z, labels, sample_size=size, random_state=seed))


def _stability(z: Floats, labels: NDArray[np.int64], k: int, method: Method, seed: int) -> float:
    """How far clusterings of random halves agree with that of all."""
    metrics: Any = need("sklearn.metrics", "strategies", "trace")
    random = np.random.default_rng(seed)
    agreed = list[float]()
    for _ in range(_HALVES):
        half = random.permutation(len(z))[: len(z) // 2]
        agreed.append(float(metrics.adjusted_rand_score(labels[half], _cluster(z[half], k, method, seed))))
    return float(np.mean(agreed))


def _describe(
    part: NDArray[np.int64], traces: Sequence[Trace], z: Floats, names: Sequence[str], seed: int, resamples: int
) -> Strategy:
    middle = z[part].mean(axis=0)
    nearest = part[int(((z[part] - middle) ** 2).sum(axis=1).argmin())]
    members = [traces[int(i)] for i in part]
    order = np.argsort(-np.abs(middle), kind="stable")[:_MARKS]
    return Strategy(
        episodes=len(part),
        tasks=len({trace.task for trace in members}),
        resolved=_resolved(members, seed, resamples),
        steps=float(np.median([len(trace.steps) for trace in members])),
        marks={names[int(i)]: round(float(middle[i]), 3) for i in order},
        example=traces[int(nearest)].episode_id,
    )


def _resolved(members: Sequence[Trace], seed: int, resamples: int) -> Estimate | None:
    graded = [trace for trace in members if trace.resolved is not None]
    if not graded:
        return None
    number = {task: place for place, task in enumerate(sorted({trace.task for trace in graded}))}
    samples = Resamples(np.array([number[trace.task] for trace in graded]), resamples, seed)
    return estimate(ratio(samples, np.array([float(bool(trace.resolved)) for trace in graded])))
