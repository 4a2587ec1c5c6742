"""The sections of an experiment's report that say what came out: summary, decisions, arms."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from statistics import stdev

from ...page import Badge, Block, Cell, Code, Details, Heading, Listing, Table, Text
from ..gate.report import PassRate
from ..gate.show import points, share
from . import plots
from .collect import ArmResult, Collected, Gated
from .evidence import stage_commands
from .paths import Paths

__all__ = ["arms", "decisions", "summary"]

Blocks = Iterator[Block]


def summary(found: Collected) -> Blocks:
    """What came out, one sentence for each comparison."""
    experiment = found.experiment
    if not experiment.finished:
        yield Text("This experiment is not finished; what follows is as far as it has come.", lead=True)
    for sentence in _verdicts(found.gates):
        yield Text(sentence, lead=True)
    tasks = next((one for one in experiment.tasks if one.name == experiment.evaluated_on), None)
    counted = "" if tasks is None else f" on {tasks.count} held-out tasks"
    seeds = ", ".join(map(str, experiment.seeds))
    yield Text(
        f"{len(experiment.arms)} arms, training seeds {seeds}, evaluated{counted}. "
        f"Begun {experiment.created[:16].replace('T', ' ')} UTC."
    )


def _verdicts(gates: Sequence[Gated]) -> Iterator[str]:
    """Candidate over base: how many training seeds are GO, and the gain over all of them."""
    groups: defaultdict[tuple[str, str], list[Gated]] = defaultdict(list)
    for one in gates:
        groups[one.record.candidate, one.record.base].append(one)
    for (candidate, base), own in groups.items():
        single = [one.record for one in own if one.record.seed is not None]
        told = list[str]()
        if single:
            won = sum(one.decision == "GO" for one in single)
            gained = ", ".join(points(one.gain) for one in single)
            told.append(f"GO in {won} of {len(single)} training seeds ({gained} points)")
        for record in (one.record for one in own if one.record.seed is None):
            low, high = (points(end) for end in record.interval)
            told.append(f"over all seeds {points(record.gain)} points [{low}, {high}], {record.decision}")
        yield f"{candidate} over {base}: {'; '.join(told)}."


def decisions(found: Collected, paths: Paths) -> Blocks:
    """Every gate, with what it was set up to show."""
    if not found.gates:
        return
    yield Heading("Decisions")
    config = next((one.report.config for one in found.gates if one.report is not None), None)
    floor = config.min_gain if config is not None else 0.0
    yield plots.gains(found.gates, floor)
    columns = ("comparison", "decision", "expected", "gain", "interval", "p", "gained", "lost", "tasks", "report")
    yield Table("", columns, tuple(_gate_row(one, paths) for one in found.gates))
    yield Text(
        "Gains are in points, paired by task and seed. Gained and lost: pairs in which only one side resolved the "
        "task. An experiment states beforehand what each gate should say; one that was expected to be NO-GO is a check."
    )
    if any(one.record.gained or one.record.lost for one in found.gates):
        yield plots.changed(found.gates)
    cautions = dict.fromkeys(text for one in found.gates if one.report for text in one.report.cautions)
    if cautions:
        yield Details(f"What to know before relying on this ({len(cautions)})", (Listing(tuple(cautions)),))
    commands = "\n".join(paths.told(one.report.command) for one in found.gates if one.report)
    yield Details("Reproduce the decisions", (Code(commands),))


def _gate_row(one: Gated, paths: Paths) -> tuple[Cell, ...]:
    record, low, high = one.record, *one.record.interval
    best = one.report.best if one.report is not None else None
    return (
        one.name,
        Badge(record.decision, record.decision == "GO"),
        record.expected if record.expected == record.decision else f"{record.expected} (not so)",
        points(record.gain),
        f"{points(low)} to {points(high)}",
        None if best is None else f"{best.p_adjusted:.2g}",
        record.gained,
        record.lost,
        None if best is None else best.tasks,
        paths.link("gate", record.report),
    )


def arms(found: Collected, paths: Paths) -> Blocks:
    """What each arm is, and what it resolves."""
    yield Heading("Arms")
    if any(one.side is not None for one in found.arms):
        yield plots.arms(found)
    columns = ("arm", "what it is", "role", "method", "starts from", "pass@1", "each seed", "sd", "not counted")
    yield Table("", columns, tuple(_arm_row(name, own) for name, own in found.by_arm.items() if own))
    deep = tuple(_pass_row(one, rate) for one in found.arms if one.side for rate in one.side.passes if rate.k > 1)
    if deep:
        yield Table("pass@k and pass^k", ("arm", "seed", "k", "pass@k", "pass^k"), deep)
    problems: defaultdict[str, list[str]] = defaultdict(list)
    for one in found.arms:
        if one.problem is not None:
            problems[one.problem].append(f"{one.arm.name} (seed {one.seed})")
    for problem, names in problems.items():
        yield Text(f"Without figures: {', '.join(names)}. {problem}")
    stages = stage_commands(found, "eval-")
    runs = tuple((one.arm.name, one.seed, *_run_links(one, paths)) for one in found.arms if one.outcomes)
    blocks: list[Block] = [Table("", ("arm", "seed", "evaluation", "training"), runs)] if runs else []
    blocks += [Code(stages)] if stages else []
    if blocks:
        yield Details("Runs, and the commands that reproduce these figures", tuple(blocks))


def _arm_row(name: str, own: Sequence[ArmResult]) -> tuple[Cell, ...]:
    arm, sides = own[0].arm, [one.side for one in own if one.side is not None]
    values = [side.pass_1.value for side in sides]
    excluded = sum(sum(side.excluded.values()) for side in sides)
    return (
        name,
        arm.title,
        arm.role,
        arm.method.upper(),
        arm.start,
        share(sum(values) / len(values)) if values else None,
        ", ".join(share(value) for value in values) or None,
        f"{100 * stdev(values):.1f}" if len(values) > 1 else None,
        excluded if sides else None,
    )


def _pass_row(one: ArmResult, rate: PassRate) -> tuple[Cell, ...]:
    return one.arm.name, one.seed, rate.k, share(rate.at), share(rate.all)


def _run_links(one: ArmResult, paths: Paths) -> tuple[Cell, Cell]:
    trained = one.arm.of(one.seed)
    return paths.link("run", trained.runs[0]), paths.link("training", trained.training) if trained.training else None
