"""Copying practice: marked spans of random tokens, to be repeated. A model from scratch that skips it never quotes.

Each sequence is random tokens with a mark, a span, and later another mark and the span again; only the repetition is in
the loss. It begins with short sequences and goes on to longer ones as each is mastered. Both matter: in trials with a
model of a million parameters, spans without marks, or sequences of 64 tokens from the start, taught nothing in 600
updates; marked spans in sequences of 24 were copied after 400. It ends on the loss, not on a step count: when copying
emerges depends on the seed.
"""

import json
import time
from collections import deque
from pathlib import Path
from statistics import fmean
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ...errors import InfrastructureError
from .tiny import SPECIAL, import_transformers

__all__ = ["PracticeConfig", "practise"]

_MEAN_OF = 20
"""Updates whose mean loss decides."""
_MARKS = SPECIAL.index("<|im_start|>"), SPECIAL.index("<tool_call>")


class PracticeConfig(BaseModel):
    """How long, and how hard."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    until: float = Field(default=0.3, gt=0)
    """Mean loss, of the longest sequences, at which it ends."""
    onward: float = Field(default=0.3, gt=0)
    """Mean loss at which the next length is taken up."""
    lengths: tuple[int, ...] = Field(default=(24, 32, 48, 64, 96, 128), min_length=1)
    """Tokens of a sequence, one length after another."""
    span: tuple[int, int] = (3, 28)
    """Least and most tokens of a span; with the marks, at most half a sequence."""
    tokens: int = Field(default=1536, ge=64)
    """Tokens of an update."""
    max_steps: int = Field(default=3000, ge=1)
    """Updates after which it is given up."""
    learning_rate: float = Field(default=3e-3, gt=0)
    warmup: int = Field(default=50, ge=1)
    bf16: bool = True
    """bfloat16 arithmetic, where this processor has it."""


def practise(model: Path, output: Path, config: PracticeConfig, seed: int) -> dict[str, Any]:
    """Train a saved model until it copies, and save it; figures. Raises InfrastructureError when it never does."""
    transformers = import_transformers()
    loaded = transformers.AutoModelForCausalLM.from_pretrained(model)
    learner, began = _Learner(loaded, config, seed), time.monotonic()
    for length in config.lengths:
        learner.master(length, config.until if length == config.lengths[-1] else config.onward)
    loaded.save_pretrained(output)
    transformers.AutoTokenizer.from_pretrained(model).save_pretrained(output)
    (output / "losses.json").write_text(json.dumps([round(each, 4) for each in learner.losses]), encoding="utf-8")
    return {
        "steps": len(learner.losses),
        "loss": round(fmean(learner.losses[-_MEAN_OF:]), 4),
        "tokens": learner.tokens,
        "tokens_per_s": round(learner.tokens / (time.monotonic() - began)),
    }


class _Learner:
    """A model that practises, and what it has seen."""

    def __init__(self, model: Any, config: PracticeConfig, seed: int) -> None:
        import torch

        self.losses = list[float]()
        self.tokens = 0
        self._model, self._config = model, config
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        model.to(self._device).train()
        self._optimizer = torch.optim.AdamW(
            model.parameters(), lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.01
        )
        self._generator = torch.Generator().manual_seed(seed)

    def master(self, length: int, goal: float) -> None:
        """Practise with sequences of a length until the loss is below a goal."""
        recent = deque[float](maxlen=_MEAN_OF)
        while len(recent) < _MEAN_OF or fmean(recent) >= goal:
            if len(self.losses) >= self._config.max_steps:
                raise InfrastructureError(
                    f"after {len(self.losses)} updates of copying practice the loss is {self.losses[-1]:.2f} with "
                    f"sequences of {length} tokens, not under {goal}: give practice.max_steps more, or another seed"
                )
            recent.append(self._update(length))

    def _update(self, length: int) -> float:
        """One step of the optimizer; its loss."""
        import torch

        rate = self._config.learning_rate * min(1.0, (len(self.losses) + 1) / self._config.warmup)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        rows = max(1, self._config.tokens // length)
        drawn = _batch(rows, length, self._config.span, self._model.config.vocab_size, self._generator)
        ids, labels = (batch.to(self._device) for batch in drawn)
        with torch.autocast(self._device, dtype=torch.bfloat16, enabled=self._config.bf16):
            loss = self._model(input_ids=ids, labels=labels).loss
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self._optimizer.step()  # pyright: ignore[reportUnknownMemberType]
        self.losses.append(float(loss.item()))
        self.tokens += rows * length
        return self.losses[-1]


def _batch(rows: int, length: int, span: tuple[int, int], vocabulary: int, generator: Any) -> tuple[Any, Any]:
    """Token ids and labels, each (rows, length); what is not to be learnt is labelled -100."""
    import torch

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (1,), generator=generator))

    ids = torch.randint(len(SPECIAL), vocabulary, (rows, length), generator=generator)
    labels = torch.full((rows, length), -100)
    longest = length // 2 - 1
    for row in range(rows):
        size = draw(min(span[0], longest), min(span[1], longest))
        first = draw(0, length - 2 * size - 2)
        again = draw(first + size + 1, length - size - 1)
        ids[row, first], ids[row, again] = _MARKS
        repeated = slice(again + 1, again + 1 + size)
        ids[row, repeated] = ids[row, first + 1 : first + 1 + size]
        labels[row, repeated] = ids[row, repeated]
    return ids, labels
