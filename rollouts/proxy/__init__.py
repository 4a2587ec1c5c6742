"""A proxy between agents and model services: an allow-list, the keys, budgets, and a record of every request."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .budget import Budget
    from .namespace import listen_in_container
    from .proxy import ModelProxy
    from .records import Exchange, read_exchanges
    from .upstream import Upstream

__all__ = ["Budget", "Exchange", "ModelProxy", "Upstream", "listen_in_container", "read_exchanges"]

_PLACES = {
    "Budget": "budget",
    "Exchange": "records",
    "ModelProxy": "proxy",
    "Upstream": "upstream",
    "listen_in_container": "namespace",
    "read_exchanges": "records",
}


def __getattr__(name: str) -> Any:
    # The command line imports this package before it knows whether it is needed.
    from importlib import import_module

    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PLACES[name]}", __name__), name)
