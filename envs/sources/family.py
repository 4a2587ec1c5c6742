"""What tells the members of the SWE-bench family apart, brought to SWE-bench 5's columns.

Members are recognised by their columns, so a local copy of a dataset is read like the dataset itself:

- **SWE-rebench**: `install_config` holds the test command and log parser, `docker_image` (V1) or `image_name` (V2 and
  the leaderboard) the image; in V2, which has a `language`, the repository is at `/<name>` and no conda is active.
- **SWE-bench-Live**: `test_cmds` (a list) and a short `log_parser` name; the image is `docker_image` or derived from
  the id. Its later parts add `rebuild_cmds` and `print_cmds`, and their `log_parser` is the source of one.
- **SWE-smith**: `patch` is the *bug*, `image_name` the image; the base is the branch named like the instance.
- **SWE-Gym**, classic **SWE-bench**: neither image nor evaluation script; named datasets derive the image.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from ...errors import TaskError
from ..patches import reverse
from .eval_script import CONDA, build_eval_script
from .rows import text

__all__ = ["ALIASES", "Dataset", "known_dataset", "normalise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A dataset that can be named."""

    name: str
    split: str = "test"
    image: str | None = None
    """Template of the image of a row that names none."""


_CLASSIC = "swebench/sweb.eval.x86_64.{instance_id_1776}:latest"
_GYM = "xingyaoww/sweb.eval.x86_64.{instance_id_s}:latest"
ALIASES: Mapping[str, Dataset] = {
    "swe-bench": Dataset(name="SWE-bench/SWE-bench", image=_CLASSIC),
    "verified": Dataset(name="SWE-bench/SWE-bench_Verified", image=_CLASSIC),
    "lite": Dataset(name="SWE-bench/SWE-bench_Lite", image=_CLASSIC),
    "multilingual": Dataset(name="SWE-bench/SWE-bench_Multilingual", image=_CLASSIC),
    "multimodal": Dataset(name="SWE-bench/SWE-bench_Multimodal", split="dev", image=_CLASSIC),
    "live": Dataset(name="SWE-bench-Live/SWE-bench-Live"),
    "rebench": Dataset(name="nebius/SWE-rebench"),
    "rebench-v2": Dataset(name="nebius/SWE-rebench-V2", split="train"),
    "rebench-leaderboard": Dataset(name="nebius/SWE-rebench-leaderboard"),
    "gym": Dataset(name="SWE-Gym/SWE-Gym", split="train", image=_GYM),
    "gym-lite": Dataset(name="SWE-Gym/SWE-Gym-Lite", split="train", image=_GYM),
    "smith": Dataset(name="SWE-bench/SWE-smith", split="train"),
    "pro": Dataset(name="ScaleAI/SWE-bench_Pro"),
}
_OLD_NAMES = {"princeton-nlp": "SWE-bench"}
_LIVE_IMAGE = "starryzhang/sweb.eval.x86_64.{}:latest"


def known_dataset(name: str) -> Dataset:
    """The dataset of an alias or of a full name; a name that is not known is taken as it is."""
    short = name.lower().replace("_", "-")
    for prefix in ("swe-bench-", "swebench-", "swe-"):
        if short not in ALIASES and short.removeprefix(prefix) in ALIASES:
            short = short.removeprefix(prefix)
    if short in ALIASES:
        return ALIASES[short]
    owner, _, rest = name.partition("/")
    full = f"{_OLD_NAMES.get(owner, owner)}/{rest}".lower()
    found = next((entry for entry in ALIASES.values() if entry.name.lower() == full), None)
    if found is not None:
        return Dataset(name=name, split=found.split, image=found.image)
    # Of SWE-smith there is one dataset a language, such as SWE-bench/SWE-smith-java.
    return Dataset(name=name, split="train" if full.startswith("swe-bench/swe-smith") else "test")


def normalise(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The row with SWE-bench 5's columns filled from those of its own dataset; nothing is removed."""
    columns = dict(row)
    if columns.get("install_config"):
        return _rebench(columns, name)
    if columns.get("test_cmds"):
        return _live(columns, name)
    if columns.get("image_name") and not columns.get("base_commit"):
        return _smith(columns, name)
    return columns


def _complete(columns: dict[str, Any], command: str, name: str, *, setup: str = "", prepare: str = "") -> None:
    """Give a row the evaluation script that its test command and test patch amount to."""
    parts = [part for part in (setup, prepare, command) if part]
    several = any("\n" in part for part in parts)
    columns["test_command"] = columns.get("test_command") or ("\n" if several else " && ").join(parts)
    if not columns.get("eval_script"):
        columns["eval_script"] = build_eval_script(
            test_patch=text(columns, "test_patch", name),
            base_commit=text(columns, "base_commit", name),
            workdir=str(columns.get("workdir") or "/testbed"),
            command=command,
            setup=setup,
            prepare=prepare,
        )


def _object(columns: Mapping[str, Any], field: str, name: str) -> Mapping[str, Any]:
    value: Any = columns[field]
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise TaskError(f"{name}: field {field} is not valid JSON: {error}") from None
    if not isinstance(value, Mapping):
        raise TaskError(f"{name}: field {field} must be an object, not {type(value).__name__}")
    return cast(Mapping[str, Any], value)


def _rebench(columns: dict[str, Any], name: str) -> dict[str, Any]:
    config = _object(columns, "install_config", name)
    image = columns.get("image") or columns.get("docker_image") or columns.get("image_name")
    columns["image"] = image or None
    columns["log_parser"] = columns.get("log_parser") or config.get("log_parser")
    many_languages = bool(columns.get("language"))
    if many_languages and not columns.get("workdir"):
        columns["workdir"] = "/" + str(columns.get("repo", "")).rpartition("/")[2]
    command = "\n".join(_commands(config, "test_cmd", name))
    if command:
        _complete(columns, command, name, setup="" if many_languages else CONDA)
    return columns


def _commands(columns: Mapping[str, Any], field: str, name: str) -> list[str]:
    """Command lines that are given as a list or as one text; none when the field is absent."""
    value: Any = columns.get(field)
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, str):
        return [value] if value.strip() else []
    if value is not None and not isinstance(value, list):
        raise TaskError(f"{name}: field {field} must be a list, not {type(value).__name__}")
    return [str(part) for part in cast(list[Any], value or [])]


def _live(columns: dict[str, Any], name: str) -> dict[str, Any]:
    fields = ("rebuild_cmds", "test_cmds", "print_cmds")
    rebuild, tests, shown = (_commands(columns, field, name) for field in fields)
    image = columns.get("image") or columns.get("docker_image")
    identifier = str(columns.get("instance_id", "")).replace("__", "_1776_").lower()
    columns["image"] = image or _LIVE_IMAGE.format(identifier)
    parser = str(columns.get("log_parser") or "pytest").strip()
    if "\n" in parser or "def " in parser:
        # The source of a parser is nobody's code to run here: the task lacks a parser of the swebench package.
        columns["log_parser_source"], columns["log_parser"] = parser, None
    else:
        columns["log_parser"] = "parse_log_pytest" if parser.lower() == "pytest" else parser
    _complete(columns, "\n".join([*tests, *shown]), name, prepare="\n".join(rebuild))
    return columns


def _smith(columns: dict[str, Any], name: str) -> dict[str, Any]:
    bug = text(columns, "patch", name)
    columns["bug_patch"] = bug
    try:
        columns["patch"] = reverse(bug)
    except ValueError as error:
        raise TaskError(f"{name}: field patch: {error}") from None
    columns["base_commit"] = columns.get("instance_id")
    columns["image"] = columns.get("image") or columns["image_name"]
    return columns
