"""A tokenizer and a small model made on the spot: Qwen2's architecture, a few layers, weights drawn from a seed."""

import re
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...errors import MissingExtra

__all__ = ["SPECIAL", "TinyConfig", "import_transformers", "make_model", "make_tokenizer"]

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>")
"""Tokens that stand for themselves; their places here are their ids."""
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
"""Qwen's: transformers rebuilds it on loading whatever was saved, so another one would change the ids of tokens."""


class TinyConfig(BaseModel):
    """The shape of the model."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    vocabulary: int = Field(default=1024, ge=300)
    layers: int = Field(default=4, ge=1)
    width: int = Field(default=128, ge=32)
    heads: int = Field(default=4, ge=1)
    """Of `width / heads` numbers each; vLLM's build for CPUs needs 32 or more."""
    kv_heads: int = Field(default=4, ge=1)
    feed_forward: int = Field(default=352, ge=32)
    context: int = Field(default=1536, ge=128)
    """Tokens it can read."""

    @model_validator(mode="after")
    def _heads_divide(self) -> "TinyConfig":
        if self.width % self.heads or self.heads % self.kv_heads:
            raise ValueError("heads must divide width, and kv_heads must divide heads")
        return self


def import_transformers() -> Any:
    """The library, without its progress bars. Raises MissingExtra."""
    try:
        import transformers
    except ImportError:
        raise MissingExtra("making a model needs transformers: pip install 'agent-trajectory-hub[train]'") from None
    transformers.utils.logging.disable_progress_bar()  # a bar for each small file, between the lines of the stages
    return transformers


def make_tokenizer(folder: Path, rows: Iterable[Mapping[str, Any]], config: TinyConfig) -> int:
    """Train a byte-level BPE on conversations (`messages`, `tools`), and save it with its chat template.

    Returns the number of its tokens. Of each repository (`repo`) only the first conversation is used: names that occur
    in many would become tokens of their own, which names of other repositories never are.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    raw: Any = Tokenizer(models.BPE())
    raw.normalizer = normalizers.NFC()
    level: Any = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    raw.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(_SPLIT), "isolated"), level])
    raw.decoder = decoders.ByteLevel()
    trainer = cast(Any, trainers).BpeTrainer(
        vocab_size=config.vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    template = (files(__package__ or "") / "chat_template.jinja").read_text("utf-8").rstrip("\n")
    raw.train_from_iterator(_texts(rows, template), trainer)
    tokenizer = import_transformers().PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|endoftext|>", model_max_length=config.context
    )
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return len(tokenizer)


def _texts(rows: Iterable[Mapping[str, Any]], template: str) -> Iterator[str]:
    """What stands between special tokens in rendered conversations."""
    from transformers.utils import chat_template_utils

    render = cast(Any, chat_template_utils).render_jinja_template

    seen, special = set[str](), re.compile("|".join(re.escape(token) for token in SPECIAL))
    for row in rows:
        if row["repo"] in seen:
            continue
        seen.add(row["repo"])
        told = render([row["messages"]], tools=row["tools"], chat_template=template)
        yield from filter(None, special.split(told[0][0]))


def make_model(folder: Path, tokenizer: Path, config: TinyConfig, seed: int) -> int:
    """Draw a model's weights from a seed and save it with its tokenizer; the number of its parameters."""
    import torch

    transformers = import_transformers()
    loaded = transformers.AutoTokenizer.from_pretrained(tokenizer)
    torch.manual_seed(seed)  # pyright: ignore[reportUnknownMemberType]
    shape = transformers.Qwen2Config(
        vocab_size=max(config.vocabulary, len(loaded)),
        hidden_size=config.width,
        intermediate_size=config.feed_forward,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.kv_heads,
        max_position_embeddings=config.context,
        eos_token_id=loaded.eos_token_id,
        bos_token_id=None,
        pad_token_id=loaded.pad_token_id,
        tie_word_embeddings=True,
    )
    model = transformers.Qwen2ForCausalLM(shape)
    model.save_pretrained(folder)
    loaded.save_pretrained(folder)
    return sum(parameter.numel() for parameter in model.parameters())
