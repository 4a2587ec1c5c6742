"""Hundreds of images in seconds: one archive that holds a thin layer each, and names the base image's layers only.

`docker load` takes layers that the engine has already from there. An engine that insists on having them in the archive
gets the images by a build from their Dockerfiles instead.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ...errors import InfrastructureError
from ..engine import Engine, engine_errors
from ..images import build_image

__all__ = ["LAYER", "ThinImage", "dockerfile", "ensure_images"]

LAYER = "layer.tar.gz"
"""What a Dockerfile unpacks."""
_MARK = "trajhub.layer"
"""Label of an image: what it was made of. Tasks of another version may have the same names."""
_AT_ONCE = 100
_CREATED = "2000-01-01T00:00:00Z"


class ThinImage:
    """One layer on top of a base image, under one or more names."""

    def __init__(self, names: Sequence[str], layer: Callable[[], bytes]) -> None:
        self.names = tuple(names)
        self.layer = layer
        """Makes the layer, an archive that is not compressed."""


def dockerfile(base: str) -> str:
    """How such an image is built without this module."""
    return f"FROM {base}\nADD {LAYER} /\nWORKDIR /testbed\n"


def ensure_images(
    engine: Engine, base: str, images: Sequence[ThinImage], advance: Callable[[int], object] = lambda count: None
) -> int:
    """Make the images that the engine lacks; how many these were. Raises InfrastructureError."""
    with engine_errors(f"looking up image {base}"):
        told: Mapping[str, Any] = engine.api.inspect_image(base)
    missing = [image for image in images if not _made(engine, told, image)]
    advance(len(images) - len(missing))
    for start in range(0, len(missing), _AT_ONCE):
        batch = missing[start : start + _AT_ONCE]
        _load(engine, told, batch)
        for image in batch:
            if not _made(engine, told, image):
                _build(engine, base, image, _made_of(told, image.layer()))
        advance(len(batch))
    return len(missing)


def _made_of(base: Mapping[str, Any], layer: bytes) -> str:
    return hashlib.sha256(base["Id"].encode() + layer).hexdigest()


def _made(engine: Engine, base: Mapping[str, Any], image: ThinImage) -> bool:
    """Whether the engine has it under all its names, made of the same."""
    ids = {engine.image_id(name) for name in image.names}
    if len(ids) != 1 or (found := ids.pop()) is None:
        return False
    with engine_errors(f"looking up image {found}"):
        labels: Mapping[str, str] = engine.api.inspect_image(found)["Config"].get("Labels") or {}
    return labels.get(_MARK) == _made_of(base, image.layer())


def _load(engine: Engine, base: Mapping[str, Any], images: Sequence[ThinImage]) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in _archived(base, images):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    try:
        with engine_errors("loading images"):
            for _ in engine.api.load_image(buffer.getvalue()):
                pass
    except InfrastructureError:
        return  # an engine that refuses the archive: the images are built one by one


def _archived(base: Mapping[str, Any], images: Sequence[ThinImage]) -> Iterator[tuple[str, bytes]]:
    """The files of an archive as `docker save` writes it, without the layers of the base image."""
    below: list[str] = base["RootFS"]["Layers"]
    manifest = list[dict[str, Any]]()
    for image in images:
        layer = image.layer()
        digest = hashlib.sha256(layer).hexdigest()
        config = {
            "architecture": base["Architecture"],
            "os": base["Os"],
            "created": _CREATED,
            "config": {**base["Config"], "WorkingDir": "/testbed", "Labels": {_MARK: _made_of(base, layer)}},
            "rootfs": {"type": "layers", "diff_ids": [*below, f"sha256:{digest}"]},
        }
        text = json.dumps(config, sort_keys=True).encode()
        name = f"{hashlib.sha256(text).hexdigest()}.json"
        paths = [f"{identity.removeprefix('sha256:')}/layer.tar" for identity in (*below, digest)]
        yield name, text
        yield paths[-1], layer
        manifest.append({"Config": name, "RepoTags": list(image.names), "Layers": paths})
    yield "manifest.json", json.dumps(manifest).encode()


def _build(engine: Engine, base: str, image: ThinImage, made_of: str) -> None:
    first, *others = image.names
    recipe = f"{dockerfile(base)}LABEL {_MARK}={made_of}\n"
    files = {"Dockerfile": recipe.encode(), LAYER: image.layer()}
    build_image(engine, first, files)
    for name in others:
        repository, _, tag = name.rpartition(":")
        with engine_errors(f"naming {name}"):
            engine.api.tag(first, repository, tag)
