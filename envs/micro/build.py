"""From a configuration to task repos on disk, one a split, and their images on an engine."""

import gzip
import json
from collections.abc import Callable, Iterable
from functools import partial
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from ...errors import TaskError
from ..engine import Engine
from ..factory.catalogue import load_catalogue
from ..images import ensure_python_image
from ..sources.task_repo import expected_image, write_task, write_task_repo
from .images import LAYER, ThinImage, dockerfile, ensure_images
from .names import SPLITS, Split
from .packages import WORKDIR, MicroPackage, make_packages
from .repository import git_files, layer

__all__ = ["DATASET", "MicroConfig", "build_micro", "ensure_micro_images", "micro_packages", "write_micro"]

DATASET = "trajhub/micro"
_CONFIG = "micro.json"
_RUNNER = "opt/microtest.py"


class MicroConfig(BaseModel):
    """How many tasks."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    train: int = Field(default=1000, ge=0)
    dev: int = Field(default=100, ge=0)
    eval: int = Field(default=300, ge=0)
    modules: int = Field(default=10, ge=1)
    """Tasks that share a repository, and an image."""
    seed: int = 0

    def packages(self, split: Split) -> Iterable[MicroPackage]:
        """The packages of a split."""
        return make_packages(split, getattr(self, split), modules=self.modules, seed=self.seed)


def build_micro(
    folder: Path, config: MicroConfig, engine: Engine, *, advance: Callable[[int], object] = lambda count: None
) -> dict[Split, Path]:
    """Write the tasks, and make what images the engine lacks; the task repo of each split.

    What is there is kept. `advance` hears of packages whose image is there. Raises TaskError as `write_micro` does.
    """
    done = write_micro(folder, config, _ensure_base(engine))
    ensure_micro_images(engine, [package for split in done for package in config.packages(split)], advance)
    return done


def write_micro(folder: Path, config: MicroConfig, base: str) -> dict[Split, Path]:
    """Write `folder`/<split> as a task repo for each split that has tasks; `base` is the image that all build on.

    A folder that is complete is kept. Raises TaskError when it holds tasks of another configuration.
    """
    done: dict[Split, Path] = {split: folder / split for split in SPLITS if getattr(config, split)}
    said = {**config.model_dump(), "base": base}
    note = folder / _CONFIG
    if not note.exists():
        for split, home in done.items():
            _write_split(split, home, config, base)
        note.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    elif json.loads(note.read_text(encoding="utf-8")) != said:
        raise TaskError(f"{folder} holds micro tasks of another configuration; choose another folder, or remove it")
    return done


def ensure_micro_images(
    engine: Engine, packages: Iterable[MicroPackage], advance: Callable[[int], object] = lambda count: None
) -> int:
    """Make the images that the engine lacks; how many these were."""
    images = [ThinImage([expected_image(m.instance_id) for m in p.modules], partial(_layer, p)) for p in packages]
    return ensure_images(engine, _ensure_base(engine), images, advance)


def micro_packages(config: MicroConfig) -> int:
    """How many packages a configuration asks for."""
    return sum(-(-getattr(config, split) // config.modules) for split in SPLITS)


def _write_split(split: Split, home: Path, config: MicroConfig, base: str) -> None:
    for package in config.packages(split):
        copied = {LAYER: gzip.compress(_layer(package), mtime=0)}
        for task in package.tasks():
            write_task(task, home, dockerfile=dockerfile(base), files=copied, dataset=DATASET, split=split)
    write_task_repo((), home, dockerfiles={}, dataset=DATASET, split=split)


def _layer(package: MicroPackage) -> bytes:
    """The repository, and the runner of its tests beside it."""
    inside = {**package.files, **{f".git/{path}": data for path, data in git_files(package.files).items()}}
    runner = (files("trajectory_hub.envs.micro") / "microtest.py").read_bytes()
    return layer({_RUNNER: runner, **{f"{WORKDIR[1:]}/{path}": data for path, data in inside.items()}})


def _ensure_base(engine: Engine) -> str:
    base = load_catalogue().base
    return ensure_python_image(engine, base.image, base.suite, base.include)
