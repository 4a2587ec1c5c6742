"""How often the intervals of a calibration cover the truth, and how long they take.

    python -m trajectory_hub.benchmarks.calibration [--simulations 1000]

Draws scores and labels whose correlation is known, in trajectories of eight steps that resemble each other (half of the
variance belongs to the trajectory), and counts how often the 95% interval holds the truth: once resampling
trajectories, as calibration does, once as if steps were independent.
"""

import argparse
import time

import numpy as np

from ..rewards.human.bootstrap import Floats, estimate
from ..rewards.human.correlation import Indices, correlate, pearson

__all__ = ["coverage", "main", "simulated"]

RHO = 0.6
SIZE = 8


def simulated(rng: np.random.Generator, trajectories: int, size: int = SIZE) -> tuple[Floats, Floats, Indices]:
    """Scores and labels with correlation `RHO`, and the trajectory of each."""
    covariance = [[1.0, RHO], [RHO, 1.0]]
    common = rng.multivariate_normal([0, 0], covariance, trajectories)[:, None]
    own = rng.multivariate_normal([0, 0], covariance, (trajectories, size))
    both = ((common + own) * np.sqrt(0.5)).reshape(-1, 2)
    return both[:, 0], both[:, 1], np.repeat(np.arange(trajectories), size)


def coverage(trajectories: int, simulations: int, *, clustered: bool, seed: int = 0) -> float:
    """Share of simulations whose interval holds the truth."""
    rng, hits = np.random.default_rng(seed), 0
    for number in range(simulations):
        scores, labels, groups = simulated(rng, trajectories)
        units = groups if clustered else np.arange(len(scores))
        count = int(units.max()) + 1
        found = estimate(
            pearson(scores, labels, units), count, scale="correlation", seed=number, undefined="", resamples=400
        )
        hits += found.low is not None and found.high is not None and found.low <= RHO <= found.high
    return hits / simulations


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=1000)
    simulations: int = parser.parse_args().simulations
    print("trajectories  covered, resampling trajectories  covered, resampling steps")
    for count in (5, 8, 15, 30):
        shares = [coverage(count, simulations, clustered=clustered) for clustered in (True, False)]
        print(f"{count:12}  {shares[0]:33.3f}  {shares[1]:25.3f}")
    for count in (60, 600):
        data = simulated(np.random.default_rng(0), count)
        begun = time.perf_counter()
        correlate(*data, seed=0)
        spent = time.perf_counter() - begun
        print(f"three coefficients with intervals, {count * SIZE} steps in {count} trajectories: {spent:.2f} s")


if __name__ == "__main__":
    main()
