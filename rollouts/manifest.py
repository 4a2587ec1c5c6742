"""`run.json`: everything that says what a run is, and the refusal to resume one as something else."""

import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from .. import __version__
from ..envs.engine import Engine
from ..envs.task import Task
from ..errors import ConfigError
from ..rewards.config import load_config as load_rubric
from .config import RESUMABLE, RolloutConfig
from .events import SCHEMA_VERSION, now
from .files import write_json
from .policies.base import Policy
from .run_dir import MANIFEST, differences, read_manifest
from .run_model import PolicyRecord, RunManifest
from .scale.facts import Facts

__all__ = ["Opened", "checkout_commit", "make_manifest", "open_run", "task_digest"]

_PACKAGES = ("gymnasium", "docker", "pydantic", "httpx", "numpy", "swebench")
_SCORER = "trajectory_hub.rewards.wrapper:RubricReward"
_IDENTITY = ("config", "policy", "tasks")


@dataclass(frozen=True, slots=True)
class Opened:
    """A run directory that was made or found."""

    run_id: str
    resumed: bool


def make_manifest(
    run: Path, config: RolloutConfig, policy: Policy, tasks: Sequence[Task], engine: Engine | Facts
) -> dict[str, Any]:
    """The content of `run.json` for a new run."""
    actor = PolicyRecord(name=policy.name, version=policy.version, model=policy.model, privileged=policy.privileged)
    manifest = RunManifest(
        schema_version=SCHEMA_VERSION,
        run_id=run.resolve().name,
        created=now().isoformat(timespec="seconds"),
        config=config.model_dump(mode="json"),
        rubric=_rubric(config),
        policy=actor,
        seeds=tuple(config.all_seeds),
        tasks={task.instance_id: task_digest(task) for task in tasks},
        images={image: engine.image_id(image) for image in sorted({task.image for task in tasks if task.image})},
        versions=_versions(),
        commit=checkout_commit(),
        engine={key: engine.info.get(key) for key in ("ServerVersion", "CgroupVersion", "Driver")},
    )
    return manifest.model_dump(mode="json")


def open_run(run: Path, manifest: dict[str, Any]) -> Opened:
    """Make the run, or take up the one that is there. Raises ConfigError that names what differs."""
    path = run / MANIFEST
    old = read_manifest(run) if path.exists() else None
    if old is not None and old.get("config") is None:
        raise ConfigError(f"{run} was recorded without a runner and cannot be resumed; choose another -o")
    changes = list[str]()
    if old is not None:
        known = {**old, "config": _completed(old["config"])}
        _compare(run, known, manifest)
        changes = differences(known["config"], manifest["config"])
    kept = old or manifest
    sitting = {
        "started": now().isoformat(timespec="seconds"),
        "changed": {key: _at(manifest["config"], key) for key in changes},
    }
    write_json(path, {**kept, "sittings": [*kept["sittings"], sitting]})
    return Opened(str(kept["run_id"]), resumed=old is not None)


def _completed(config: dict[str, Any]) -> dict[str, Any]:
    """A recorded configuration with the defaults of settings that were unknown when it was recorded."""
    try:
        return RolloutConfig.model_validate(config).model_dump(mode="json")
    except ValidationError:
        return config


def _compare(run: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    changed = [
        name.removeprefix("config.")
        for part in _IDENTITY
        for name in differences(old.get(part), new[part], part)
        if name.removeprefix("config.") not in RESUMABLE
    ]
    if changed:
        shown = "\n  ".join(f"{key}: {_show(old, key)} -> {_show(new, key)}" for key in changed[:20])
        more = f"\n  and {len(changed) - 20} more" if len(changed) > 20 else ""
        raise ConfigError(
            f"{run} was begun with another configuration, so it cannot be resumed with this one:\n  {shown}{more}\n"
            "Choose another -o for a new run, or give the old values."
        )


def _show(manifest: dict[str, Any], key: str) -> str:
    value = _at(manifest, key) if key.split(".")[0] in ("policy", "tasks") and "." in key else None
    return repr(_at(manifest["config"], key) if value is None else value)


def _at(value: object, dotted: str) -> Any:
    """The value at a dotted name; keys may hold dots themselves."""
    if not dotted:
        return value
    if not isinstance(value, dict):
        return None
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        key = ".".join(parts[:end])
        if key in value:
            return _at(cast("dict[str, Any]", value)[key], ".".join(parts[end:]))
    return None


def _rubric(config: RolloutConfig) -> dict[str, Any] | None:
    """The resolved rubric, when a rubric scores the run."""
    return load_rubric(config.rubric).model_dump(mode="json") if _SCORER in config.wrappers else None


def task_digest(task: Task) -> str:
    """What `run.json` holds of a task: the first 16 digits of the SHA-256 of its JSON."""
    return sha256(task.model_dump_json().encode()).hexdigest()[:16]


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {"trajectory_hub": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return {**found, "platform": platform.platform()}


def checkout_commit() -> str | None:
    """The commit of a checkout of this package; None when it was installed from a wheel."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
