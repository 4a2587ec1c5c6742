"""What a folder with a model has to hold, checked before anything takes time over it."""

import json
import struct
from pathlib import Path

from ...errors import ConfigError

__all__ = ["check_model", "check_tokenizer", "check_weights"]

_CONFIGURATIONS = ("config.json", "params.json")
"""Of transformers, and of Mistral."""
_ADAPTERS = "adapter_config.json"
_WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.pth", "*.gguf")
_INDEX = "*.safetensors.index.json"
_TOKENIZERS = ("tokenizer*", "tokenization*", "vocab*", "*.model", "*.tiktoken", "tekken.json", "*.gguf")


def check_model(model: str) -> None:
    """Raise ConfigError for what cannot be a model: a path with nothing there, a folder without a configuration, or
    with half of its weights.
    """
    path = Path(model)
    if path.is_dir():
        if not any((path / name).exists() for name in _CONFIGURATIONS):
            raise ConfigError(f"{model} is not a checkpoint: {_found_instead(path)}")
        for shard in [*_named(path), *path.glob("*.safetensors")]:
            _check_whole(shard)
    elif not path.is_file() and (model.startswith(("/", ".", "~")) or model.count("/") > 1):
        raise ConfigError(f"there is no model at {model}; give the folder of a checkpoint, or a name such as org/model")


def check_weights(model: str) -> None:
    """Raise ConfigError for a folder that holds no weights."""
    path = Path(model)
    if path.is_dir() and not any(any(path.glob(pattern)) for pattern in _WEIGHTS):
        raise ConfigError(f"{model} has a configuration, but no weights ({', '.join(_WEIGHTS)})")


def check_tokenizer(folder: str) -> None:
    """Raise ConfigError for a folder without a tokenizer; transformers would make an empty one of the model's type."""
    path = Path(folder)
    if path.is_dir() and not any(any(path.glob(pattern)) for pattern in _TOKENIZERS):
        raise ConfigError(f"there is no tokenizer in {folder}; copy that of the model it was made from, or name one")


def _found_instead(path: Path) -> str:
    """What a folder without a configuration is, as the end of a sentence."""
    if (path / _ADAPTERS).exists():
        return "it holds adapters only; merge them first (training with lora.merge=true writes whole weights)"
    inside = sorted(each.parent for name in _CONFIGURATIONS for each in path.glob(f"*/{name}"))
    if inside:
        return f"it has no config.json, but {inside[-1]} has one"
    held = ", ".join(sorted(each.name for each in path.iterdir())[:5]) or "nothing"
    return f"it has no config.json, but {held}"


def _named(path: Path) -> list[Path]:
    """Files that an index of shards names."""
    try:
        told = [json.loads(index.read_text("utf-8"))["weight_map"].values() for index in path.glob(_INDEX)]
    except (ValueError, KeyError, AttributeError) as error:
        raise ConfigError(f"the index of the weights of {path} cannot be read ({error}); copy them again") from None
    return sorted({path / name for names in told for name in names})


def _check_whole(shard: Path) -> None:
    """By the header of a safetensors file: its length (8 bytes), then where each tensor lies after it, as JSON."""
    if not shard.exists():
        raise ConfigError(f"{shard.parent} is not whole: {shard.name} is missing; copy it again")
    try:
        with shard.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(length, shard.stat().st_size)))
        header.pop("__metadata__", None)
        end = 8 + length + max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
    except (struct.error, ValueError, KeyError, AttributeError, TypeError):
        raise ConfigError(f"{shard} is no safetensors file; copy it again") from None
    if end != shard.stat().st_size:
        raise ConfigError(
            f"{shard} is not whole: it has {shard.stat().st_size:,} bytes of {end:,}; copy it, or train, again"
        )
