"""Copying practice: random spans, to be repeated. A model from scratch that skips it never learns to quote code.

Each sequence is a span of random tokens, of a length of its own, repeated until the sequence is full; everything after
the first token of the first repetition is in the loss. Stopped on that loss, not on a step count: when copying emerges
depends on the seed.
"""

import json
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ...errors import InfrastructureError
from .tiny import import_transformers

__all__ = ["PracticeConfig", "practise"]

_MEAN_OF = 20
"""Updates whose mean loss decides."""


class PracticeConfig(BaseModel):
    """How long, and how hard."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    until: float = Field(default=0.1, gt=0)
    """Mean loss at which it ends."""
    max_steps: int = Field(default=3000, ge=1)
    """Updates after which it is given up."""
    min_steps: int = Field(default=200, ge=0)
    batch_size: int = Field(default=32, ge=1)
    span: tuple[int, int] = (4, 32)
    """Least and most tokens of a span; at most half a sequence."""
    length: int = Field(default=64, ge=32)
    """Tokens of a sequence."""
    learning_rate: float = Field(default=4e-3, gt=0)
    warmup: int = Field(default=50, ge=1)
    bf16: bool = True
    """bfloat16 arithmetic, where this processor has it."""


def practise(model: Path, output: Path, config: PracticeConfig, seed: int) -> dict[str, Any]:
    """Train a saved model until it copies, and save it; figures. Raises InfrastructureError when it never does."""
    import torch

    transformers = import_transformers()
    loaded = transformers.AutoModelForCausalLM.from_pretrained(model)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    loaded.to(device).train()
    optimizer = torch.optim.AdamW(loaded.parameters(), lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    generator = torch.Generator().manual_seed(seed)
    special = len(transformers.AutoTokenizer.from_pretrained(model).all_special_ids)
    losses, began = list[float](), time.monotonic()
    for step in range(1, config.max_steps + 1):
        rate = config.learning_rate * min(1.0, step / config.warmup)
        for group in optimizer.param_groups:
            group["lr"] = rate
        ids, labels = (batch.to(device) for batch in _batch(config, special, loaded.config.vocab_size, generator))
        with torch.autocast(device, dtype=torch.bfloat16, enabled=config.bf16):
            loss = loaded(input_ids=ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(loaded.parameters(), 1.0)
        optimizer.step()  # pyright: ignore[reportUnknownMemberType]
        losses.append(loss.item())
        recent = sum(losses[-_MEAN_OF:]) / len(losses[-_MEAN_OF:])
        if step >= config.min_steps and recent < config.until:
            break
    else:
        raise InfrastructureError(
            f"after {config.max_steps} updates of copying practice the loss is {recent:.2f}, not under {config.until}: "  # pyright: ignore[reportPossiblyUnboundVariable]
            "give practice.max_steps more, or another seed"
        )
    loaded.save_pretrained(output)
    transformers.AutoTokenizer.from_pretrained(model).save_pretrained(output)
    (output / "losses.json").write_text(json.dumps([round(each, 4) for each in losses]), encoding="utf-8")
    tokens = len(losses) * config.batch_size * config.length
    seconds = time.monotonic() - began
    return {"steps": len(losses), "loss": round(recent, 4), "tokens": tokens, "tokens_per_s": round(tokens / seconds)}


def _batch(config: PracticeConfig, first: int, vocabulary: int, generator: Any) -> tuple[Any, Any]:
    """Token ids and labels, each (batch_size, length); what is not to be learnt is labelled -100."""
    import torch

    shape = (config.batch_size, config.length)
    ids = torch.randint(first, vocabulary, shape, generator=generator)
    labels = torch.full(shape, -100)
    low, high = config.span
    sizes = torch.randint(low, min(high, config.length // 2) + 1, (config.batch_size,), generator=generator)
    for row in range(config.batch_size):
        size = int(sizes[row])
        times = -(-config.length // size)
        ids[row] = ids[row, :size].repeat(times)[: config.length]
        labels[row, size + 1 :] = ids[row, size + 1 :]
    return ids, labels
