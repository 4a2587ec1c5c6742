"""JSON Schemas of what others may read or write, generated: `python -m trajectory_hub.rollouts.schemas`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from ..envs.task import Task
from ..envs.verdict import Verdict
from .config import CONFIGS, RolloutConfig
from .events import AnyEvent

__all__ = ["FOLDER", "schemas", "write_schemas"]

FOLDER = CONFIGS / "schema"


def schemas() -> Mapping[str, dict[str, Any]]:
    """Every schema by file name."""
    return {
        "event.json": TypeAdapter[Any](AnyEvent).json_schema(mode="validation"),
        "rollout.json": RolloutConfig.model_json_schema(),
        "task.json": Task.model_json_schema(),
        "verdict.json": Verdict.model_json_schema(),
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


if __name__ == "__main__":
    for path in write_schemas():
        print(path)
