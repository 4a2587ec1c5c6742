"""The sections of an experiment's report that tell what its decisions rest on: tasks, power, data, cost, commands."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from ...page import Block, Cell, Code, Details, Heading, Table, Text
from ..experiment.model import StageRecord
from ..gate.show import points, power_sentence, share
from . import plots
from .collect import ArmResult, Collected, Data
from .families import family_rates
from .paths import Paths

__all__ = ["cost", "data", "families", "power", "reproduce", "stage_commands"]

Blocks = Iterator[Block]


def families(found: Collected) -> Blocks:
    """What each arm resolves of each family."""
    rates = family_rates(found)
    if not rates:
        return
    names = list(rates[0].rates)
    yield Heading("Families of tasks")
    yield plots.families(rates, names)
    rows = tuple((one.family, one.tasks, *(share(one.rates[name]) for name in names)) for one in rates)
    yield Table("Tasks resolved, all training seeds together", ("family", "tasks", *names), rows)
    yield Text("Families are many and small: what is seen in one of them is a hint, not a result.")


def power(found: Collected) -> Blocks:
    """What these tasks and seeds could show."""
    told = [(one, one.report.best) for one in found.gates if one.report is not None]
    if told:
        yield Heading("Power")
        rows = tuple(
            (
                one.name,
                points(best.power.detectable),
                f"{best.power.at_target:.0%}",
                ", ".join(f"{count} x {k}" for k, count in best.power.tasks_needed.items()),
            )
            for one, best in told
        )
        target, chance = told[0][1].power.target, told[0][1].power.probability
        columns = ("comparison", "detectable gain", f"chance to see {points(target)}", "tasks x seeds needed for that")
        yield Table("", columns, rows)
        yield Text(f"Detectable: found with a probability of {chance:.0%}. {power_sentence(told[0][1])}")


def data(found: Collected, paths: Paths) -> Blocks:
    """What was trained on, the control beside it, and every card."""
    if not found.data:
        return
    yield Heading("Data")
    columns = ("data", "seed", "kind", "rows", "episodes", "how it was chosen", "sha256", "card")
    yield Table("", columns, tuple(_data_row(one, paths) for one in found.data))
    control = found.experiment.control
    if control is not None and control.seeds:
        folders = [folder for one in control.seeds for folder in one.data]
        own = [one.record for one in found.data if one.record.folder in folders]
        rows = ", ".join(f"{one.rows} rows" + ("" if one.seed is None else f" (seed {one.seed})") for one in own)
        names = ", ".join(dict.fromkeys(one.name for one in own)) or "data of its own"
        yield Text(f"The control is {control.name}, trained on {names}{f': {rows}' if rows else ''}.")
    cards = {one.record.name: one for one in reversed(found.data) if one.card}
    for name, one in sorted(cards.items()):
        yield Details(f"Card of {name}", (Code(one.card or ""),))


def _data_row(one: Data, paths: Paths) -> tuple[Cell, ...]:
    record = one.record
    return (
        record.name,
        "all" if record.seed is None else record.seed,
        record.kind,
        record.rows,
        record.episodes,
        record.how,
        None if record.sha256 is None else record.sha256[:12],
        paths.link("card", f"{record.folder}/README.md") if one.card else None,
    )


def cost(found: Collected, paths: Paths) -> Blocks:
    """Time, tokens and money."""
    stages = found.experiment.stages
    if not stages:
        return
    yield Heading("Cost and time")
    yield plots.time_spent(_times(stages))
    total, known = (
        sum(one.seconds for one in stages),
        [one.cpu_seconds for one in stages if one.cpu_seconds is not None],
    )
    cpu = f", {sum(known) / 3600:.2f} CPU hours" if known else ""
    yield Text(f"{total / 3600:.2f} hours in {len(stages)} stages{cpu}.")
    rows = tuple(_cost_row(one) for one in found.arms)
    columns = ("arm", "seed", "training s", "tokens/s", "evaluation s", "tokens in", "tokens out", "USD")
    yield Table("Training and evaluation", columns, rows)
    curves = paths.loss_curves(found)
    if curves:
        yield plots.losses(curves)
    listed = tuple((one.name, f"{one.seconds:.0f}", _figures(one)) for one in stages)
    yield Details("Every stage", (Table("", ("stage", "seconds", "figures"), listed),))


def _cost_row(one: ArmResult) -> tuple[Cell, ...]:
    side, training = one.side, one.training
    seconds, speed = training.get("seconds"), training.get("tokens_per_second")
    return (
        one.arm.name,
        one.seed,
        None if seconds is None else f"{float(seconds):.0f}",
        None if speed is None else f"{float(speed):.0f}",
        None if side is None or side.wall_s is None else f"{side.wall_s:.0f}",
        None if side is None else side.input_tokens,
        None if side is None else side.output_tokens,
        None if side is None or side.cost_usd is None else f"{side.cost_usd:.2f}",
    )


def _times(stages: Sequence[StageRecord]) -> dict[str, dict[str, float]]:
    """Seconds by kind of stage, for each training seed and for what all share."""
    found: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    for one in stages:
        row = "shared" if one.seed is None else f"seed {one.seed}"
        found[row][_kind(one.name)] += one.seconds
    return {row: dict(kinds) for row, kinds in found.items()}


def _kind(stage: str) -> str:
    name = stage.rpartition("/")[2]
    known = {
        "eval": "evaluation",
        "rollouts": "rollouts",
        "demonstrations": "demonstrations",
        "tasks": "tasks",
        "data": "data",
        "gates": "gates",
    }
    return next((kind for begin, kind in known.items() if name.startswith(begin)), "training")


def _figures(one: StageRecord) -> str:
    told = ((name, value) for name, value in one.figures.items() if isinstance(value, int | float | str))
    return ", ".join(f"{name} {value}" for name, value in told)


def reproduce(found: Collected, paths: Paths) -> Blocks:
    """How to get all of it again, on what it was made."""
    experiment = found.experiment
    yield Heading("Reproduce")
    yield Code(experiment.command, "Everything")
    yield Code(f"trajhub report {paths.typed}", "This report")
    if stages := stage_commands(found):
        yield Details("Each stage alone", (Code(stages),))
    facts: Mapping[str, Any] = {**experiment.machine, **experiment.versions}
    yield Table("Made on", ("what", "value"), tuple((name, str(value)) for name, value in facts.items()))
    yield Details("Configuration", (Code(yaml.safe_dump(experiment.config, sort_keys=False, allow_unicode=True)),))


def stage_commands(found: Collected, kind: str = "") -> str:
    """The command lines of the stages whose names hold `kind`."""
    return "\n".join(one.command for one in found.experiment.stages if one.command and kind in one.name)
