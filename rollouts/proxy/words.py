"""Upstreams as a command line names them."""

from collections.abc import Iterable, Sequence

from ...errors import UsageError
from .upstream import Api, Upstream

__all__ = ["read_upstreams"]

_KNOWN: dict[Api, tuple[str, str]] = {
    "openai": ("https://api.openai.com", "OPENAI_API_KEY"),
    "anthropic": ("https://api.anthropic.com", "ANTHROPIC_API_KEY"),
    "gemini": ("https://generativelanguage.googleapis.com", "GEMINI_API_KEY"),
}


def read_upstreams(words: Iterable[str], models: Sequence[str] = ()) -> dict[str, Upstream]:
    """Upstreams by name, from `API` or `[NAME:]API=URL[@VARIABLE]`. Raises UsageError.

    A known service's key goes to that service only: another address gets one when its variable is named.
    """
    found = dict[str, Upstream]()
    for word in words:
        name, upstream = _read(word, tuple(models))
        if name in found:
            raise UsageError(f"two upstreams are called {name}; name them: first:{word}")
        found[name] = upstream
    return found


def _read(word: str, models: tuple[str, ...]) -> tuple[str, Upstream]:
    front, _, url = word.partition("=")
    name, _, api = front.rpartition(":")
    known: Api | None = next((one for one in _KNOWN if one == api), None)
    if known is None:
        raise UsageError(f"{word!r} is no upstream; write {', '.join(_KNOWN)} or NAME:API=URL@VARIABLE")
    if not url:
        root, variable = _KNOWN[known]
        return name or known, Upstream(known, root, variable, models)
    root, _, variable = url.partition("@")
    return name or known, Upstream(known, root, variable or None, models)
