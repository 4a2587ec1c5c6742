"""The columns of each kind of data set: arrow schema, features of `datasets` and card follow from them."""

import json
from collections.abc import Mapping
from typing import Any, Literal

__all__ = ["Columns", "Kind", "arrow_schema", "columns_of", "features", "yaml_features"]

Kind = Literal["json", "jsons", "string", "strings", "int", "float", "bool"]
"""`json` is any JSON value in a column, `jsons` a list of them: messages differ in their keys, and a column of structs
would fill the missing ones with nulls."""
Columns = Mapping[str, Kind]

_SFT: Columns = {
    "tools": "jsons",
    "task_id": "string",
    "repo": "string",
    "run_id": "string",
    "episode_id": "string",
    "agent": "string",
    "model": "string",
    "resolved": "bool",
    "process_score": "float",
    "steps": "int",
}
_STEP: Columns = {"step": "int", "reward": "float"}
_PREFERENCE: Columns = {
    "prompt": "jsons",
    "chosen": "jsons",
    "rejected": "jsons",
    "tools": "jsons",
    "pair_id": "string",
    "level": "string",
    "task_id": "string",
    "repo": "string",
    "step": "int",
    "reason": "string",
    "why": "string",
    "layers": "strings",
    "margin": "float",
    "confidence": "float",
    "basis": "string",
    "chosen_value": "float",
    "rejected_value": "float",
    "chosen_rollouts": "int",
    "rejected_rollouts": "int",
    "chosen_episode": "string",
    "rejected_episode": "string",
}
_FEATURES: Mapping[Kind, dict[str, Any]] = {
    "json": {"_type": "Json"},
    "jsons": {"feature": {"_type": "Json"}, "_type": "List"},
    "string": {"dtype": "string", "_type": "Value"},
    "strings": {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"},
    "int": {"dtype": "int64", "_type": "Value"},
    "float": {"dtype": "float64", "_type": "Value"},
    "bool": {"dtype": "bool", "_type": "Value"},
}
_YAML: Mapping[Kind, dict[str, str]] = {
    "json": {"dtype": "json"},
    "jsons": {"list": "json"},
    "string": {"dtype": "string"},
    "strings": {"list": "string"},
    "int": {"dtype": "int64"},
    "float": {"dtype": "float64"},
    "bool": {"dtype": "bool"},
}


def columns_of(kind: Literal["sft", "preference"], *, by_step: bool = False, template_kwargs: bool = False) -> Columns:
    """The columns of a data set: `by_step` of `sft` with one row a step."""
    extra: Columns = {"chat_template_kwargs": "json"} if template_kwargs else {}
    if kind == "preference":
        return {**_PREFERENCE, **extra}
    if by_step:
        return {"prompt": "jsons", "completion": "jsons", **_SFT, **_STEP, **extra}
    return {"messages": "jsons", **_SFT, **extra}


def features(columns: Columns) -> dict[str, Any]:
    """The features as `datasets.Features.from_dict` reads them."""
    return {name: _FEATURES[kind] for name, kind in columns.items()}


def yaml_features(columns: Columns) -> list[dict[str, str]]:
    """The features as the header of a data card holds them."""
    return [{"name": name, **_YAML[kind]} for name, kind in columns.items()]


def arrow_schema(columns: Columns) -> Any:
    """The schema of the parquet file, with the features in its metadata, where `datasets` looks for them."""
    import pyarrow as arrow  # pyright: ignore[reportMissingTypeStubs]

    pa: Any = arrow
    types = {
        "json": pa.json_(pa.utf8()),
        "jsons": pa.list_(pa.json_(pa.utf8())),
        "string": pa.string(),
        "strings": pa.list_(pa.string()),
        "int": pa.int64(),
        "float": pa.float64(),
        "bool": pa.bool_(),
    }
    told = json.dumps({"info": {"features": features(columns)}})
    return pa.schema([(name, types[kind]) for name, kind in columns.items()], metadata={"huggingface": told})
