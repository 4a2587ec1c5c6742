"""A proxy between agents and model services: an allow-list, the keys, budgets, and a record of every request."""

from typing import TYPE_CHECKING

from ...lazy import lazy

if TYPE_CHECKING:
    from .budget import Budget
    from .namespace import listen_in_container
    from .proxy import ModelProxy
    from .records import Exchange, read_exchanges
    from .upstream import Upstream

__all__ = ["Budget", "Exchange", "ModelProxy", "Upstream", "listen_in_container", "read_exchanges"]

__getattr__ = lazy(
    __name__,
    {
        "budget": ["Budget"],
        "namespace": ["listen_in_container"],
        "proxy": ["ModelProxy"],
        "records": ["Exchange", "read_exchanges"],
        "upstream": ["Upstream"],
    },
)
