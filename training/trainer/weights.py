"""A model's weights as one set of tensors, however it is trained: gathered from all processes, adapters merged."""

# torch, transformers and peft tell little of their types:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import ConfigError

__all__ = ["plain_model", "refuse_scattered", "save_whole", "untied", "whole_state"]

State = dict[str, Any]
_INSIDE = "base_model.model."
_BASE = ".base_layer."
_WRAPPERS = ("_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_orig_mod.")
"""What FSDP, checkpointing of activations and compilation put into names of modules, and not into those of weights."""


def whole_state(trainer: Any) -> State:
    """All weights by the names that transformers gives them. In all processes at once; the first one has them all."""
    state = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    if not trainer.accelerator.is_main_process:
        return {}
    return _merged(trainer.accelerator.unwrap_model(trainer.model), state)


def refuse_scattered(trainer: Any) -> None:
    """Raise ConfigError when DeepSpeed would leave its weights in pieces, which nothing loads as a model."""
    plugin = trainer.accelerator.state.deepspeed_plugin
    zero: Mapping[str, Any] = plugin.deepspeed_config.get("zero_optimization", {}) if plugin is not None else {}
    if zero.get("stage") == 3 and zero.get("stage3_gather_16bit_weights_on_model_save") is False:
        raise ConfigError(
            "DeepSpeed is told to leave the weights in pieces; set zero3_save_16bit_model: true in accelerate's "
            "configuration (stage3_gather_16bit_weights_on_model_save in DeepSpeed's own)"
        )


def plain_model(trainer: Any) -> Any:
    """The model without the wrappers of its processes and adapters: it writes a configuration, and weights given."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    return model.get_base_model() if hasattr(model, "peft_config") else model


def save_whole(trainer: Any, folder: Path) -> None:
    """Write a checkpoint as `save_pretrained` of a whole model does. In all processes at once."""
    state = whole_state(trainer)
    if not trainer.accelerator.is_main_process:
        return
    model = plain_model(trainer)
    ties = _tied_names(model, state)
    for name, source in ties.items():
        if _alike(state[name], state[source]):
            del state[name]
        else:
            model.config.get_text_config().tie_word_embeddings = model.config.tie_word_embeddings = False
    model.save_pretrained(folder, state_dict=state)


def untied(state: Mapping[str, Any]) -> State:
    """Weights of which none is another by a second name."""
    seen, apart = set[int](), State()
    for name, tensor in state.items():
        apart[name] = tensor.clone() if tensor.data_ptr() in seen else tensor
        seen.add(tensor.data_ptr())
    return apart


def _merged(model: Any, state: Mapping[str, Any]) -> State:
    """Weights with what the adapters add to them (LoRA, arXiv 2106.09685): W + scaling * B A."""
    if not hasattr(model, "peft_config"):
        return dict(state)
    layers = {_unwrapped(name): module for name, module in model.named_modules() if hasattr(module, "lora_A")}
    whole = State()
    for name, tensor in state.items():
        layer, _, kind = name.rpartition(_BASE)
        if kind == "weight":
            tensor = _with_adapter(layers[layer], tensor, _adapter_of(state, layer))
        elif ".lora_" in name:
            continue
        whole[name.removeprefix(_INSIDE).replace(_BASE, ".")] = tensor
    return whole


def _unwrapped(name: str) -> str:
    for wrapper in _WRAPPERS:
        name = name.replace(wrapper, "")
    return name


def _adapter_of(state: Mapping[str, Any], layer: str) -> tuple[Any, Any]:
    """A and B of a layer; of embeddings, transposed to where linear layers have them."""
    if f"{layer}.lora_A.default.weight" in state:
        return state[f"{layer}.lora_A.default.weight"], state[f"{layer}.lora_B.default.weight"]
    return state[f"{layer}.lora_embedding_A.default"], state[f"{layer}.lora_embedding_B.default"]


def _with_adapter(layer: Any, weight: Any, adapter: tuple[Any, Any]) -> Any:
    first, second = (matrix.to(weight.device).float() for matrix in adapter)
    added = second @ first * layer.scaling["default"]
    sideways = getattr(layer, "fan_in_fan_out", False) or hasattr(layer.get_base_layer(), "num_embeddings")
    return (weight.float() + (added.T if sideways else added)).to(weight.dtype).cpu()


def _tied_names(model: Any, state: Mapping[str, Any]) -> dict[str, str]:
    """Which names are second ones, and of what, as transformers knows them."""
    known: Mapping[str, str] = getattr(model, "all_tied_weights_keys", None) or {}
    return {name: source for name, source in known.items() if name in state and source in state}


def _alike(one: Any, other: Any) -> bool:
    return one.shape == other.shape and bool((one.to(other.device) == other).all())
