"""What a reader should know before relying on a decision."""

from collections.abc import Iterator, Sequence
from statistics import stdev

from .comparable import told_differences
from .config import GateConfig
from .outcomes import Outcomes
from .report import Comparison

__all__ = ["cautions"]

_FEW = 30


def cautions(runs: Sequence[Outcomes], found: Sequence[Comparison], config: GateConfig) -> Iterator[str]:
    """Everything to be told, in sentences."""
    yield from _evidence(runs)
    yield from told_differences(runs, config)
    for one in found:
        yield from _of(one, config)


def _evidence(runs: Sequence[Outcomes]) -> Iterator[str]:
    evidence = [one for run in runs for one in run.evidence]
    if any(one.kind == "report" for one in evidence):
        yield (
            "These are reports: they carry no hash chain, no task digests, no environment and no grader, so nobody can "
            "tell from them that both sides were made under the same conditions. Runs can show it (`trajhub eval`)."
        )
    bare = [one.path for one in evidence if one.kind == "run" and not one.chained]
    if bare:
        yield f"The logs of {', '.join(bare)} carry no hash chain: changes to them cannot be seen."
    if any(run.about.get("canaries") is False for run in runs):
        yield "Verdicts were made without canaries, so a forged test report would have been believed."


def _of(one: Comparison, config: GateConfig) -> Iterator[str]:
    name = one.side.name
    least, needed = 2.0 ** (1 - one.clusters), 1 - one.level
    if least > needed:
        units = "tasks" if one.cluster == "task" else "repositories"
        yield (
            f"{name}: no outcome of {one.clusters} {units} can be GO, since the sign-flip test cannot go below "
            f"{least:.3g}, and has to reach {needed:.3g}."
        )
    elif one.tasks < _FEW:
        yield f"{name}: {one.tasks} tasks are few; only large gains can be seen, and these tasks are all it is about."
    if one.pairs_dropped:
        yield (
            f"{name}: {one.pairs_dropped} pairs were spoilt by infrastructure. Had the base resolved all of its own "
            f"and the candidate none, the gain would be {one.worst_case:+.1%}."
        )
    if len(one.by_run) > 1:
        yield (
            f"{name}: the interval is about these {len(one.by_run)} runs. Between runs the gain varies with a standard "
            f"deviation of {stdev(one.by_run):.1%}, which it does not hold."
        )
    other, units = one.interval_by_repository, "repositories"
    if one.cluster == "repository":
        other, units = one.interval_by_task, "tasks"
    if one.decision == "GO" and other is not None and other[0] <= 0:
        yield f"{name}: with {units} as clusters the interval is {other[0]:+.1%} to {other[1]:+.1%}, which holds 0."
    if one.decision == "NO-GO" and one.gain > 0 and one.power.at_target < config.power:
        yield (
            f"{name}: NO-GO does not show that there is no gain. A true gain of {one.power.target:.1%} would have been "
            f"found with a probability of {one.power.at_target:.0%}."
        )
