"""What is evaluated: predictions, a policy, or a model to be served."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

from ...errors import UsageError
from ...rollouts.files import sha256_of
from ...rollouts.serving.checkpoint import check_model

__all__ = ["Subject", "checkpoint_digest", "subject_of"]

Kind = Literal["model", "policy", "predictions"]
_POLICIES = ("random", "reference", "scripted:", "chat:", "vllm:")
_FILES = (".json", ".jsonl")
_PARTS = ("*.json", "*.safetensors", "*.bin", "*.model", "*.txt", "*.jinja")
_MANIFEST = "training.json"


@dataclass(frozen=True, slots=True)
class Subject:
    """What is evaluated."""

    kind: Kind
    text: str
    """As given: a checkpoint's folder or a model's name, a policy, or files with commas between."""
    sha256: str | None = None
    """Of a checkpoint's files, or of the predictions; None for what lies elsewhere."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The predictions, one file a seed."""
        return tuple(Path(part) for part in self.text.split(",") if part)


def subject_of(text: str) -> Subject:
    """What the user means: files are predictions, a folder is a checkpoint, `KIND:...` a policy, else a model's name.

    Raises ConfigError for a folder that holds no model, and UsageError for a file that is missing.
    """
    paths = [Path(part) for part in text.split(",") if part]
    if paths and all(path.suffix in _FILES for path in paths):
        absent = next((path for path in paths if not path.is_file()), None)
        if absent is not None:
            raise UsageError(f"there is no file {absent}")
        return Subject("predictions", text, _together({str(n): sha256_of(path) for n, path in enumerate(paths)}))
    if Path(text).is_dir():
        return Subject("model", text, checkpoint_digest(Path(text)))
    if text.startswith(_POLICIES):
        return Subject("policy", text)
    if text.startswith((".", "/")) or not text.strip():
        raise UsageError(f"there is no checkpoint {text!r}; give a folder, predictions, a policy or a model's name")
    kind, _, factory = text.partition(":")
    return Subject("policy" if "." in kind and factory.isidentifier() else "model", text)


def checkpoint_digest(folder: Path) -> str:
    """SHA-256 over names and contents of the files that make a model. Raises ConfigError when there is none, or half.

    The training manifest is left out: it tells of other places than the checkpoint itself.
    """
    files = sorted({path for pattern in _PARTS for path in folder.glob(pattern) if path.name != _MANIFEST})
    check_model(str(folder))
    return _together({path.name: sha256_of(path) for path in files})


def _together(digests: Mapping[str, str]) -> str:
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(digests.items()))
    return sha256(lines.encode()).hexdigest()
