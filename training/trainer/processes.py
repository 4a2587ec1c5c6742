"""How the processes of a training share a model: whole copies, or weights spread by FSDP or DeepSpeed, on CPUs as well.

Written for accelerate 1.15, which spreads weights over accelerators alone: on CPUs a launch that asks for FSDP or
DeepSpeed would train whole copies, and not say so.
"""

import os
from datetime import timedelta
from typing import Any, Literal

from .arguments import on_cpu

__all__ = ["Spread", "kept_state", "process_state", "spread"]

Spread = Literal["fsdp", "deepspeed"]
_PATIENCE = timedelta(days=1)
"""How long processes wait for each other: while the first one prepares data, or plays a long episode. The usual ten
minutes (NCCL) are for steps of training; of one that died the launcher knows, and ends all others."""


def spread() -> Spread | None:
    """What `accelerate launch` was told to spread the weights by; None for whole copies."""
    if os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true":
        return "fsdp"
    return "deepspeed" if os.environ.get("ACCELERATE_USE_DEEPSPEED", "").lower() == "true" else None


def process_state(device: str) -> Any:
    """The `accelerate.PartialState` of this process; on CPUs they talk by gloo."""
    from accelerate import DistributedType, PartialState

    cpu, how = on_cpu(device), spread()
    if cpu and how == "deepspeed":
        return PartialState(cpu=False, backend="gloo", timeout=_PATIENCE)
    state: Any = PartialState(cpu=cpu, timeout=_PATIENCE)
    if cpu and how == "fsdp" and state.distributed_type is DistributedType.MULTI_CPU:
        # Accelerate turns this type into FSDP, and MULTI_CPU into nothing else; the device stays the CPU.
        state.distributed_type = DistributedType.MULTI_GPU
    return state


def kept_state(device: str) -> dict[str, Any]:
    """Arguments of transformers that keep what `process_state` made, where they would make something else."""
    how = spread()
    if how is None or not on_cpu(device):
        return {}
    return {"accelerator_config": {"use_configured_state": True}, "use_cpu": how == "fsdp"}
