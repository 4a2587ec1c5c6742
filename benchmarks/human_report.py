"""What `human_labels` measured, as tables."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ..console import table

__all__ = ["show"]

_FIGURES = ("relation", "label", "n", "positive", "by", "AUC agents", "each agent", "AP", "F1 agents", "AUC tasks",
            "F1 tasks")  # fmt: skip


def show(found: Mapping[str, Any]) -> None:
    """Print everything."""
    agents = ", ".join(f"{name} ({count})" for name, count in found["agents"].items())
    print(
        f"{found['trajectories']} trajectories of {agents}: {found['steps']} steps, scored by {found['rules_version']}"
    )
    _show_misfits(found["misfits"])
    columns = ("relation", "labels", "in equal situations", "pairs of them", "labelled alike", "by chance")
    table("How people labelled situations that are equal to the letter", columns, [
        (name, sum(told["labels"].values()), told["in_equal_situations"], told["equal_pairs"],
         _part(told["labelled_alike"]), _part(told["alike_by_chance"]))
        for name, told in found["relations"].items()
    ])  # fmt: skip
    for enough, title in ((True, "Labels with enough positives"), (False, "Labels with few positives")):
        table(title, _FIGURES, [row for label in found["labels"] if label["enough"] is enough for row in _rows(label)])


def _show_misfits(misfits: list[dict[str, Any]]) -> None:
    """Each file that is left out as a whole, and how many labels of others are."""
    whole = [misfit for misfit in misfits if not misfit["surplus"]]
    more = Counter[str]()
    for misfit in misfits:
        more[misfit["relation"]] += misfit["labels"] if misfit["surplus"] else 0
    rows = [(m["agent"], m["task"], m["relation"], m["labels"], m["why"]) for m in whole]
    rows += [
        ("all", "others", name, count, "after the last transition") for name, count in sorted(more.items()) if count
    ]
    table("Labels held against no step", ("agent", "task", "relation", "labels", "why"), rows)


def _rows(label: Mapping[str, Any]) -> list[tuple[object, ...]]:
    people = label["people"]
    rows: list[tuple[object, ...]] = [
        (
            *(label["relation"], label["label"], people["n"], people["positives"], "people", _part(people["auc"])),
            *["-"] * 5,
        )
    ]
    for by, told in label["scores"].items():
        agents, tasks = told["agents"], told["tasks"]
        each = " ".join(_part(value) for value in told["auc_by_agent"].values())
        rows.append((
            label["relation"], label["label"], label["n"], label["positives"], by, _with(agents, "auc"), each,
            _with(agents, "precision"), _with(agents, "f1"), _with(tasks, "auc"), _with(tasks, "f1"),
        ))  # fmt: skip
    return rows


def _part(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _with(told: Mapping[str, Any], name: str) -> str:
    """A figure with its interval."""
    value, interval = told[name], told[f"{name}_interval"]
    if value is None:
        return "-"
    return f"{value:.3f}" + (f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "")
