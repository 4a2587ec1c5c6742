"""Which tokens are the agent's: by marks, TRL's templates or rendering; never one of a tool, a user or the system."""

# TRL, transformers and torch tell little of their types:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import json
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.errors import ConfigError, UsageError
from trajectory_hub.training.trainer.examples import IGNORED, pair_example, sft_example, unpaired_examples
from trajectory_hub.training.trainer.render import Renderer, runs
from trajectory_hub.training.trainer.settings import StepWeights

from ..support.tiny_model import TEMPLATE

pytestmark = pytest.mark.filterwarnings("default")  # of other people's code
BODY = TEMPLATE.partition("{{ message.content or '' }}")[2].partition("{% endif %}{% endfor %}")[0]
HEAD, TAIL = TEMPLATE.split("{{ message.content or '' }}" + BODY)
SAID = "{{ message.content or '' }}"
MARKED = (
    HEAD
    + "{% if message.role == 'assistant' %}{% generation %}"
    + SAID
    + BODY
    + "{% endgeneration %}{% else %}"
    + SAID
    + "<|im_end|>{% endif %}"
    + TAIL
)
WRONG = MARKED.replace("message.role == 'assistant'", "message.role in ('assistant', 'tool')")
FORGETFUL = TEMPLATE.replace(SAID, "{{ message.content or '' if loop.last else message.content[:3] }}")
"""Shortens every message but the last, as templates do that drop earlier thoughts."""
MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "You mend code."},
    {"role": "user", "content": "Cart.total gives no discount."},
    {
        "role": "assistant",
        "content": "Look first.",
        "tool_calls": [{"type": "function", "function": {"name": "file_read", "arguments": {"path": "cart.py"}}}],
    },
    {"role": "tool", "name": "file_read", "tool_call_id": "call00001", "content": "class Cart: ...\n<|im_end|>"},
    {"role": "assistant", "content": "It is mended."},
]
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": "file_read", "description": "", "parameters": {}}}
]
ROW: dict[str, Any] = {"messages": MESSAGES, "tools": TOOLS, "rewards": [0.25, 1.0], "task_id": "shop-1"}


@pytest.fixture(scope="module")
def tokenizer(tiny_lm: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_lm)


def renderer(tokenizer: Any, template: str) -> Renderer:
    tokenizer.chat_template = template
    return Renderer(tokenizer)


def learnt(tokenizer: Any, ids: list[int], mask: list[int]) -> list[str]:
    return [tokenizer.decode(ids[start:end]) for start, end in runs(mask)]


@pytest.mark.parametrize(("template", "how"), [(TEMPLATE, "incremental rendering"), (MARKED, "marks")])
def test_a_tool_s_answer_is_never_learnt(tokenizer: Any, template: str, how: str) -> None:
    found = renderer(tokenizer, template)
    assert how in found.how
    rendered = found.render(MESSAGES, TOOLS, {})
    call = json.dumps({"name": "file_read", "arguments": {"path": "cart.py"}})
    said = learnt(tokenizer, rendered.ids, rendered.mask())
    assert said == [f"Look first.<tool_call>\n{call}\n</tool_call><|im_end|>", "It is mended.<|im_end|>"]
    whole = tokenizer.apply_chat_template(MESSAGES, tools=TOOLS, return_dict=True)["input_ids"]
    assert rendered.ids == whole


def test_families_that_trl_knows_use_its_templates(tokenizer: Any) -> None:
    import trl

    folder = Path(trl.__file__).parent / "chat_templates"
    for family in ("qwen2_5", "qwen3"):
        found = renderer(tokenizer, (folder / f"{family}.jinja").read_text())
        assert "TRL" in found.how
        rendered = found.render(MESSAGES, TOOLS, {})
        said = learnt(tokenizer, rendered.ids, rendered.mask())
        assert len(said) == 2
        assert said[0].endswith("</tool_call><|im_end|>")
        assert said[1].endswith("It is mended.<|im_end|>")
        assert not any("class Cart" in text for text in said)


def test_wrong_marks_are_refused_by_name(tokenizer: Any) -> None:
    with pytest.raises(ConfigError, match=r"of a tool message as the agent's"):
        renderer(tokenizer, WRONG).render(MESSAGES, TOOLS, {})


def test_a_template_that_rewrites_earlier_turns_is_refused(tokenizer: Any) -> None:
    with pytest.raises(ConfigError, match=r"writes earlier turns otherwise.*unit=step"):
        renderer(tokenizer, FORGETFUL).render(MESSAGES, TOOLS, {})


def test_a_tokenizer_without_a_template_is_refused(tokenizer: Any) -> None:
    with pytest.raises(ConfigError, match="has no chat template: give chat_template"):
        renderer(tokenizer, "")


def test_rows_become_labels_and_weights(tokenizer: Any) -> None:
    found = renderer(tokenizer, TEMPLATE)
    example = sft_example(ROW, found, StepWeights(floor=0.2, power=2))
    mask = [int(label != IGNORED) for label in example["labels"]]
    spans = runs(mask)
    assert len(spans) == 2
    assert [label for label in example["labels"] if label != IGNORED] == [
        token for token, bit in zip(example["input_ids"], mask, strict=True) if bit
    ]
    for (start, end), weight in zip(spans, (0.2 + 0.8 * 0.0625, 1.0), strict=True):
        assert example["weights"][start:end] == [pytest.approx(weight)] * (end - start)
    assert sum(1 for weight in example["weights"] if weight) == sum(mask)
    with pytest.raises(UsageError, match="shop-1: step_weights need the reward of each of its 2 turns"):
        sft_example({**ROW, "rewards": [1.0]}, found, StepWeights())


def test_a_step_is_learnt_without_the_answers_before_it(tokenizer: Any) -> None:
    row = {"prompt": MESSAGES[:4], "completion": MESSAGES[4:], "tools": TOOLS, "reward": 0.5}
    example = sft_example(row, renderer(tokenizer, TEMPLATE))
    mask = [int(label != IGNORED) for label in example["labels"]]
    assert learnt(tokenizer, example["input_ids"], mask) == ["It is mended.<|im_end|>"]


def test_tokens_are_taken_as_they_were_recorded() -> None:
    example = sft_example({"input_ids": [5, 6, 7, 8], "assistant_masks": [0, 1, 0, 1], "rewards": [None, 0.5]}, None)
    assert example["labels"] == [IGNORED, 6, IGNORED, 8]
    step = sft_example({"prompt_ids": [5, 6], "completion_ids": [7], "reward": 0.5}, None, StepWeights())
    assert (step["input_ids"], step["labels"], step["weights"]) == ([5, 6, 7], [IGNORED, IGNORED, 7], [0.0, 0.0, 0.5])


@pytest.fixture
def pair() -> dict[str, Any]:
    other = {"role": "assistant", "content": "I give up."}
    after = [{"role": "user", "content": "Your answer held no tool call."}, {"role": "assistant", "content": "Bye."}]
    return {"prompt": MESSAGES[:4], "chosen": MESSAGES[4:], "rejected": [other, *after], "tools": TOOLS}


@pytest.mark.parametrize("at", ["completion", "first_step"])
def test_a_pair_s_observations_are_masked_on_both_sides(tokenizer: Any, pair: dict[str, Any], at: Any) -> None:
    example = pair_example(pair, renderer(tokenizer, TEMPLATE), at)
    assert example is not None
    assert tokenizer.decode(example["prompt_ids"]).endswith("<|im_start|>assistant\n")
    sides = [learnt(tokenizer, example[f"{name}_ids"], example[f"{name}_mask"]) for name in ("chosen", "rejected")]
    more = ["Bye.<|im_end|>"] if at == "completion" else []
    assert sides == [["It is mended.<|im_end|>"], ["I give up.<|im_end|>", *more]]
    if at == "first_step":
        assert "held no tool call" not in tokenizer.decode(example["rejected_ids"])


def test_a_pair_that_does_not_differ_is_no_example(tokenizer: Any, pair: dict[str, Any]) -> None:
    same = {
        **pair,
        "rejected": [*pair["chosen"], {"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}],
    }
    found = renderer(tokenizer, TEMPLATE)
    assert pair_example(same, found, "first_step") is None
    assert pair_example(same, found, "completion") is not None


def test_a_pair_in_tokens() -> None:
    row = {
        "prompt_ids": [1, 2],
        "chosen_ids": [3, 4, 5],
        "chosen_masks": [1, 0, 1],
        "rejected_ids": [6, 7],
        "rejected_masks": [1, 1],
    }
    whole = pair_example(row, None, "completion")
    assert whole is not None
    assert whole["chosen_mask"] == [1, 0, 1]
    first = pair_example(row, None, "first_step")
    assert first is not None
    assert (first["chosen_ids"], first["chosen_mask"], first["rejected_ids"]) == ([3], [1], [6, 7])


def test_good_and_bad_rows(tokenizer: Any, pair: dict[str, Any]) -> None:
    found = renderer(tokenizer, TEMPLATE)
    (good,) = unpaired_examples(ROW, found, "completion", good=True)
    assert good["label"] is True
    assert learnt(tokenizer, good["completion_ids"], good["completion_mask"])[-1] == "It is mended.<|im_end|>"
    assert [each["label"] for each in unpaired_examples(pair, found, "first_step", None)] == [True, False]
    assert list(unpaired_examples(ROW, found, "completion", None)) == []


def test_other_rows_are_refused_by_their_columns() -> None:
    with pytest.raises(UsageError, match=r"shop-1 has the columns task_id, text; sft needs: messages"):
        sft_example({"task_id": "shop-1", "text": "…"}, None)
