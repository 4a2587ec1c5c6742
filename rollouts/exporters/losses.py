"""What an export loses: fields that a format cannot hold, declared by its exporter and counted in what was exported."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, cast

from pydantic import BaseModel

from ..events import EVENT_CLASSES, AnyEvent, Envelope, EventType
from ..payloads import Payload
from .base import Exporter

__all__ = ["LossCounter", "all_but", "event_fields", "is_lost", "losses_page"]

_ENVELOPE = frozenset(Envelope.model_fields) - {"event_type", "chain"}
_KNOWN = frozenset({"event", *EventType})
_PAGE = """# What exports lose

<!-- Written by docs/generate.py; do not edit. -->

Fields are named `event_type.field`, as in [the schema](schema.md); `event.field` is carried by every event. *Lost* is
not in the [export](exports.md). *Not read back* is in it, but `trajhub trace ingest` does not give it back as it was.
"""
_EMPTY: tuple[Any, ...] = (None, "", [], {}, ())


def all_but(payload: type[Payload], why: str, *kept: str) -> dict[str, str]:
    """The loss of all fields of an event but those that are `kept`."""
    kind = EVENT_CLASSES[payload][1].value
    return {f"{kind}.{name}": why for name in payload.model_fields if name not in kept}


def event_fields(event: AnyEvent) -> list[str]:
    """The fields of an event that say something, as `event_type.field`; those of models within as `….field.field`."""
    known = event.payload
    items = list(known) if isinstance(known, BaseModel) else list(known.items())
    return [name for key, value in items for name in _names(f"{event.event_type}.{key}", value)]


def _names(name: str, value: Any) -> list[str]:
    if isinstance(value, BaseModel):
        return [found for key, item in value for found in _names(f"{name}.{key}", item)]
    return [] if value in _EMPTY else [name]


def is_lost(name: str, loses: Mapping[str, str]) -> str | None:
    """The declared name that covers a field; None when it is held."""
    parts = name.split(".")
    if parts[0] not in _KNOWN:
        parts[0] = "unknown"
    for count in range(len(parts), 0, -1):
        for candidate in (".".join(parts[:count]), ".".join([*parts[: count - 1], "*"])):
            if candidate in loses:
                return candidate
    return None


def losses_page(exporters: Mapping[str, Exporter]) -> str:
    """What is declared, as a page in Markdown: the fields of one reason together."""
    parts = [_PAGE]
    for name, exporter in sorted(exporters.items()):
        parts.append(f"\n## `{name}`: {exporter.title}\n\n### Lost\n\n{_listed(exporter.loses)}")
        if exporter.unread:
            parts.append(f"\n### Not read back\n\n{_listed(exporter.unread)}")
    return "".join(parts)


def _listed(fields: Mapping[str, str]) -> str:
    reasons: dict[str, list[str]] = {}
    for name, why in fields.items():
        reasons.setdefault(why, []).append(f"`{name}`")
    return "".join(f"- {', '.join(names)}: {why}\n" for why, names in reasons.items()) or "Nothing.\n"


class LossCounter:
    """Counts what the declared losses cost one export."""

    def __init__(self, loses: Mapping[str, str]) -> None:
        self.loses = loses
        self._values = Counter[str]()
        self._episodes = Counter[str]()

    def take(self, events: Iterable[AnyEvent]) -> None:
        """Count one episode."""
        found = Counter[str]()
        for event in events:
            names = {is_lost(name, self.loses) for name in event_fields(event)}
            names |= {f"event.{name}" for name in _ENVELOPE if f"event.{name}" in self.loses}
            found.update(cast("set[str]", names - {None}))
        self._values.update(found)
        self._episodes.update(dict.fromkeys(found, 1))

    def rows(self) -> list[dict[str, Any]]:
        """What was lost: `field`, `why`, and in how many `events` of how many `episodes`."""
        return [
            {"field": name, "why": why, "events": self._values[name], "episodes": self._episodes[name]}
            for name, why in self.loses.items()
            if self._values[name]
        ]
