"""What tests look at in a run that was ingested."""

from pathlib import Path
from typing import Any

from trajectory_hub.rollouts.adapters.engine import IngestConfig, ingest
from trajectory_hub.rollouts.adapters.report import IngestReport
from trajectory_hub.rollouts.events import AnyEvent
from trajectory_hub.rollouts.log import read_events
from trajectory_hub.rollouts.log_file import EVENTS


def ingested(source: Path, run: Path, **settings: Any) -> tuple[IngestReport, list[AnyEvent]]:
    """The report, and the events of the only episode."""
    report = ingest([source], run, IngestConfig(**settings))
    (folder,) = (run / "episodes").iterdir()
    return report, list(read_events(folder / EVENTS))


def payloads(events: list[AnyEvent], kind: str) -> list[Any]:
    """The payloads of one type of event."""
    return [event.payload for event in events if event.event_type == kind]


def logs(run: Path) -> dict[str, bytes]:
    """Every log of a run, by episode."""
    return {folder.name: (folder / EVENTS).read_bytes() for folder in (run / "episodes").iterdir()}
