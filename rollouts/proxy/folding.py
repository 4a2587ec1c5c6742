"""Bodies without their repetitions: each request of a conversation holds the ones before it, a record need not.

Every list of a body (messages, tools, input …) is written as `{"$items": {"after": ID, "new": […]}}`: the items that
no recorded list began with in the same order, and the id of the list that they come after. The id of a list is a hash
over its items and all before them, so branches (subagents, edited histories) share what they have in common. Long
single values (a system prompt) are lists of one: `{"$value": …}`. A conversation so costs space for what was said,
once, and not for how often it was sent.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, cast

from .masking import Masker

__all__ = ["Folder", "Unfolder"]

_LONG = 256
"""Characters of JSON above which a single value is written once only."""
_MARKS = {"$items", "$value"}
_REMEMBERED = 1 << 16


class Folder:
    """Folds bodies that go into one record, in the order in which they are written."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._lists = set[str]()
        self._masked = dict[bytes, str]()
        """Hash of an item with its secrets, which stays here, and hash of the item without."""

    def fold(self, body: Any) -> tuple[Any, int]:
        """A body without secrets and repetitions, and how many secrets were found in what is new."""
        if not isinstance(body, dict):
            return self._masker.value(body)
        folded, count = dict[str, Any](), 0
        for name, value in cast("dict[str, Any]", body).items():
            folded[name], number = self._fold_value(value)
            count += number
        return folded, count

    def _fold_value(self, value: Any) -> tuple[Any, int]:
        if isinstance(value, list) and value:
            chained, count = self._chain(cast("list[Any]", value))
            return {"$items": chained}, count
        marked = isinstance(value, dict) and bool(_MARKS & cast("dict[str, Any]", value).keys())
        if marked or (isinstance(value, str | dict) and len(_canonical(value)) > _LONG):
            chained, count = self._chain([value])
            return {"$value": chained}, count
        return self._masker.value(value)

    def _chain(self, items: list[Any]) -> tuple[dict[str, Any], int]:
        digests = [self._digest(item) for item in items]
        ids = _ids([digest for digest, _ in digests])
        kept = next((place for place, one in enumerate(ids) if one not in self._lists), len(ids))
        masked = [ready or self._masker.value(item) for item, (_, ready) in zip(items, digests, strict=True)][kept:]
        self._lists.update(ids[kept:])
        chained = {"after": ids[kept - 1] if kept else "", "new": [item for item, _ in masked]}
        return chained, sum(number for _, number in masked)

    def _digest(self, item: Any) -> tuple[str, tuple[Any, int] | None]:
        """The hash of an item without its secrets, and that item when it had to be made."""
        raw = sha256(_canonical(item).encode()).digest()
        known = self._masked.get(raw)
        if known is not None:
            return known, None
        masked = self._masker.value(item)
        if len(self._masked) >= _REMEMBERED:
            self._masked.clear()
        digest = self._masked[raw] = sha256(_canonical(masked[0]).encode()).hexdigest()
        return digest, masked


class Unfolder:
    """Puts folded bodies together again, in the order in which they were written."""

    def __init__(self) -> None:
        self._lists = dict[str, tuple[str, Any]]()
        """The list before an item, and the item."""

    def unfold(self, body: Any) -> Any:
        """The body. Raises KeyError when what it goes on from is not in the record."""
        if not isinstance(body, dict):
            return body
        return {name: self._unfold_value(value) for name, value in cast("dict[str, Any]", body).items()}

    def _unfold_value(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        found = cast("dict[str, Any]", value)
        if found.keys() == {"$items"}:
            return self._items(found["$items"])
        if found.keys() == {"$value"}:
            return self._items(found["$value"])[0]
        return found

    def _items(self, chained: Mapping[str, Any]) -> list[Any]:
        last, new = chained["after"], chained["new"]
        for item in new:
            before, last = last, _id_after(last, sha256(_canonical(item).encode()).hexdigest())
            self._lists[last] = (before, item)
        items = list[Any]()
        while last:
            last, item = self._lists[last]
            items.append(item)
        return items[::-1]


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _ids(digests: list[str]) -> list[str]:
    """Of every list that begins the given one, from its first item to all."""
    ids, last = list[str](), ""
    for digest in digests:
        last = _id_after(last, digest)
        ids.append(last)
    return ids


def _id_after(before: str, digest: str) -> str:
    return sha256(f"{before}{digest}".encode()).hexdigest()[:32]
