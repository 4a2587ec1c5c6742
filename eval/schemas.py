"""JSON Schemas and a reference page of everything others may read or write, generated from the models."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from ..envs.task import Task
from ..envs.verdict import Verdict
from ..rollouts.config import CONFIGS, RolloutConfig
from ..rollouts.events import SCHEMA_VERSION, AnyEvent
from ..rollouts.payloads import StepReward
from ..rollouts.run_model import RunManifest
from ..rollouts.score_log import StepScoreRow
from ..rollouts.trajectory import Trajectory
from ..training.preferences.preference import Preference
from .evaluation.evaluate import Evaluation
from .experiment.model import Experiment
from .gate.report import GateReport

__all__ = ["FOLDER", "PAGE", "reference_page", "render", "schemas", "write_schemas"]

FOLDER = CONFIGS / "schema"
PAGE = CONFIGS.parent / "docs" / "schema.md"
_ENVELOPE = "UnknownEvent"
"""The event that adds nothing to the envelope."""
_ABOUT = {
    "task": "One task, as sources yield it.",
    "event": "One line of `events.jsonl`.",
    "trajectory": "One episode as data, as `read_trajectory` returns it.",
    "preference": "One pair, a line of `pairs.jsonl`.",
    "reward": "What a step was worth: payload of `step_reward`.",
    "run": "`run.json`.",
    "scores": "One line of `scores/<layer>.jsonl`: what a layer said of a recorded step.",
    "verdict": "`verdict.json`, what the trusted grader said.",
    "evaluation": "`evaluation.json`, what `trajhub eval` writes beside its run.",
    "experiment": "`experiment.json`, what an experiment is made of and where each part lies.",
    "gate": "`gate.json`, the report of `trajhub gate`.",
    "rollout": "The configuration of `trajhub rollout`.",
}


def schemas() -> Mapping[str, dict[str, Any]]:
    """Every schema by file name."""
    return {
        "evaluation.json": _schema(Evaluation),
        "event.json": _schema(AnyEvent),
        "experiment.json": _schema(Experiment),
        "gate.json": _schema(GateReport),
        "preference.json": _schema(Preference),
        "reward.json": _schema(StepReward),
        "rollout.json": _schema(RolloutConfig),
        "run.json": _schema(RunManifest),
        "scores.json": _schema(StepScoreRow),
        "task.json": _schema(Task),
        "trajectory.json": _schema(Trajectory, "serialization"),
        "verdict.json": _schema(Verdict),
    }


def write_schemas(folder: Path = FOLDER) -> list[Path]:
    """Write them all; the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = list[Path]()
    for name, schema in schemas().items():
        path = folder / name
        path.write_text(render(schema), encoding="utf-8")
        written.append(path)
    return written


def render(schema: Mapping[str, Any]) -> str:
    """A schema as its file holds it."""
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def reference_page() -> str:
    """The same for people: every object with its fields, their types and meaning."""
    parts = [
        "# Schemas",
        "<!-- Written by `trajhub schema`; do not edit. -->",
        f"Schema version {SCHEMA_VERSION}. A new field or event type raises the second number, any other change the "
        "first. Files of every earlier version are read as they are; `trajhub runs migrate` writes a copy in the "
        "present version. What a newer version added is kept in reading and in writing. The JSON Schemas are in "
        "`configs/schema/`.",
    ]
    for name, schema in schemas().items():
        kind = name.removesuffix(".json")
        parts.append(f"## `{name}`\n\n{_ABOUT[kind]}")
        parts += _objects(schema)
    return "\n\n".join(parts) + "\n"


def _schema(model: Any, mode: JsonSchemaMode = "validation") -> dict[str, Any]:
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | TypeAdapter[Any](model).json_schema(mode=mode)


def _objects(schema: Mapping[str, Any]) -> Iterator[str]:
    parts = cast("Mapping[str, Mapping[str, Any]]", schema.get("$defs", {}))
    if _ENVELOPE in parts:
        yield from _object("Envelope", parts[_ENVELOPE])
        yield "The payload is one of the objects below, by `event_type`: " + ", ".join(_payloads(parts)) + "."
    for name, item in sorted(parts.items()):
        if "event_type" not in item.get("properties", {}):
            yield from _object(name, item)
    yield from _object(str(schema.get("title", "")), schema)


def _payloads(parts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for item in parts.values():
        fields = item.get("properties", {})
        if "const" in fields.get("event_type", {}):
            yield f"`{fields['event_type']['const']}` {_type(fields['payload'])}"


def _object(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    fields = cast("Mapping[str, Mapping[str, Any]]", schema.get("properties", {}))
    if "enum" in schema:
        yield f"### {name}\n\n{_cell(schema.get('description', ''))} One of {_type(schema)}."
    if not fields:
        return
    required = set(schema.get("required", ()))
    rows = ["| field | type | meaning |", "| --- | --- | --- |"]
    for key, field in fields.items():
        mark = "" if key in required else " (optional)"
        rows.append(f"| `{key}` | {_type(field)}{mark} | {_cell(field.get('description', ''))} |")
    yield f"### {name}\n\n{_cell(schema.get('description', ''))}\n\n" + "\n".join(rows)


def _type(field: Mapping[str, Any]) -> str:
    if "$ref" in field:
        return str(field["$ref"]).rpartition("/")[2]
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if choices := field.get("anyOf", field.get("oneOf")):
        return " or ".join(dict.fromkeys(_type(choice) for choice in choices))
    kind = field.get("type", "any")
    if kind == "array":
        return f"list of {_type(field.get('items', {}))}"
    if kind == "object":
        values = field.get("additionalProperties")
        return f"object of {_type(cast('Mapping[str, Any]', values))}" if isinstance(values, dict) else "object"
    return str(kind)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
