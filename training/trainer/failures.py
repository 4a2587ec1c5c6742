"""What the libraries say of settings, models and memory, as errors that name what to change."""

from collections.abc import Generator
from contextlib import contextmanager

from ...errors import ConfigError, InfrastructureError, TrajHubError

__all__ = ["library_errors", "memory_errors"]

_LONGEST = 600


@contextmanager
def library_errors() -> Generator[None]:
    """Around the making of a trainer: raises ConfigError where a library refuses a setting, or the model."""
    try:
        yield
    except TrajHubError:
        raise
    except (ValueError, ImportError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and " install" not in str(error):  # a reporter's package that is not there
            raise
        said = " ".join(str(error).split())
        told = said if len(said) <= _LONGEST else f"{said[:_LONGEST]} ..."
        raise ConfigError(f"this cannot be trained as it is set: {told}") from error


@contextmanager
def memory_errors() -> Generator[None]:
    """Raises InfrastructureError where the memory of the device does not suffice."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        first = str(error).splitlines()[0]
        raise InfrastructureError(
            f"{first} Take less of it: a lower batch_size with a higher gradient_accumulation, "
            "gradient_checkpointing=true, dtype=bfloat16, lora.rank=16 (lora.bits=4), or more devices (fsdp.yaml)"
        ) from error
