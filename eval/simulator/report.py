"""`simulation.md` and `simulation.html`."""

from collections.abc import Iterator

from ... import plotting
from ...page import Block, Code, Details, Drawing, Heading, Listing, Page, Table, Text
from .results import FIGURES, PolicyResult, SimulationReport

__all__ = ["page_of", "sentence"]

_SHOWN = ("completion_mean_s", "completion_p50_s", "completion_p95_s", "slowdown_mean", "hit_share")
_REST = ("queued_mean_s", "prefilled_tokens", "sessions_per_minute", "output_tokens_per_s", "evictions")

_DRAWN = (("completion_mean_s", "mean job completion time, s"), ("hit_share", "hit share"))


def page_of(report: SimulationReport) -> Page:
    """The report as data."""
    return Page("A serving cluster, simulated", tuple(_blocks(report)))


def sentence(one: PolicyResult, first: str) -> str:
    """How a policy compares with the first one."""
    change = one.over_first.get("completion_mean_s")
    if change is None:
        return f"{one.name}: not comparable with {first}"
    sure = "" if change.low is None or change.high is None else f" [{change.low:+.1%}, {change.high:+.1%}]"
    return f"{one.name}: mean job completion time {change.value:+.1%}{sure} against {first}"


def _blocks(report: SimulationReport) -> Iterator[Block]:
    first = report.policies[0].name
    drawn = f"{report.sessions} sessions of {report.requests} requests were read from {', '.join(report.sources)}."
    yield Text(drawn)
    if report.left_out:
        yield Listing(tuple(f"{count} sessions left out: {why}" for why, count in report.left_out.items()))
    yield Listing(tuple(sentence(one, first) for one in report.policies[1:]))
    yield Heading("Policies")
    for keys in (_SHOWN, _REST):
        rows = tuple((one.name, *(str(one.figures[key]) for key in keys)) for one in report.policies)
        yield Table("", ("policy", *(key.replace("_", " ") for key in keys)), rows)
    yield _drawing(report)
    yield Heading("What the figures are")
    yield Listing(tuple(f"{key.replace('_', ' ')}: {meaning}" for key, meaning in FIGURES.items()))
    yield Text(f"Intervals: Student's, 95%, over {report.seeds} seeds; all policies had the same arrivals.")
    yield Details("Configuration", (Code(report.config.model_dump_json(indent=2)),))


def _drawing(report: SimulationReport) -> Drawing:
    figure, axes = plotting.grid(1.2 + 0.42 * len(report.policies), columns=2, share=False)
    rows = range(len(report.policies))
    for place, (key, label) in enumerate(_DRAWN):
        values = [one.figures[key] for one in report.policies]
        axes[place].barh(rows, [one.value for one in values], color=plotting.colour(place), height=0.6, alpha=0.6)
        for row, one in zip(rows, values, strict=True):
            if one.low is not None:
                axes[place].plot([one.low, one.high], [row, row], color="#1c2024", linewidth=1.5)
        plotting.label_rows(axes[place], [one.name for one in report.policies] if place == 0 else [""] * len(values))
        axes[place].set(xlabel=label, xlim=(0, None))
    said = "; ".join(
        f"{one.name}: {one.figures['completion_mean_s']} s, hits {one.figures['hit_share']}" for one in report.policies
    )
    return Drawing("policies", plotting.svg(figure), said, "Each policy, with its interval over seeds.")
