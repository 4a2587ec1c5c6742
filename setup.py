"""Puts `trajectory-hub.pth` beside the package (see envs/plugin.py); everything else is in pyproject.toml."""

import shutil
import zipfile
from pathlib import Path
from typing import Any, cast

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

PTH = "trajectory-hub.pth"
TOOLS = ("conftest", "setup")
"""Modules beside the package's own, for pytest and setuptools: they are not installed."""


class BuildPy(build_py):
    """The usual build, and the .pth file at the root of the wheel."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        """Package, name and file of each module."""
        modules = super().find_package_modules  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        found: list[tuple[str, str, str]] = cast("Any", modules)(package, package_dir)
        return [module for module in found if module[1] not in TOOLS]

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            Path(self.build_lib).mkdir(parents=True, exist_ok=True)
            shutil.copy(PTH, self.build_lib)


class EditableWheel(editable_wheel):
    """The usual editable wheel, and the .pth file at its root. Its name sorts after setuptools' own, which it needs."""

    def run(self) -> None:
        super().run()
        for wheel in Path(self.dist_dir).glob("agent_trajectory_hub-*editable*.whl"):
            with zipfile.ZipFile(wheel, "a") as archive:
                if PTH not in archive.namelist():
                    archive.write(PTH)


setup(cmdclass={"build_py": BuildPy, "editable_wheel": EditableWheel})
