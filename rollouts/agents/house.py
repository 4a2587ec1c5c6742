"""Agents that are installed once, in a system of their own, and carried from there into the images of tasks.

An agent may need a newer Python than a task's image has, and must not use the task's. What its install step leaves in
the folder `FOLDER` of its house runs in any image, since it brings its own interpreter and C library (see
`portable_python.sh`).
"""

import json
from collections.abc import Mapping
from importlib.resources import files

from ...envs.engine import Engine
from ...envs.images import build_image, ensure_root_image
from .recipe import House

__all__ = ["FOLDER", "INCLUDE", "PORTABLE_PYTHON", "PORTABLE_PYTHON_PATH", "build_house", "carry"]

FOLDER = "/opt/trajhub-agent"
PORTABLE_PYTHON = (files("trajectory_hub.rollouts.agents") / "portable_python.sh").read_text("utf-8")
PORTABLE_PYTHON_PATH = "/usr/local/bin/portable-python"
INCLUDE = ("ca-certificates", "git", "python3", "python3-pip", "python3-venv")
"""Packages of a house that `debootstrap` makes."""


def build_house(engine: Engine, house: House) -> str:
    """The image of an empty house: pulled, or made from Debian's packages. Raises ImageMissing."""
    return ensure_root_image(engine, house.image, house.suite, INCLUDE, f"trajhub/debian:{house.suite}")


def carry(engine: Engine, house: str, image: str, name: str, labels: Mapping[str, str]) -> None:
    """Build `name`: a task's `image` with what was installed in the image `house`. Raises ImageMissing."""
    told = " ".join(f"{key}={json.dumps(value)}" for key, value in labels.items())
    dockerfile = f"FROM {image}\nCOPY --from={house} {FOLDER} {FOLDER}\nLABEL {told}\n"
    build_image(engine, name, {"Dockerfile": dockerfile.encode()})
