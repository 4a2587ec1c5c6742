"""The folder that training writes: begun once, finished once, and never mixed with another configuration."""

import json
import platform
import shutil
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from errno import ENOSPC
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ... import __version__
from ...errors import ConfigError, DiskFull
from ...rollouts.files import room_for, sha256_of, write_json
from ...rollouts.manifest import checkout_commit
from ...rollouts.run_dir import differences
from .config import TrainConfig

__all__ = [
    "CARD",
    "CHECKPOINTS",
    "MANIFEST",
    "METRICS",
    "PREPARED",
    "SCHEMA_VERSION",
    "Output",
    "Trained",
    "code_facts",
    "disk_errors",
]

SCHEMA_VERSION = "1.0"
MANIFEST = "training.json"
METRICS = "metrics.jsonl"
CARD = "README.md"
CHECKPOINTS = "checkpoints"
PREPARED = "prepared"
_BEGUN = "begun.json"
_COMPLETE = "complete.json"
_FREE = {"output", "logging_steps", "save_steps", "keep_checkpoints", "report_to", "eval_batch_size"}
"""Settings that may change on resume: none of them changes what is learnt."""
_PLACES = {"data", "tasks", "eval_tasks"}
"""Where something lies. What lies there is compared by its checksums; evaluation tasks are looked through each time."""
_LEFT = {".lock", PREPARED}
"""What a training leaves that was stopped before it began."""
_PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "bitsandbytes", "deepspeed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A checkpoint that is finished."""

    output: Path
    manifest: Mapping[str, Any]
    kept: bool = False
    """It was there already, with the same configuration and data; nothing was trained."""


class Output:
    """The folder of one training."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.folder = Path(config.output)
        self.checkpoints = self.folder / CHECKPOINTS

    def finished(self, data: Sequence[Mapping[str, Any]]) -> Trained | None:
        """What is there when it is finished; None when there is nothing, or something to resume.

        Raises ConfigError that names what differs when it was made by another configuration or of other data.
        """
        for name in (MANIFEST, _BEGUN):
            path = self.folder / name
            if path.exists():
                if name == _BEGUN and not self._whole():
                    return None  # it ended before its first checkpoint: no other configuration can spoil it
                found: dict[str, Any] = json.loads(path.read_text("utf-8"))
                self._compare(found, data)
                return Trained(output=self.folder, manifest=found, kept=True) if name == MANIFEST else None
        if self.folder.exists() and any(path.name not in _LEFT for path in self.folder.iterdir()):
            raise ConfigError(f"{self.folder} holds something else; choose another output")
        return None

    def _compare(self, found: Mapping[str, Any], data: Sequence[Mapping[str, Any]]) -> None:
        was, now = found["config"], self.config.model_dump(mode="json")
        changed = [key for key in differences(was, now) if key.partition(".")[0] not in _FREE | _PLACES]
        if found["algorithm"] != self.config.algorithm:
            changed.insert(0, "algorithm")
        if not changed and _sums(found["data"]) != _sums(data):
            changed = ["data (its files have other checksums)"]
        if changed:
            raise ConfigError(
                f"{self.folder} was trained with another configuration; what differs: {', '.join(changed)}. "
                "Choose another output, or give the old values"
            )

    def check_room(self, needed: int) -> None:
        """Make the folder. Raises DiskFull when less than `needed` bytes are free there."""
        with room_for(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise DiskFull(
                f"{self.folder} has {_size(free)} left, and training writes up to {_size(needed)} there "
                "(weights, and checkpoints with the state of the optimizer); free some room, or choose another output"
            )

    def begin(self, data: Sequence[Mapping[str, Any]]) -> None:
        """Say in the folder what it is for: everything is checked, and training begins."""
        told = {
            "algorithm": self.config.algorithm,
            "config": self.config.model_dump(mode="json"),
            "data": list(data),
            "code": code_facts(),
        }
        write_json(self.folder / _BEGUN, told)

    def _whole(self) -> list[Path]:
        """Checkpoints that were written whole."""
        return [path.parent for path in self.checkpoints.glob(f"checkpoint-*/{_COMPLETE}")]

    def resumable(self) -> tuple[Path, Mapping[str, Any]] | None:
        """The last complete checkpoint and what was counted by then; half-written ones are removed."""
        found = sorted(self.checkpoints.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
        for path in reversed(found):
            if (path / _COMPLETE).exists():
                return path, json.loads((path / _COMPLETE).read_text("utf-8"))
            shutil.rmtree(path)
        return None

    def complete(self, step: int, counted: Mapping[str, Any]) -> None:
        """The checkpoint of a step is written whole."""
        write_json(self.checkpoints / f"checkpoint-{step}" / _COMPLETE, dict(counted))

    def finish(self, manifest: Mapping[str, Any]) -> Trained:
        """Write the manifest and clear away what only resuming needs."""
        write_json(self.folder / MANIFEST, manifest)
        (self.folder / _BEGUN).unlink(missing_ok=True)
        shutil.rmtree(self.folder / PREPARED, ignore_errors=True)
        if not self.config.keep_checkpoints:
            shutil.rmtree(self.checkpoints, ignore_errors=True)
        return Trained(output=self.folder, manifest=manifest)

    def weights(self) -> list[dict[str, Any]]:
        """Name, size and SHA-256 of the files of the checkpoint."""
        files = sorted(path for path in self.folder.iterdir() if path.is_file() and path.name not in _OWN)
        return [{"name": path.name, "bytes": path.stat().st_size, "sha256": sha256_of(path)} for path in files]


_OWN = {MANIFEST, METRICS, _BEGUN, CARD, ".lock"}


@contextmanager
def disk_errors(folder: Path) -> Generator[None]:
    """Turns what the libraries raise when a disk is full into DiskFull; a resume goes on from the last checkpoint."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        full = getattr(error, "errno", None) == ENOSPC or "no space left" in str(error).lower()
        if not full and "unexpected pos" not in str(error):  # torch's writer, cut off in the middle
            raise
        raise DiskFull(f"cannot write to {folder}: the disk is full; free some room and start again") from error


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def code_facts() -> dict[str, Any]:
    """Version and commit of this package, and the versions of what it trains with."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return {"version": __version__, "commit": checkout_commit(), "versions": found, "platform": platform.platform()}


def _sums(data: Sequence[Mapping[str, Any]]) -> list[str]:
    return [file["sha256"] for source in data for file in source["files"] if file["read"]]
