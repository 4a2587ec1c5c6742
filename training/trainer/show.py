"""The first example as people can read it: what is learnt, and what is only read."""

from collections.abc import Iterator, Sequence
from typing import Any

from ...console import safe
from .examples import shown
from .prepare import Prepared
from .render import runs

__all__ = ["show"]

_MOST = 400


def show(prepared: Prepared, tokenizer: Any) -> str:
    """The example in stretches, each behind `learnt |` or `read |`, long ones shortened in the middle."""
    ids, mask = shown(prepared.first)
    name = prepared.first_row.get("task_id", "without a task id")
    lines = [f"First example ({safe(name)}): {len(ids):,} tokens, {sum(mask):,} of them learnt"]
    for start, end, learnt in _stretches(mask):
        text = safe(_shortened(tokenizer.decode(ids[start:end])), keep_newlines=True)
        head = "learnt" if learnt else "  read"
        for number, line in enumerate(text.split("\n")):
            lines.append(f"{head if not number else '      '} | {line}")
    return "\n".join(lines)


def _stretches(mask: Sequence[int]) -> Iterator[tuple[int, int, bool]]:
    position = 0
    for start, end in runs(mask):
        if position < start:
            yield position, start, False
        yield start, end, True
        position = end
    if position < len(mask):
        yield position, len(mask), False


def _shortened(text: str) -> str:
    if len(text) <= _MOST:
        return text
    half = _MOST // 2
    return f"{text[:half]} […{len(text) - _MOST:,} characters…] {text[-half:]}"
