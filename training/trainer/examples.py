"""Rows of a data set as examples of an algorithm: token ids, and which of them are learnt."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from ...errors import UsageError
from ..trajectories.messages import Message
from .data import Row
from .render import Rendered, Renderer, runs
from .settings import StepWeights

__all__ = ["IGNORED", "Example", "pair_example", "sft_example", "shown", "unpaired_examples"]

Example = dict[str, Any]
At = Literal["first_step", "completion"]
IGNORED = -100
"""Label of a token that is not learnt."""
_FORMS = {
    "sft": "messages | prompt, completion | input_ids, assistant_masks",
    "dpo": "prompt, chosen, rejected | prompt_ids, chosen_ids, chosen_masks, rejected_ids, rejected_masks",
    "kto": "those of sft, or those of dpo",
}


def sft_example(row: Row, renderer: Renderer | None, weights: StepWeights | None = None) -> Example:
    """`input_ids` and `labels`; with `weights` also `weights`, one a token. Raises UsageError for other rows."""
    rendered, first = _trajectory(row, renderer)
    mask = rendered.mask(first)
    labels = [token if bit else IGNORED for token, bit in zip(rendered.ids, mask, strict=True)]
    example: Example = {"input_ids": rendered.ids, "labels": labels}
    if weights is not None:
        example["weights"] = _weights(row, rendered, first, weights)
    return example


def pair_example(row: Row, renderer: Renderer | None, at: At) -> Example | None:
    """`prompt_ids`, and ids and mask of both sides; None when nothing differs. Raises UsageError for other rows."""
    if "chosen_ids" in row:
        prompt: list[int] = list(row["prompt_ids"])
        sides = [
            Rendered([*prompt, *row[f"{side}_ids"]], _shifted(row[f"{side}_masks"], len(prompt))) for side in _SIDES
        ]
        firsts = [0, 0]
    elif "chosen" in row and "rejected" in row:
        messages = [_completion(row, side, at) for side in _SIDES]
        sides = [_rendered(each, row, renderer) for each in messages]
        firsts = [_answers(row["prompt"])] * 2
    else:
        raise _other(row, "dpo")
    if at == "first_step":
        sides = [_first_turn(side, first) for side, first in zip(sides, firsts, strict=True)]
    return _paired(sides, firsts)


_SIDES = ("chosen", "rejected")


def _paired(sides: Sequence[Rendered], firsts: Sequence[int]) -> Example | None:
    chosen, rejected = sides
    if chosen.ids == rejected.ids:
        return None
    masks = chosen.mask(firsts[0]), rejected.mask(firsts[1])
    shared = 0
    for one, other, bit, bit_other in zip(chosen.ids, rejected.ids, *masks, strict=False):
        if one != other or bit or bit_other:
            break
        shared += 1
    return {
        "prompt_ids": chosen.ids[:shared],
        "chosen_ids": chosen.ids[shared:],
        "chosen_mask": masks[0][shared:],
        "rejected_ids": rejected.ids[shared:],
        "rejected_mask": masks[1][shared:],
    }


def unpaired_examples(row: Row, renderer: Renderer | None, at: At, good: bool | None) -> Iterator[Example]:
    """`prompt_ids`, `completion_ids`, `completion_mask` and `label`: of a pair both sides, else the row as `good` says.

    None of `good`: nobody knows, and the row is left out. Raises UsageError for other rows.
    """
    if "chosen" in row or "chosen_ids" in row:
        pair = pair_example(row, renderer, at)
        if pair is not None:
            yield from (_one_side(pair, side) for side in _SIDES)
    elif good is not None:
        rendered, first = _trajectory(row, renderer)
        start = rendered.spans[first][0]
        mask = rendered.mask(first)
        yield {
            "prompt_ids": rendered.ids[:start],
            "completion_ids": rendered.ids[start:],
            "completion_mask": mask[start:],
            "label": good,
        }


def _one_side(pair: Example, side: str) -> Example:
    return {
        "prompt_ids": pair["prompt_ids"],
        "completion_ids": pair[f"{side}_ids"],
        "completion_mask": pair[f"{side}_mask"],
        "label": side == "chosen",
    }


def shown(example: Example) -> tuple[list[int], list[int]]:
    """The ids of an example (of a pair: of its chosen side) and which of them are learnt."""
    if "input_ids" in example:
        return example["input_ids"], [int(label != IGNORED) for label in example["labels"]]
    side = "chosen" if "chosen_ids" in example else "completion"
    prompt: list[int] = example["prompt_ids"]
    return [*prompt, *example[f"{side}_ids"]], [0] * len(prompt) + list(example[f"{side}_mask"])


def _trajectory(row: Row, renderer: Renderer | None) -> tuple[Rendered, int]:
    """A row of one conversation, and its first turn that is learnt."""
    if "input_ids" in row:
        mask: Sequence[int] = row["assistant_masks"]
        rendered, first = Rendered(list(row["input_ids"]), runs(mask)), 0
    elif "completion_ids" in row:
        prompt, completion = list(row["prompt_ids"]), list(row["completion_ids"])
        rendered, first = Rendered(prompt + completion, ((len(prompt), len(prompt) + len(completion)),)), 0
    elif "messages" in row:
        rendered, first = _rendered(row["messages"], row, renderer), 0
    elif "completion" in row:
        first = _answers(row["prompt"])
        rendered = _rendered([*row["prompt"], *row["completion"]], row, renderer)
    else:
        raise _other(row, "sft")
    if len(rendered.spans) <= first:
        raise UsageError(f"{_name(row)}: the agent said nothing in it")
    return rendered, first


def _rendered(messages: Sequence[Message], row: Row, renderer: Renderer | None) -> Rendered:
    if renderer is None:
        raise UsageError(f"{_name(row)} is no row in token form, as others of the data are")
    kwargs: Mapping[str, Any] = row.get("chat_template_kwargs") or {}
    return renderer.render(messages, row.get("tools") or (), kwargs)


def _completion(row: Row, side: str, at: At) -> list[Message]:
    """Prompt and one side, up to where it is compared."""
    messages: Sequence[Message] = row[side]
    return [*row["prompt"], *(messages[:1] if at == "first_step" else messages)]


def _first_turn(rendered: Rendered, first: int) -> Rendered:
    """Up to the end of the turn `first`."""
    return Rendered(rendered.ids[: rendered.spans[first][1]], rendered.spans[: first + 1])


def _shifted(mask: Sequence[int], by: int) -> tuple[tuple[int, int], ...]:
    return tuple((start + by, end + by) for start, end in runs(mask))


def _answers(messages: Sequence[Message]) -> int:
    return sum(message["role"] == "assistant" for message in messages)


def _weights(row: Row, rendered: Rendered, first: int, weights: StepWeights) -> list[float]:
    """One a token; 0 for tokens that are not learnt."""
    turns = rendered.spans[first:]
    rewards: Sequence[float | None] | None = row.get("rewards")
    if rewards is None and "reward" in row:
        rewards = [row["reward"]]
    if rewards is None or len(rewards) != len(turns):
        raise UsageError(
            f"{_name(row)}: step_weights need the reward of each of its {len(turns)} turns "
            f"({'there is no column rewards' if rewards is None else f'there are {len(rewards)}'}); export it anew"
        )
    found = [0.0] * len(rendered.ids)
    for (start, end), reward in zip(turns, rewards, strict=True):
        found[start:end] = [weights.weight(reward)] * (end - start)
    return found


def _name(row: Row) -> str:
    episode = row.get("episode_id") or row.get("pair_id")
    return f"row of {row.get('task_id', 'an unnamed task')}" + (f" ({episode})" if episode else "")


def _other(row: Row, algorithm: str) -> UsageError:
    return UsageError(f"{_name(row)} has the columns {', '.join(sorted(row))}; {algorithm} needs: {_FORMS[algorithm]}")
