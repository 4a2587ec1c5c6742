"""What a label file holds, in figures."""

from collections import defaultdict
from statistics import median
from typing import Any

from .labels import PairAnswer, Save, StepAnswer
from .store import LabelStore

__all__ = ["overview"]


def overview(store: LabelStore) -> dict[str, Any]:
    """Figures of each annotator, and how many items are known, labelled, and labelled by more than one person."""
    history, holding = defaultdict[str, list[Save]](list), defaultdict[str, list[Save]](list)
    people = defaultdict[str, set[str]](set)
    for save in store.history():
        history[save.annotator].append(save)
    for save in store.holding():
        holding[save.annotator].append(save)
        people[save.item_id].add(save.annotator)
    return {
        "items": sum(1 for _ in store.items()),
        "labelled": len(people),
        "by several": sum(len(names) > 1 for names in people.values()),
        "annotators": [_figures(name, saves, holding[name]) for name, saves in sorted(history.items())],
    }


def _figures(name: str, history: list[Save], holding: list[Save]) -> dict[str, Any]:
    steps = [save.answer for save in holding if isinstance(save.answer, StepAnswer)]
    pairs = [save.answer for save in holding if isinstance(save.answer, PairAnswer)]
    values = [value for answer in steps for value in answer.values.values()]
    seconds = [save.seconds for save in holding if save.seconds is not None]
    sided = [answer for answer in pairs if answer.left is not None and answer.chosen != "tie"]
    return {
        "annotator": name,
        "steps": len(steps),
        "scores": sum(value is not None for value in values),
        "not applicable": sum(value is None for value in values),
        "pairs": len(pairs),
        "ties": sum(answer.chosen == "tie" for answer in pairs),
        "left": f"{sum(each.chosen == each.left for each in sided)} of {len(sided)}" if sided else None,
        "withdrawn": sum(save.withdrawn is not None for save in history),
        "median s": round(median(seconds), 1) if seconds else None,
        "last": max(save.created for save in history).isoformat(timespec="seconds"),
    }
