"""From our configuration to TRL's arguments: what the device can do decides, never a default made for a GPU."""

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...errors import MissingExtra
from .config import DataConfig, LoraSettings, TrainConfig

__all__ = ["adapters", "arguments", "computes_in_bf16", "on_cpu", "quantization"]


@cache
def on_cpu(device: str) -> bool:
    """Whether there is no accelerator, or it is not to be used."""
    import torch

    return device == "cpu" or not torch.accelerator.is_available()


def computes_in_bf16(config: TrainConfig) -> bool:
    """What is asked for, else whether the device has arithmetic in bfloat16."""
    import torch

    if config.bf16 is not None:
        return config.bf16
    if on_cpu(config.device):
        able: Mapping[str, Any] = torch.cpu.get_capabilities()
        return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported()


def arguments(config: TrainConfig, folder: Path) -> dict[str, Any]:
    """The fields that all of TRL's configurations share."""
    cpu = on_cpu(config.device)
    checkpointing = config.gradient_checkpointing
    return {
        "output_dir": str(folder),
        "num_train_epochs": config.epochs,
        "max_steps": config.max_steps or -1,
        "per_device_train_batch_size": config.batch_size,
        "gradient_accumulation_steps": config.gradient_accumulation,
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": config.scheduler,
        "warmup_steps": config.warmup,
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_grad_norm,
        "optim": config.optimizer,
        "adam_beta2": config.adam_beta2,
        "use_cpu": cpu,
        "bf16": computes_in_bf16(config),
        "activation_checkpointing": not cpu if checkpointing is None else checkpointing,
        "dataloader_pin_memory": not cpu,
        "model_init_kwargs": _loading(config),
        "trust_remote_code": config.trust_remote_code,
        "seed": config.seed,
        "data_seed": config.seed,
        "logging_steps": config.logging_steps,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "report_to": list(config.report_to) or "none",
        **_rhythm(config),
    }


def _loading(config: TrainConfig) -> dict[str, Any]:
    loading: dict[str, Any] = {"dtype": config.dtype}
    return loading | ({"attn_implementation": config.attention} if config.attention else {})


def _rhythm(config: TrainConfig) -> dict[str, Any]:
    """When to evaluate, and when to write a checkpoint; a best one can only be kept where it was evaluated."""
    if not isinstance(config, DataConfig) or not (config.eval_data or config.eval_share):
        return {"eval_strategy": "no", **_every("save", config.save_steps), "save_total_limit": 2}
    evaluated = {**_every("eval", config.eval_steps), "per_device_eval_batch_size": config.eval_batch_size}
    if config.early_stopping is None:
        return {**evaluated, **_every("save", config.save_steps), "save_total_limit": 2}
    best = {"load_best_model_at_end": True, "metric_for_best_model": "eval_loss", "greater_is_better": False}
    return {**evaluated, **_every("save", config.eval_steps), "save_total_limit": 2, **best}


def _every(what: str, steps: int | None) -> dict[str, Any]:
    """Every so many updates, or every epoch."""
    return {f"{what}_strategy": "steps", f"{what}_steps": steps} if steps else {f"{what}_strategy": "epoch"}


def adapters(lora: LoraSettings | None) -> Any:
    """A `peft.LoraConfig`; None for all weights. Raises MissingExtra."""
    if lora is None:
        return None
    try:
        from peft import LoraConfig
    except ImportError:
        raise MissingExtra("lora needs peft: pip install 'agent-trajectory-hub[train]'") from None
    targets = lora.targets if isinstance(lora.targets, str) else list(lora.targets)
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # pyright: ignore[reportArgumentType]
        lora_dropout=lora.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )


def quantization(lora: LoraSettings | None) -> Any:
    """A `transformers.BitsAndBytesConfig` for QLoRA (arXiv 2305.14314); None without. Raises MissingExtra."""
    if lora is None or lora.bits is None:
        return None
    if find_spec("bitsandbytes") is None:
        raise MissingExtra("lora.bits needs bitsandbytes: pip install 'agent-trajectory-hub[qlora]'")
    import torch
    from transformers import BitsAndBytesConfig

    if lora.bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
