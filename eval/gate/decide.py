"""From outcomes to a decision.

GO takes all of these, for each candidate:
1. the deciding p-value, the larger one of the clustered interval and of the sign-flip test, is at most alpha after
   Holm's correction over the candidates, and the gain is positive;
2. the measured gain reaches `min_gain` (or, by the rule `exceeds_min_gain`, the whole interval lies above it).

At the boundary of the null hypothesis, a true gain of 0, the first alone holds the rate of false GOs at alpha / 2:
both tests are two-sided, and only one side leads to GO. The second can only lower it.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from shlex import join

import numpy as np

from ... import __version__
from ...rollouts.events import now
from .assess import Tested, assess
from .cautions import cautions
from .changes import changes, repositories, repository_labels
from .comparable import check_comparable
from .config import GateConfig
from .outcomes import Outcomes, pair
from .permutation import holm, mcnemar
from .power import power_of
from .report import Comparison, GateReport, McNemar
from .sides import check_excluded, read_side, side_of
from .unusable import Unusable

__all__ = ["compare", "conditions", "gate"]


def gate(base: Sequence[Path], candidate: Sequence[Path], config: GateConfig | None = None) -> GateReport:
    """Compare the runs of a candidate with those of the base.

    Raises Unusable for input that no decision can rest on (missing, mismatched or tampered results), TooMuchExcluded
    when infrastructure spoilt too much, and UsageError for what is no run and no report.
    """
    return compare(base, {", ".join(path.name for path in candidate): candidate}, config)


def compare(
    base: Sequence[Path],
    candidates: Mapping[str, Sequence[Path]],
    config: GateConfig | None = None,
    *,
    each: Callable[[], None] = lambda: None,
) -> GateReport:
    """Compare several candidates with one base; the false-GO rate holds for all of them together.

    Raises as `gate` does. `each` is called for every episode read.
    """
    settled = config or GateConfig()
    ours = read_side(base, settled, each)
    theirs = {name: read_side(paths, settled, each) for name, paths in candidates.items()}
    every = [*ours, *(run for runs in theirs.values() for run in runs)]
    check_comparable(every, settled)
    check_excluded(every, settled)
    found = {name: _tested(ours, runs, settled) for name, runs in theirs.items()}
    adjusted = holm({name: tested.p_value for name, tested in found.items()})
    comparisons = [_comparison(name, ours, runs, found[name], adjusted[name], settled) for name, runs in theirs.items()]
    return GateReport(
        created=now().isoformat(timespec="seconds"),
        command=_command(base, candidates, settled),
        versions={"trajectory_hub": __version__, "python": sys.version.split()[0], "numpy": np.__version__},
        config=settled,
        decision="GO" if any(one.decision == "GO" for one in comparisons) else "NO-GO",
        base=side_of("base", ours, 1 - settled.alpha),
        candidates=tuple(comparisons),
        cautions=tuple(dict.fromkeys(cautions(every, comparisons, settled))),
    )


def _tested(ours: Sequence[Outcomes], theirs: Sequence[Outcomes], config: GateConfig) -> Tested:
    found = pair(ours, theirs)
    if len(found.tasks) < 2:
        raise Unusable(f"{theirs[0].path}: {len(found.tasks)} tasks have a pair that counts; a comparison needs two")
    counted = [sum(run.tally(task)[1] for run in runs for task in found.tasks) for runs in (ours, theirs)]
    return assess(found, repository_labels([*ours, *theirs], found), min(counted) / len(found.tasks), config)


def _comparison(
    name: str,
    ours: Sequence[Outcomes],
    theirs: Sequence[Outcomes],
    tested: Tested,
    corrected: tuple[float, int],
    config: GateConfig,
) -> Comparison:
    found, deciding = tested.pairing, tested.deciding
    adjusted, left = corrected
    level = 1 - config.alpha / left
    gain, interval = found.gain, deciding.interval(level)
    reasons = conditions(gain, interval, adjusted, level, config)
    gained, lost = changes(ours, theirs, found)
    better, worse = found.changed
    single = all(len(task) == 1 for task in found.pairs) and len(ours) == len(theirs) == 1
    return Comparison(
        side=side_of(name, theirs, 1 - config.alpha),
        decision="GO" if all(holds for holds, _ in reasons) else "NO-GO",
        reasons=tuple(f"{'yes' if holds else 'NO'}: {said}" for holds, said in reasons),
        gain=gain,
        interval=interval,
        level=level,
        cluster=tested.cluster,
        clusters=deciding.clusters,
        degrees_of_freedom=deciding.freedom,
        interval_by_task=tested.by_task.interval(level),
        interval_by_repository=None if tested.by_repository is None else tested.by_repository.interval(level),
        p_value=tested.p_value,
        p_interval=tested.p_interval,
        p_permutation=tested.p_permutation,
        permutation=tested.how,
        p_adjusted=adjusted,
        mcnemar=McNemar(gained=better, lost=worse, p_value=mcnemar(better, worse)) if single else None,
        tasks=len(found.tasks),
        pairs=found.count,
        pairs_dropped=found.dropped,
        pairs_gained=better,
        pairs_lost=worse,
        worst_case=pair(_judged(ours, True), _judged(theirs, False)).gain,
        by_run=tuple(pair(ours, [run]).gain for run in theirs),
        power=power_of(deciding, found.arrays, config),
        gained=gained,
        lost=lost,
        repositories=repositories(ours, theirs, found),
    )


def conditions(
    gain: float, interval: tuple[float, float], adjusted: float, level: float, config: GateConfig
) -> list[tuple[bool, str]]:
    """What a GO takes, and whether it is so."""
    margin = config.rule == "exceeds_min_gain"
    floor = config.min_gain if margin else 0.0
    low, high = interval
    found = [
        (low > floor, f"the {100 * level:.4g}% interval, {low:+.4f} to {high:+.4f}, lies above {floor:g}"),
        (adjusted <= config.alpha, f"both tests agree: p = {adjusted:.4g}, at most {config.alpha:g}"),
    ]
    if not margin:
        found.append((gain >= config.min_gain, f"the measured gain, {gain:+.4f}, is at least {config.min_gain:g}"))
    return found


def _judged(runs: Sequence[Outcomes], resolved: bool) -> list[Outcomes]:
    """The runs as if every episode counted, those that do not with that outcome."""
    return [
        replace(
            run,
            attempts={
                cell: each if each.excluded is None else replace(each, excluded=None, resolved=resolved)
                for cell, each in run.attempts.items()
            },
        )
        for run in runs
    ]


def _command(base: Sequence[Path], candidates: Mapping[str, Sequence[Path]], config: GateConfig) -> str:
    """The command line that compares the same again."""
    sides = [",".join(map(str, paths)) for paths in (base, *candidates.values())]
    default, options = GateConfig(), list[str]()
    for name, value in config.model_dump().items():
        option = f"--{name.replace('_', '-')}"
        if value == getattr(default, name):
            continue
        if name == "may_differ":
            options += [part for each in value for part in (option, each)]
        elif name == "seals":
            options += [part for run, seal in value.items() for part in ("--seal", f"{run}={seal}")]
        else:
            options += [option] if value is True else [option, str(value)]
    return join(["trajhub", "gate", *sides, *options])
