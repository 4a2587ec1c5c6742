"""Libraries of the extras, imported when they are asked for."""

from importlib import import_module
from typing import Any

from .errors import MissingExtra

__all__ = ["need"]


def need(module: str, purpose: str, extra: str = "eval") -> Any:
    """The module, of one of the packages of `extra`. Raises MissingExtra when it is not installed."""
    try:
        return import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise MissingExtra(f"{purpose} need {package}: pip install 'agent-trajectory-hub[{extra}]'") from None
