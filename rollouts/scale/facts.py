"""What the nodes of a run have: stands in for an engine where the run is described."""

from collections.abc import Mapping
from typing import Any

from .messages import Greeting

__all__ = ["Facts"]


class Facts:
    """Greetings of all hosts, of which there is at least one, by name."""

    def __init__(self, greetings: Mapping[str, Greeting]) -> None:
        self._greetings = dict(greetings)

    @property
    def info(self) -> Mapping[str, Any]:
        """What the first host's daemon says of itself."""
        return next(iter(self._greetings.values())).engine

    def image_id(self, name: str) -> str | None:
        """The id of an image where it is; None when it is nowhere."""
        found = (greeting.images.get(name) for greeting in self._greetings.values())
        return next((image for image in found if image is not None), None)

    def notices(self) -> list[str]:
        """Images that some node lacks, or has in another build."""
        said = list[str]()
        for host, greeting in self._greetings.items():
            lacking = [name for name, image in greeting.images.items() if image is None]
            others = [name for name, image in greeting.images.items() if image not in (None, self.image_id(name))]
            if lacking:
                said.append(
                    f"{host} lacks {len(lacking)} of {len(greeting.images)} images, {lacking[0]} for example: each is "
                    "pulled when it is first needed, or run `trajhub tasks pull` there beforehand"
                )
            if others:
                said.append(
                    f"{host} has another build of {len(others)} images, {others[0]} for example, than another node: "
                    "results may depend on the node; distribute images by a registry, pinned by digest"
                )
        return said
