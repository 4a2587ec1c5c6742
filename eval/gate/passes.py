"""pass@k and pass^k without bias: from c of n episodes that resolved a task to what k of them would have done."""

from collections.abc import Iterable, Sequence
from math import comb

from .report import PassRate

__all__ = ["depths", "pass_all", "pass_at", "pass_rates"]


def pass_at(resolved: int, episodes: int, k: int) -> float:
    """The probability that one of k episodes drawn from these resolves: 1 - C(n-c, k) / C(n, k).

    Chen et al. 2021 (arXiv:2107.03374), equation 1.
    """
    return 1 - comb(episodes - resolved, k) / comb(episodes, k)


def pass_all(resolved: int, episodes: int, k: int) -> float:
    """The probability that all of k episodes drawn from these resolve: C(c, k) / C(n, k).

    Yao et al. 2024 (arXiv:2406.12045), section 3, there called pass^k.
    """
    return comb(resolved, k) / comb(episodes, k)


def depths(episodes: int) -> tuple[int, ...]:
    """Which k to show for so many episodes a task: powers of 2, and all of them."""
    return tuple(sorted({2**power for power in range(episodes.bit_length()) if 2**power <= episodes} | {episodes}))


def pass_rates(tasks: Iterable[Sequence[tuple[int, int]]], episodes: int) -> tuple[PassRate, ...]:
    """Both for each k in `depths(episodes)`: the mean over tasks.

    A task is a sequence of (resolved, episodes), one for each model trained; attempts of different models are not
    mixed, and those with fewer than k episodes are left out.
    """
    groups = [list(task) for task in tasks]
    rates = list[PassRate]()
    for k in depths(episodes):
        enough = [[(c, n) for c, n in task if n >= k] for task in groups]
        kept = [task for task in enough if task]
        if kept:
            at = [sum(pass_at(c, n, k) for c, n in task) / len(task) for task in kept]
            every = [sum(pass_all(c, n, k) for c, n in task) / len(task) for task in kept]
            rates.append(PassRate(k=k, tasks=len(kept), at=sum(at) / len(at), all=sum(every) / len(every)))
    return tuple(rates)
