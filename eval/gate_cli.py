"""`trajhub gate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import console
from ..errors import UsageError

if TYPE_CHECKING:
    from .gate.report import GateReport

__all__ = ["gate"]

_SIDE = "A run, or several separated by commas; or reports of another harness, one per seed: [PREDICTIONS+]REPORT."
_Texts = list[str]
Base = Annotated[str, typer.Argument(help=_SIDE)]
Candidates = Annotated[_Texts, typer.Argument(help="The same for each candidate.")]
MinGain = Annotated[float | None, typer.Option("--min-gain", help="Least gain worth having; 0.03 is three points.")]
Alpha = Annotated[
    float | None, typer.Option("--alpha", help="Highest rate of false GOs; intervals have level 1 - alpha.")
]
Rule = Annotated[
    str | None, typer.Option("--rule", help="excludes_zero | exceeds_min_gain: what the interval must lie above.")
]
Submitted = Annotated[bool, typer.Option("--submitted", help="Count as resolved only what the agent itself submitted.")]
Cluster = Annotated[str | None, typer.Option("--cluster", help="auto | task | repository.")]
Likely = Annotated[float | None, typer.Option("--power", help="Power at which a gain counts as detectable.")]
MaxExcluded = Annotated[
    float | None, typer.Option("--max-excluded", help="Highest share of episodes lost to infrastructure.")
]
MayDiffer = Annotated[
    _Texts | None, typer.Option("--may-differ", help="Setting in which runs may differ (glob); repeatable.")
]
Seal = Annotated[_Texts | None, typer.Option("--seal", help="RUN=SEAL: the seal published for a run; repeatable.")]
Unchained = Annotated[
    bool, typer.Option("--unchained", help="Accept logs of schema version 1.0, which carry no hash chain.")
]
Flips = Annotated[int | None, typer.Option("--flips", help="Random sign flips, where the exact test takes too long.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of random sign flips.")]
Limit = Annotated[int, typer.Option("--limit", min=0, help="Gained and lost tasks to show.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Folder for gate.json, gate.md and gate.html.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def gate(
    base: Base,
    candidates: Candidates,
    min_gain: MinGain = None,
    alpha: Alpha = None,
    rule: Rule = None,
    submitted: Submitted = False,
    cluster: Cluster = None,
    power: Likely = None,
    max_excluded: MaxExcluded = None,
    may_differ: MayDiffer = None,
    seal: Seal = None,
    unchained: Unchained = False,
    flips: Flips = None,
    seed: Seed = None,
    limit: Limit = 10,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Decide whether a candidate is better than the base. Exit 0 GO, 1 NO-GO, 2 or 3 when nothing can be decided."""
    from .gate import compare

    given: dict[str, Any] = {
        "min_gain": min_gain,
        "alpha": alpha,
        "rule": rule,
        "submitted": submitted or None,
        "cluster": cluster,
        "power": power,
        "max_excluded": max_excluded,
        "may_differ": tuple(may_differ or ()) or None,
        "seals": _seals(seal or []) or None,
        "unchained": unchained or None,
        "flips": flips,
        "seed": seed,
    }
    config = _config({name: value for name, value in given.items() if value is not None})
    sides = [_paths(side) for side in (base, *candidates)]
    named = dict(zip(_names(candidates), sides[1:], strict=True))
    with console.progress("Reading", _count(sides)) as tick:
        report = compare(sides[0], named, config, each=tick)
    _write(report, output)
    if as_json:
        console.emit_json(report.model_dump(mode="json"))
    else:
        _show(report, limit)
    console.next_steps(output or base, "trajhub runs show RUN --episode EPISODE   (why a task was lost)")
    if report.decision != "GO":
        raise typer.Exit(1)


def _config(given: dict[str, Any]) -> Any:
    from pydantic import ValidationError

    from .gate.config import GateConfig

    try:
        return GateConfig.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        option = "--" + ".".join(map(str, first["loc"])).replace("_", "-")
        raise UsageError(f"{option}: {first['msg']}") from None


def _paths(side: str) -> list[Path]:
    return [Path(part) for part in side.split(",") if part]


def _names(candidates: list[str]) -> list[str]:
    """Short names that tell the candidates apart: the last part of each path, or all of it."""
    short = [", ".join(path.name for path in _paths(one)) for one in candidates]
    if len(set(candidates)) < len(candidates):
        raise UsageError("a candidate is given twice")
    return short if len(set(short)) == len(short) and "base" not in short else candidates


def _seals(items: list[str]) -> dict[str, str]:
    pairs = [item.rpartition("=") for item in items]
    wrong = next((item for item, (run, _, _) in zip(items, pairs, strict=True) if not run), None)
    if wrong is not None:
        raise UsageError(f"--seal {wrong}: should be RUN=SEAL")
    return {run: seal for run, _, seal in pairs}


def _count(sides: list[list[Path]]) -> int:
    from ..rollouts.run_dir import EPISODES

    return sum(1 for side in sides for path in side for _ in path.glob(f"{EPISODES}/*"))


def _write(report: "GateReport", output: Path | None) -> None:
    if output is None:
        return
    from ..rollouts.files import write_texts
    from .gate.show import gate_page

    write_texts(output, gate_page(report).texts("gate") | {"gate.json": report.model_dump_json(indent=2) + "\n"})


def _show(report: "GateReport", limit: int) -> None:
    from .gate.show import power_sentence, sentence, tables

    for title, columns, rows in tables(report, limit=limit):
        if rows:
            console.table(title, columns, rows)
            print()
    for one in report.candidates:
        for reason in one.reasons:
            print(console.safe(f"{one.side.name}: {reason}"))
        print(console.safe(power_sentence(one)))
    for caution in report.cautions:
        print(console.safe(f"note: {caution}"))
    print(console.safe(sentence(report)))
