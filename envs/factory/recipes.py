"""How the package images of a task repo are made again on another machine: `images/<tag>.json` beside `tasks/`."""

import json
import re
from pathlib import Path

from ...errors import ImageMissing
from ..engine import Engine
from ..images import build_image
from ..sources.task_repo import expected_image
from .catalogue import Catalogue
from .distributions import fetch, read_tree
from .package_images import PackageImage, ensure_package_image, testbed_tree

__all__ = ["ensure_task_image", "write_recipe"]


def _path(folder: Path, image: str) -> Path:
    return folder / "images" / f"{image.split(':')[-1]}.json"


def write_recipe(folder: Path, catalogue: Catalogue, image: PackageImage) -> None:
    """Keep what an image is made from: the part of the catalogue that determines it."""
    path = _path(folder, image.name)
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    one = image.package.model_copy(
        update={
            "releases": (),
            "inject": image.version,
            "sdists": (image.package.sdist(image.version),),
        }
    )
    part = catalogue.model_copy(update={"packages": (one,)})
    path.write_text(json.dumps({"image": image.name, "catalogue": part.model_dump(mode="json")}, indent=2) + "\n")


def ensure_task_image(engine: Engine, folder: Path, instance_id: str) -> str:
    """The name of a task's image, built from its Dockerfile when this engine lacks it. Raises ImageMissing."""
    name = expected_image(instance_id)
    if engine.has_image(name):
        return name
    home = folder / "tasks" / instance_id
    dockerfile = home / "Dockerfile"
    if not dockerfile.is_file():
        raise ImageMissing(f"the image {name} is not on this engine, and {home} has no Dockerfile to build it from")
    parent = re.search(r"^FROM (\S+)", dockerfile.read_text(encoding="utf-8"), re.MULTILINE)
    if parent and not engine.has_image(parent[1]):
        _ensure_parent(engine, folder, parent[1])
    context = {
        str(path.relative_to(home)): path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file() and (path == dockerfile or home / "tree" in path.parents)
    }
    executable = {path for path in context if (home / path).stat().st_mode & 0o100}
    build_image(engine, name, context, executable=executable)
    return name


def _ensure_parent(engine: Engine, folder: Path, parent: str) -> None:
    path = _path(folder, parent)
    if not path.is_file():
        engine.require_image(parent)
        return
    catalogue = Catalogue.model_validate(json.loads(path.read_text(encoding="utf-8"))["catalogue"])
    package = catalogue.packages[0]
    tree = testbed_tree(read_tree(fetch(package.sdist(package.inject))), package)
    made = ensure_package_image(engine, catalogue, package, package.inject, tree)
    if made.name != parent:
        raise ImageMissing(f"the recipe {path} makes {made.name}, the task needs {parent}; build the tasks again")
