"""An episode's records read back from its artifacts, and joined. Works on what a killed process left as well."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import payloads
from ..adapters.base import Timed, Unread
from ..adapters.registry import adapters, companions_of, sample_of
from ..otlp import OTLP, read_otlp
from ..plugins import FAULTS
from ..proxy import Exchange, read_exchanges
from .baggage import Fetched
from .facts import fact_of
from .join import Records, join

__all__ = ["PROXY", "Collected", "collect"]

PROXY = "proxy.jsonl"
_NOT_THEIRS = (payloads.EpisodeStart, payloads.EpisodeEnd, payloads.FinalPatch, payloads.Verdict)
"""What our own record says, whatever the agent's says of it."""


@dataclass(slots=True)
class Collected:
    """The joined record of an episode."""

    events: list[Timed]
    exchanges: list[Exchange]
    fields: dict[str, Any] = field(default_factory=dict[str, Any])
    """For `episode_end`."""

    @property
    def phases(self) -> set[str]:
        """Names of the phases that were found."""
        return {one.payload.name for one in self.events if isinstance(one.payload, payloads.Phase)}


def collect(
    folder: Path, transcripts: Sequence[Fetched], samples: Sequence[Timed], *, trace: str, workdir: str
) -> Collected:
    """Join what lies in an episode's `artifacts/` with its samples."""
    told, read = _transcripts(transcripts)
    exchanges = list(read_exchanges(folder / PROXY)) if (folder / PROXY).exists() else []
    facts = [fact_of(record) for record in read_otlp(folder / OTLP)] if (folder / OTLP).exists() else []
    records = Records(
        workdir=workdir, trace_id=trace, transcript=told, exchanges=exchanges, facts=facts, samples=samples
    )
    joined = join(records)
    return Collected(joined.events, exchanges, {"join": {**joined.quality, "transcripts": read}})


def _transcripts(fetched: Sequence[Fetched]) -> tuple[list[Timed], list[dict[str, Any]]]:
    """The events of all transcripts, and what became of each file."""
    events, read = list[Timed](), list[dict[str, Any]]()
    known = adapters()
    companions = set[Path]()
    for path, wanted in fetched:
        found = [wanted] if wanted is not None else known.recognise(sample_of(path))
        if len(found) != 1 or found[0] not in known.adapters:
            why = known.broken.get(found[0], "no such adapter") if found else "its format is not known"
            read.append({"file": path.name, "adapter": wanted, "unread": why})
            continue
        adapter = known.adapters[found[0]]
        if path in companions:
            continue
        companions |= set(companions_of(adapter, path))
        kept, unread, fault = list[Timed](), Counter[str](), None
        try:
            for episode in adapter.episodes(path, {}):
                for item in episode.events:
                    if isinstance(item, Unread):
                        unread[item.kind] += 1
                    elif not isinstance(item.payload, _NOT_THEIRS):
                        kept.append(item)
        except FAULTS as error:
            fault = f"{type(error).__name__}: {error}"
        events += _renumbered(kept, events)
        told = {"file": path.name, "adapter": adapter.name, "version": adapter.version, "events": len(kept)}
        read.append(told | ({"not_understood": dict(unread)} if unread else {}) | ({"fault": fault} if fault else {}))
    return events, read


def _renumbered(events: Iterable[Timed], before: Sequence[Timed]) -> list[Timed]:
    """Events of a further transcript, their steps numbered after those of the ones before."""
    first = max((getattr(one.payload, "step", None) or 0 for one in before), default=-1) + 1
    if first == 0:
        return list(events)
    moved = list[Timed]()
    for event in events:
        step: int | None = getattr(event.payload, "step", None)
        if step is not None:
            payload = event.payload.model_copy(update={"step": step + first})
            event = Timed(payload=payload, t_start=event.t_start, t_end=event.t_end, duration_ms=event.duration_ms)
        moved.append(event)
    return moved
