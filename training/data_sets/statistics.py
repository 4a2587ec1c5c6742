"""What a data set holds, in figures. Everything follows from the rows, so the same rows give the same figures."""

from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from ..trajectories.messages import characters

__all__ = ["Statistics", "describe"]

_COUNTED = ("task_id", "repo", "agent", "model", "resolved", "level", "reason", "basis")
_MEASURED = ("steps", "process_score", "reward", "margin", "confidence", "chosen_rollouts", "rejected_rollouts")
_CONVERSATIONS = ("messages", "prompt", "completion", "chosen", "rejected")
_TOKENS = ("input_ids", "prompt_ids", "completion_ids", "chosen_ids", "rejected_ids")
_SHOWN = 50


def describe(values: Sequence[float]) -> dict[str, float] | None:
    """Count, least, mean, median, 95th percentile and most; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)

    def at(share: float) -> float:
        return round(ordered[min(int(share * len(ordered)), len(ordered) - 1)], 6)

    return {
        "count": len(ordered),
        "min": round(ordered[0], 6),
        "mean": round(fmean(ordered), 6),
        "median": at(0.5),
        "p95": at(0.95),
        "max": round(ordered[-1], 6),
    }


class Statistics:
    """Takes rows one at a time; eight bytes a figure are kept, and no text."""

    def __init__(self) -> None:
        self.rows = 0
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._values: defaultdict[str, array[float]] = defaultdict(lambda: array("d"))

    def add(self, row: Mapping[str, Any]) -> None:
        """Take a row into account."""
        self.rows += 1
        for name in _COUNTED:
            if name in row:
                self._counts[name][str(row[name])] += 1
        self._counts["layer"].update(row.get("layers", ()))
        for name in _MEASURED:
            if row.get(name) is not None:
                self._values[name].append(row[name])
        for name in _TOKENS:
            if name in row:
                self._values[name.replace("_ids", "_tokens")].append(len(row[name]))
        for name in _CONVERSATIONS:
            if name in row:
                self._conversation(name, row[name])

    def _conversation(self, name: str, messages: Sequence[Mapping[str, Any]]) -> None:
        self._values[f"{name}_characters"].append(characters(messages))
        self._values[f"{name}_messages"].append(len(messages))
        if name != "prompt":
            self._counts["tool_calls"].update(
                call["function"]["name"] for message in messages for call in message.get("tool_calls", ())
            )

    @property
    def tasks(self) -> Counter[str]:
        """Rows by task."""
        return self._counts["task_id"]

    def as_dict(self) -> dict[str, Any]:
        """For JSON. Of tasks and repositories only how many there are, and the most frequent ones."""
        found: dict[str, Any] = {"rows": self.rows}
        for name in ("task_id", "repo"):
            found[f"distinct_{name}"] = len(self._counts[name])
        found["counts"] = {name: _most(counter) for name, counter in sorted(self._counts.items()) if counter}
        found["values"] = {name: describe(values) for name, values in sorted(self._values.items())}
        return found


def _most(counter: Counter[str]) -> dict[str, int]:
    """The most frequent, ties by name."""
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN])
