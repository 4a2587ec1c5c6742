"""Images between an engine and a registry: fetched ahead of a run, or handed on where they were built.

With a registry `R`, the image `a/b:1` is kept there as `R/a/b:1`; on the engine it has its own name.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import ImageMissing, InfrastructureError
from .engine import Engine, engine_errors

__all__ = ["Transfer", "pull_images", "push_images"]

Outcome = Literal["present", "moved", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What became of one image."""

    image: str
    outcome: Outcome
    bytes: int = 0
    """Sent over the network: compressed layers that the other side did not have."""
    why: str = ""


def pull_images(
    engine: Engine,
    images: Iterable[str],
    *,
    registry: str | None = None,
    workers: int = 4,
    done: Callable[[Transfer], None] = lambda _: None,
) -> list[Transfer]:
    """Fetch what the engine lacks, from each image's own registry or from `registry`."""
    return _each(lambda image: _pull(engine, image, registry), images, workers, done)


def push_images(
    engine: Engine,
    images: Iterable[str],
    registry: str,
    *,
    workers: int = 4,
    done: Callable[[Transfer], None] = lambda _: None,
) -> list[Transfer]:
    """Send images to `registry`."""
    return _each(lambda image: _push(engine, image, registry), images, workers, done)


def _each(
    move: Callable[[str], Transfer], images: Iterable[str], workers: int, done: Callable[[Transfer], None]
) -> list[Transfer]:
    def one(image: str) -> Transfer:
        try:
            moved = move(image)
        except InfrastructureError as error:
            moved = Transfer(image=image, outcome="failed", why=str(error))
        done(moved)
        return moved

    with ThreadPoolExecutor(workers, "trajhub-transfer") as pool:
        return list(pool.map(one, images))


def _pull(engine: Engine, image: str, registry: str | None) -> Transfer:
    if engine.has_image(image):
        return Transfer(image=image, outcome="present")
    source = f"{registry}/{image}" if registry else image
    with engine_errors(f"pulling {source}"):
        moved = _follow(engine.api.pull(*_split(source), stream=True, decode=True), source)
        if registry:
            engine.api.tag(source, *_split(image))
            engine.api.remove_image(source, noprune=True)
    return Transfer(image=image, outcome="moved", bytes=moved)


def _push(engine: Engine, image: str, registry: str) -> Transfer:
    engine.require_image(image, pull=False)
    target = f"{registry}/{image}"
    with engine_errors(f"pushing {target}"):
        engine.api.tag(image, *_split(target))
        try:
            moved = _follow(engine.api.push(*_split(target), stream=True, decode=True), target)
        finally:
            engine.api.remove_image(target, noprune=True)
    return Transfer(image=image, outcome="moved" if moved else "present", bytes=moved)


def _follow(progress: Iterable[Mapping[str, Any]], image: str) -> int:
    """Bytes of the layers that were moved. Raises ImageMissing with the engine's word."""
    layers: dict[str, int] = {}
    for line in progress:
        if "error" in line:
            raise ImageMissing(f"{image}: {line['error']}")
        if line.get("status") in ("Downloading", "Pushing", "Pushed", "Download complete"):
            detail: Mapping[str, Any] = line.get("progressDetail") or {}
            size = max(int(detail.get("total") or 0), int(detail.get("current") or 0))
            layers[str(line.get("id"))] = max(layers.get(str(line.get("id")), 0), size)
    return sum(layers.values())


def _split(image: str) -> tuple[str, str]:
    """Repository and tag, or digest."""
    name, at, digest = image.partition("@")
    if at:
        return name, digest
    head, colon, tag = image.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (image, "latest")
