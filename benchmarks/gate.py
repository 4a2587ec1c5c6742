"""Is the gate calibrated? False GOs at the boundary, coverage and power on simulated outcomes with task clustering.

    python -m trajectory_hub.benchmarks.gate [--simulations 2000] [--seed 0] [--max-workers 2] [--json] [--results A B]

For each setting: the share of simulations that are GO although there is no gain, with any positive gain accepted
(`false GO`) and with the default floor of three points (`floor`); by the rule `exceeds_min_gain`, the share that are
GO although the true gain is exactly three points (`margin`); how often the 95% interval holds the true gain when it
is 0 and when it is 10 points; and how often a gain of 10 points is found, beside what the gate predicts. Then false
GOs among three candidates without a gain. `--results` compares two files of real verdicts as well. Ends with status 1
when a false rate is significantly above alpha, or coverage significantly under 93%.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from math import sqrt
from pathlib import Path

from ..console import table
from ..eval.gate.assess import Tested, assess
from ..eval.gate.clusters import Clustered
from ..eval.gate.config import GateConfig
from ..eval.gate.decide import compare, conditions
from ..eval.gate.permutation import holm
from ..eval.gate.power import probability
from ..eval.gate.show import sentence
from .gate_outcomes import SETTINGS, Setting, pairings

__all__ = ["Calibration", "families", "main", "measure"]

GAIN = 0.1
_ALPHA = 0.05
_LEAST = 0.93
_FLOOR = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What the gate does in one setting; shares of simulations."""

    setting: str
    cluster: str
    false_go: float
    floor: float
    margin: float
    covered_null: float
    covered_gain: float
    found: float
    predicted: float


def measure(setting: Setting, simulations: int, seed: int) -> Calibration:
    """Simulate a setting."""
    any_gain = GateConfig(min_gain=0, cluster=setting.cluster)  # pyright: ignore[reportArgumentType]
    strict = any_gain.model_copy(update={"rule": "exceeds_min_gain", "min_gain": _FLOOR})
    null = _tested(setting, 0.0, simulations, seed, any_gain)
    some = _tested(setting, GAIN, simulations, seed + 1, any_gain)
    edge = _tested(setting, _FLOOR, simulations, seed + 2, strict)
    return Calibration(
        setting=setting.name,
        cluster=null[0].cluster,
        false_go=_share([_go(one, any_gain) for one in null]),
        floor=_share([_go(one, GateConfig()) for one in null]),
        margin=_share([_go(one, strict) for one in edge]),
        covered_null=_share([_covers(one, 0.0) for one in null]),
        covered_gain=_share([_covers(one, GAIN) for one in some]),
        found=_share([_go(one, any_gain) for one in some]),
        predicted=sum(probability(GAIN, one.deciding.error, one.deciding.freedom, _ALPHA) for one in some) / len(some),
    )


def families(simulations: int, seed: int, candidates: int = 3) -> float:
    """How often at least one of several candidates without a gain is GO, against one base of 100 tasks."""
    setting, config = Setting(name="", tasks=100, seeds=2), GateConfig(min_gain=0)
    every = _tested(setting, 0.0, simulations * candidates, seed, config)
    wrong = list[bool]()
    for first in range(0, len(every), candidates):
        family = dict(zip("abcdef", every[first : first + candidates], strict=False))
        adjusted = holm({name: one.p_value for name, one in family.items()})
        wrong.append(any(_go(one, config, *adjusted[name]) for name, one in family.items()))
    return _share(wrong)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What is kept of one simulation."""

    gain: float
    deciding: Clustered
    p_value: float
    cluster: str


def _tested(setting: Setting, gain: float, simulations: int, seed: int, config: GateConfig) -> list[_Seen]:
    drawn = pairings(setting, gain, simulations, seed)
    return [_seen(assess(found, labels, setting.seeds, config)) for found, labels in drawn]


def _seen(found: Tested) -> _Seen:
    gain = float(found.pairing.differences.mean())
    return _Seen(gain=gain, deciding=found.deciding, p_value=found.p_value, cluster=found.cluster)


def _go(seen: _Seen, config: GateConfig, adjusted: float | None = None, left: int = 1) -> bool:
    """The gate's own decision."""
    level = 1 - _ALPHA / left
    p_value = seen.p_value if adjusted is None else adjusted
    return all(holds for holds, _ in conditions(seen.gain, seen.deciding.interval(level), p_value, level, config))


def _covers(seen: _Seen, gain: float) -> bool:
    low, high = seen.deciding.interval(1 - _ALPHA)
    return low <= gain <= high


def _share(values: Sequence[bool]) -> float:
    return sum(values) / len(values)


def _tolerance(share: float, simulations: int) -> float:
    """Three standard errors of a share."""
    return 3 * sqrt(share * (1 - share) / simulations)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-workers", type=int, default=2)
    parser.add_argument("--results", nargs=2, type=Path, metavar=("BASE", "CANDIDATE"))
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    began, count = time.monotonic(), given.simulations
    with ProcessPoolExecutor(given.max_workers) as pool:
        waiting = [pool.submit(measure, one, count, given.seed + 10 * n) for n, one in enumerate(SETTINGS)]
        family = pool.submit(families, count, given.seed + 7)
        found = [one.result() for one in waiting]
        among = family.result()
    print(f"{count} simulations a cell, {time.monotonic() - began:.0f} s", file=sys.stderr)
    if given.json:
        print(json.dumps({"settings": [asdict(one) for one in found], "three_candidates": among}, indent=2))
    else:
        _print(found, among, count)
    if given.results:
        _results(*given.results)
    return 0 if _calibrated(found, among, count) else 1


def _print(found: Sequence[Calibration], among: float, count: int) -> None:
    columns = ("setting", "cluster", "false GO", "floor", "margin", "covers 0", "covers +10", "found", "predicted")
    rows = [[v if isinstance(v, str) else f"{v:.1%}" for v in asdict(one).values()] for one in found]
    table(f"Gate, alpha 0.05, {count} simulations (+- {_tolerance(0.05, count):.1%})", columns, rows)
    print(f"At least one false GO among three candidates without a gain: {among:.1%}")


def _calibrated(found: Sequence[Calibration], among: float, count: int) -> bool:
    """Whether nothing is worse than chance explains. By task where repositories vary is shown to be wrong."""
    honest = [one for one in found if "by task" not in one.setting]
    rates = [among, *(rate for one in honest for rate in (one.false_go, one.floor, one.margin))]
    covered = [share for one in honest for share in (one.covered_null, one.covered_gain)]
    good = max(rates) <= _ALPHA + _tolerance(_ALPHA, count) and min(covered) >= _LEAST - _tolerance(_LEAST, count)
    if not good:
        print(f"NOT calibrated: worst false rate {max(rates):.1%}, least coverage {min(covered):.1%}", file=sys.stderr)
    return good


def _results(base: Path, candidate: Path) -> None:
    """Two real agents: what the gate says of the tasks that both were judged on."""
    import tempfile

    told = [json.loads(path.read_text()) for path in (base, candidate)]
    common = told[0].keys() & told[1].keys()
    print(
        f"{base.name} against {candidate.name}: {len(common)} tasks in both, {len(told[0].keys() ^ told[1].keys())} not"
    )
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / path.name for path in (base, candidate)]
        for path, one in zip(paths, told, strict=True):
            path.write_text(json.dumps({name: one[name] for name in sorted(common)}))
        for cluster in ("task", "repository"):
            report = compare([paths[0]], {candidate.name: [paths[1]]}, GateConfig(cluster=cluster))
            print(f"by {cluster}: {sentence(report)}")
            print(f"  {report.best.mcnemar}")


if __name__ == "__main__":
    sys.exit(main())
