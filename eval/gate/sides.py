"""One side of a comparison: its runs or reports, and what they come to."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from ...errors import UsageError
from ...rollouts.run_dir import MANIFEST
from .clusters import shrunk_mean
from .config import GateConfig
from .outcomes import Outcomes
from .passes import pass_rates
from .report import Rate, Side
from .reports import read_reports
from .runs import read_run
from .unusable import TooMuchExcluded

__all__ = ["check_excluded", "read_side", "side_of"]

_REPORT = "report.json"


def read_side(paths: Sequence[Path], config: GateConfig, each: Callable[[], None] = lambda: None) -> list[Outcomes]:
    """The outcomes behind the paths of one side.

    A folder with `run.json` is a run. Anything else is a report for one seed, `PREDICTIONS+REPORT` or `REPORT`. Raises
    UsageError for what is neither, and Unusable for what no decision can rest on.
    """
    runs = [path for path in paths if (path / MANIFEST).exists()]
    if runs and len(runs) < len(paths):
        other = next(path for path in paths if path not in runs)
        raise UsageError(f"{other} is not a run, while {runs[0]} is; a side is made of runs or of reports")
    if runs:
        return [read_run(path, config, each=each) for path in runs]
    if not paths:
        raise UsageError("a side needs at least one run or report")
    return [read_reports([_report(path) for path in paths])]


def _report(given: Path) -> tuple[Path, Path | None]:
    """The report, and the predictions it is about."""
    predictions, _, report = ("", "", str(given)) if given.exists() else str(given).rpartition("+")
    path = Path(report)
    if path.is_dir():
        path /= _REPORT
    if not path.is_file():
        raise UsageError(f"{given} is neither a run (it has no {MANIFEST}) nor a report; give {_meant(given)}")
    return path, Path(predictions) if predictions else None


def _meant(given: Path) -> str:
    """What to give instead: a run inside of the folder, where there is one."""
    inside = sorted(str(found.parent) for found in given.glob(f"*/{MANIFEST}"))
    if inside:
        return " or ".join(inside[:3])
    return "the folder that `trajhub eval` or `trajhub rollout --grade` wrote, or a report of the official harness"


def check_excluded(runs: Iterable[Outcomes], config: GateConfig) -> None:
    """Raise TooMuchExcluded when infrastructure spoilt more of a run than the configuration allows."""
    for run in runs:
        spoilt, every = sum(run.excluded.values()), len(run.attempts)
        if spoilt > config.max_excluded * every:
            blamed = ", ".join(f"{count} {name}" for name, count in sorted(run.excluded.items()))
            raise TooMuchExcluded(
                f"{run.path}: {spoilt} of {every} episodes do not count ({blamed}); at most "
                f"{config.max_excluded:.0%} may be missing for a decision. Mend the cause and resume the run, or say "
                "--max-excluded"
            )


def side_of(name: str, runs: Sequence[Outcomes], level: float) -> Side:
    """A side in figures."""
    excluded = sum((run.excluded for run in runs), Counter[str]())
    attempts = [each for run in runs for each in run.attempts.values()]
    episodes = max(len(run.seeds) for run in runs)
    tallies = {task: [run.tally(task) for run in runs] for task in runs[0].tasks}
    return Side(
        name=name,
        evidence=tuple(one for run in runs for one in run.evidence),
        tasks=len(tallies),
        seeds=sum(len(run.seeds) for run in runs),
        episodes=len(attempts),
        counted=len(attempts) - sum(excluded.values()),
        resolved=sum(each.resolved for each in attempts),
        excluded=dict(sorted(excluded.items())),
        pass_1=_rate(runs, level),
        passes=pass_rates(tallies.values(), episodes),
        by_run=tuple(_mean(_shares([run])) for run in runs),
        cost_usd=_sum([run.cost.usd for run in runs]),
        input_tokens=_whole([run.cost.input_tokens for run in runs]),
        output_tokens=_whole([run.cost.output_tokens for run in runs]),
        wall_s=_sum([run.cost.wall_s for run in runs]),
    )


def _shares(runs: Sequence[Outcomes]) -> list[float]:
    """Share of episodes resolved of each task that has one that counts, the runs of equal weight."""
    found = list[float]()
    for task in runs[0].tasks:
        shares = [resolved / counted for resolved, counted in (run.tally(task) for run in runs) if counted]
        if shares:
            found.append(_mean(shares))
    return found


def _rate(runs: Sequence[Outcomes], level: float) -> Rate:
    """pass@1, and its interval with tasks as clusters: two pseudo-tasks, one resolved and one not."""
    shares = np.array(_shares(runs))
    low, high = shrunk_mean(shares, None, (0.0, 1.0)).interval(level)
    return Rate(value=float(shares.mean()), low=max(0.0, low), high=high, level=level)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _whole(values: Sequence[int | None]) -> int | None:
    found = _sum(values)
    return None if found is None else int(found)
