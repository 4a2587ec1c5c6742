"""The columns of each kind of data set: arrow schema, features of `datasets` and card follow from them."""

import json
from collections.abc import Mapping
from typing import Any, Literal

__all__ = ["Columns", "Kind", "arrow_schema", "columns_of", "features", "yaml_features"]

Kind = Literal["json", "jsons", "string", "strings", "int", "ints", "float", "floats", "bool"]
"""`json` is any JSON value in a column, `jsons` a list of them: messages differ in their keys, and a column of structs
would fill the missing ones with nulls."""
Columns = Mapping[str, Kind]

_SFT: Columns = {
    "task_id": "string",
    "repo": "string",
    "run_id": "string",
    "episode_id": "string",
    "agent": "string",
    "model": "string",
    "resolved": "bool",
    "stop_reason": "string",
    "process_score": "float",
    "steps": "int",
}
_STEP: Columns = {"step": "int", "reward": "float"}
_TRAJECTORY: Columns = {"rewards": "floats"}
_PREFERENCE: Columns = {"prompt": "jsons", "chosen": "jsons", "rejected": "jsons", "tools": "jsons"}
_PREFERENCE_TOKENS: Columns = dict.fromkeys(
    ("prompt_ids", "chosen_ids", "chosen_masks", "rejected_ids", "rejected_masks"), "ints"
)
_PAIR: Columns = {
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
    "ints": {"feature": {"dtype": "int32", "_type": "Value"}, "_type": "List"},
    "float": {"dtype": "float64", "_type": "Value"},
    "floats": {"feature": {"dtype": "float64", "_type": "Value"}, "_type": "List"},
    "bool": {"dtype": "bool", "_type": "Value"},
}
_YAML: Mapping[Kind, dict[str, str]] = {
    "json": {"dtype": "json"},
    "jsons": {"list": "json"},
    "string": {"dtype": "string"},
    "strings": {"list": "string"},
    "int": {"dtype": "int64"},
    "ints": {"list": "int32"},
    "float": {"dtype": "float64"},
    "floats": {"list": "float64"},
    "bool": {"dtype": "bool"},
}


def columns_of(
    kind: Literal["sft", "preference"], *, by_step: bool = False, template_kwargs: bool = False, tokens: bool = False
) -> Columns:
    """The columns of a data set: `by_step` of `sft` with one row a step, `tokens` with ids in place of messages."""
    extra: Columns = {"chat_template_kwargs": "json"} if template_kwargs and not tokens else {}
    if kind == "preference":
        return {**(_PREFERENCE_TOKENS if tokens else _PREFERENCE), **_PAIR, **extra}
    if by_step:
        told = _ids("prompt_ids", "completion_ids") if tokens else _messages("prompt", "completion")
        return {**told, **_SFT, **_STEP, **extra}
    told = _ids("input_ids", "assistant_masks") if tokens else _messages("messages")
    return {**told, **_SFT, **_TRAJECTORY, **extra}


def _ids(*names: str) -> Columns:
    return dict.fromkeys(names, "ints")


def _messages(*names: str) -> Columns:
    return dict.fromkeys((*names, "tools"), "jsons")


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
        "ints": pa.list_(pa.int32()),
        "float": pa.float64(),
        "floats": pa.list_(pa.float64()),
        "bool": pa.bool_(),
    }
    told = json.dumps({"info": {"features": features(columns)}})
    return pa.schema([(name, types[kind]) for name, kind in columns.items()], metadata={"huggingface": told})
