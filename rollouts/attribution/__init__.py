"""Who is to blame for an episode that did not succeed: rules that name a kind of failure and show their evidence."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .attribute import ATTRIBUTION, Attribution, attribute_run
    from .evidence import Evidence
    from .kinds import Kind

__all__ = ["ATTRIBUTION", "Attribution", "Evidence", "Kind", "attribute_run"]

_PLACES = {
    "ATTRIBUTION": "attribute",
    "Attribution": "attribute",
    "Evidence": "evidence",
    "Kind": "kinds",
    "attribute_run": "attribute",
}


def __getattr__(name: str) -> Any:
    # The command line imports this package before it knows whether it is needed.
    from importlib import import_module

    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PLACES[name]}", __name__), name)
