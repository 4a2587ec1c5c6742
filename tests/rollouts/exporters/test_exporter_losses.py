"""What an exporter says that it loses is what it loses: each field is changed, and the output changes or does not."""

from pathlib import Path

import pytest
from trajectory_hub.rollouts.events import AnyEvent
from trajectory_hub.rollouts.exporters.losses import is_lost, losses_page
from trajectory_hub.rollouts.exporters.registry import exporters

from .whole import exported, fields_of, mutated, whole_episode

PAGE = Path(__file__).parents[3] / "docs" / "losses.md"
FORMATS = sorted(exporters().exporters)
ENVELOPE = (
    "schema_version seq t_start t_end duration_ms agent agent_version model repo commit seed task_id episode_id".split()
)
KEYS = {"llm_request.request_id", "llm_response.request_id", "tool_call.step", "tool_result.step", "step_reward.step"}
"""Say what belongs together: what is told changes with them though they are not told."""


def _changed_envelope(events: list[AnyEvent], name: str) -> list[AnyEvent]:
    told = list[AnyEvent]()
    for event in events:
        body = event.model_dump(mode="json")
        value = body[name]
        if name in ("t_start", "t_end"):
            body[name] = value.replace("2026-01-02T03:04:1", "2026-01-02T03:05:1").replace("03:04:0", "03:03:0")
        else:
            body[name] = value + 1 if isinstance(value, int | float) else f"{value}~"
        told.append(type(event).model_validate(body))
    return told


@pytest.mark.parametrize("name", FORMATS)
def test_declared_losses_are_the_real_ones(name: str, tmp_path: Path) -> None:
    exporter, events = exporters().get(name), whole_episode()
    before = exported(exporter, events, tmp_path)
    wrong = list[str]()
    for kind, path in fields_of(events):
        other = mutated(events, kind, path)
        if other is None:
            continue
        field = ".".join((kind, *path))
        kept = exported(exporter, other, tmp_path) != before
        declared = is_lost(field, exporter.loses)
        if kept and declared == field and field not in KEYS:
            wrong.append(f"{field} is declared lost and is not")
        if not kept and declared is None:
            wrong.append(f"{field} is lost and not declared")
    assert wrong == []


@pytest.mark.parametrize("name", FORMATS)
def test_declared_losses_of_the_envelope_are_the_real_ones(name: str, tmp_path: Path) -> None:
    exporter, events = exporters().get(name), whole_episode()
    before = exported(exporter, events, tmp_path)
    wrong = list[str]()
    for field in ENVELOPE:
        kept = exported(exporter, _changed_envelope(events, field), tmp_path) != before
        declared = f"event.{field}" in exporter.loses
        if kept == declared:
            wrong.append(f"event.{field} is {'kept' if kept else 'lost'}, declared {declared}")
    assert wrong == []


@pytest.mark.parametrize("name", FORMATS)
def test_a_declared_loss_is_a_field_that_there_is(name: str) -> None:
    events = whole_episode()
    known = {".".join((kind, *path)) for kind, path in fields_of(events)}
    kinds = {event.event_type for event in events}
    for lost in exporters().get(name).loses:
        kind, _, field = lost.partition(".")
        within = any(name.startswith(f"{lost}.") for name in known)
        assert kind == "event" or lost in known or within or (field == "*" and kind in kinds | {"unknown"}), lost


def test_the_documentation_is_current() -> None:
    assert PAGE.read_text() == losses_page(exporters().exporters), "run `python docs/generate.py`"
