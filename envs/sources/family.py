"""What tells the members of the SWE-bench family apart, brought to SWE-bench 5's columns.

Members are recognised by their columns, so a local copy of a dataset is read like the dataset itself:

- **SWE-rebench**: `install_config` holds the test command and log parser, `docker_image` the image.
- **SWE-bench-Live**: `test_cmds` (a list) and a short `log_parser` name; the image is derived from the id.
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
    return Dataset(name=name, split=found.split, image=found.image) if found else Dataset(name=name)


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


def _complete(columns: dict[str, Any], command: str, setup: str, name: str) -> None:
    """Give a row the evaluation script that its test command and test patch amount to."""
    columns["test_command"] = columns.get("test_command") or (f"{setup} && {command}" if setup else command)
    if not columns.get("eval_script"):
        columns["eval_script"] = build_eval_script(
            test_patch=text(columns, "test_patch", name),
            base_commit=text(columns, "base_commit", name),
            workdir=str(columns.get("workdir") or "/testbed"),
            command=command,
            setup=setup,
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
    command = config.get("test_cmd")
    if isinstance(command, list):
        command = " && ".join(str(part) for part in cast(list[Any], command))
    if command:
        _complete(columns, str(command), CONDA, name)
    return columns


def _live(columns: dict[str, Any], name: str) -> dict[str, Any]:
    commands: Any = columns["test_cmds"]
    if hasattr(commands, "tolist"):
        commands = commands.tolist()
    if isinstance(commands, str):
        commands = [commands]
    if not isinstance(commands, list):
        raise TaskError(f"{name}: field test_cmds must be a list, not {type(commands).__name__}")
    image = columns.get("image") or columns.get("docker_image")
    identifier = str(columns.get("instance_id", "")).replace("__", "_1776_").lower()
    columns["image"] = image or _LIVE_IMAGE.format(identifier)
    parser = columns.get("log_parser")
    columns["log_parser"] = "parse_log_pytest" if parser in ("pytest", None, "") else parser
    _complete(columns, "\n".join(str(part) for part in cast(list[Any], commands)), "", name)
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
