"""Copying practice: random tokens, then passages of them to be quoted. A model from scratch that skips it never quotes.

Each sequence is material, and after it quotations: a mark, the first tokens of a passage as its cue, and the rest of
the passage, which alone is in the loss. It begins with short sequences and goes on to longer ones as each is mastered,
and ends on the loss, not on a step count: when copying emerges depends on the seed.

Two things matter, in trials with a model of a million parameters. Sequences of 64 tokens from the start taught nothing
in 600 updates; from 24 on, everything up to 192 was mastered in 824. And material must repeat itself: after practice
with tokens out of the whole vocabulary, which hardly ever occur twice, demonstrations taught the names in them by
heart, and edits of files with other names applied in 3% of episodes.
"""

import json
import time
from collections import deque
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...errors import InfrastructureError
from .tiny import SPECIAL, import_transformers

__all__ = ["PracticeConfig", "practise"]

_MEAN_OF = 20
"""Updates whose mean loss decides."""
_MARK = SPECIAL.index("<tool_call>")
_CUE = 2
"""Tokens of a passage that tell which one is meant."""
_UNLEARNT = -100
"""What transformers leaves out of a loss."""


class PracticeConfig(BaseModel):
    """How long, and how hard."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    until: float = Field(default=0.3, gt=0)
    """Mean loss, of the longest sequences, at which it ends."""
    onward: float = Field(default=0.3, gt=0)
    """Mean loss at which the next length is taken up."""
    lengths: tuple[Annotated[int, Field(ge=12)], ...] = Field(default=(24, 48, 96, 192), min_length=1)
    """Tokens of a sequence, one length after another."""
    passage: tuple[Annotated[int, Field(gt=_CUE)], int] = (4, 28)
    """Least and most tokens of a quotation, cue included."""
    alphabet: int = Field(default=16, ge=2)
    """Least number of different tokens of a sequence; each sequence draws how many, and which."""
    tokens: int = Field(default=1536, ge=64)
    """Tokens of an update."""
    max_steps: int = Field(default=3000, ge=1)
    """Updates after which it is given up."""
    learning_rate: float = Field(default=3e-3, gt=0)
    warmup: int = Field(default=50, ge=1)
    bf16: bool = True
    """bfloat16 arithmetic, where this processor has it."""

    @model_validator(mode="after")
    def _least_comes_first(self) -> Self:
        if self.passage[0] > self.passage[1]:
            raise ValueError(f"passage: the least comes first, then the most, not {list(self.passage)}")
        return self


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
        drawn = _batch(rows, length, self._config, self._model.config.vocab_size, self._generator)
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


def _batch(rows: int, length: int, config: PracticeConfig, vocabulary: int, generator: Any) -> tuple[Any, Any]:
    """Token ids and labels, each (rows, length); what is not to be learnt is labelled -100."""
    import torch

    drawn = [_sequence(length, config, vocabulary, generator) for _ in range(rows)]
    ids, labels = (torch.tensor(part) for part in zip(*drawn, strict=True))
    return ids, labels


def _sequence(length: int, config: PracticeConfig, vocabulary: int, generator: Any) -> tuple[list[int], list[int]]:
    """Material, a third to two thirds of the whole, and as many quotations of it as there is room for."""
    import torch

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (1,), generator=generator))

    material = _material(draw(length // 3, 2 * length // 3), config.alphabet, vocabulary, generator)
    ids, labels = list(material), [_UNLEARNT] * len(material)
    while len(ids) < length:
        size = min(draw(*config.passage), len(material))
        first = draw(0, len(material) - size)
        passage = material[first : first + size]
        ids += [_MARK, *passage]
        labels += [_UNLEARNT] * (1 + _CUE) + passage[_CUE:]
    return ids[:length], labels[:length]


def _material(length: int, alphabet: int, vocabulary: int, generator: Any) -> list[int]:
    """Random tokens of a random part of the vocabulary, whose size is log-uniform from `alphabet` to all of it."""
    import torch

    every = vocabulary - len(SPECIAL)
    least = min(alphabet, every)
    size = round(least * (every / least) ** float(torch.rand(1, generator=generator)))
    letters = torch.randperm(every, generator=generator)[:size] + len(SPECIAL)
    drawn: Any = letters[torch.randint(size, (length,), generator=generator)]
    return drawn.tolist()
