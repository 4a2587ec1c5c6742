"""The catalogue: which packages tasks are made from, pinned by version and sha256."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ...errors import ConfigError

__all__ = ["DEFAULT_CATALOGUE", "Base", "Catalogue", "Distribution", "Package", "load_catalogue"]

DEFAULT_CATALOGUE = Path(__file__).parents[2] / "configs" / "catalogue.yaml"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Distribution(_Strict):
    """One file of the package index."""

    name: str
    version: str
    file: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Base(_Strict):
    """The image under every task."""

    image: str
    """Pulled when a registry answers; pinned by digest."""
    suite: str
    """The Debian release that `debootstrap` installs when none does."""
    include: tuple[str, ...]
    """Debian packages that both ways end up with."""


class Package(_Strict):
    """A package with its tests, the versions used and what is made of them."""

    name: str
    repo: str
    """`owner/name` of its upstream repository."""
    licence: str
    """SPDX expression."""
    source: str = "."
    """Folder of the sdist that is put on `sys.path`."""
    modules: tuple[str, ...]
    """Import packages and modules, relative to `source`."""
    tests: tuple[str, ...]
    """Files and folders that hold tests."""
    ignore: tuple[str, ...] = ()
    """Test files left out: they need the network, a terminal or tools that the image lacks."""
    options: str = ""
    """Appended to the test command."""
    requirements: tuple[Distribution, ...] = ()
    """Wheels the package or its tests need beside the common ones."""
    sdists: tuple[Distribution, ...]
    inject: str
    """The version that bugs are injected into."""
    quota: int = Field(default=18, ge=0)
    """Injected-bug tasks to accept."""
    releases: tuple[tuple[str, str], ...] = ()
    """Pairs of consecutive versions."""

    @model_validator(mode="after")
    def _versions_are_pinned(self) -> "Package":
        known = {sdist.version for sdist in self.sdists}
        wanted = {self.inject, *(version for pair in self.releases for version in pair)}
        if missing := sorted(wanted - known):
            raise ValueError(f"{self.name}: no sdist is pinned for {', '.join(missing)}")
        return self

    def sdist(self, version: str) -> Distribution:
        """The pinned source distribution of `version`."""
        return next(sdist for sdist in self.sdists if sdist.version == version)

    @property
    def import_names(self) -> tuple[str, ...]:
        """Top-level names that `import` knows."""
        return tuple(module.split("/")[0].removesuffix(".py") for module in self.modules)


class Catalogue(_Strict):
    """Everything a build is made from; with a seed it determines every task."""

    base: Base
    requirements: tuple[Distribution, ...]
    """Wheels that every image has: pytest and what it needs."""
    packages: tuple[Package, ...]

    @model_validator(mode="after")
    def _names_are_unique(self) -> "Catalogue":
        names = [package.name for package in self.packages]
        if double := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"listed twice: {', '.join(double)}")
        return self

    def only(self, names: Sequence[str] | None) -> "Catalogue":
        """The catalogue with just these packages (all when None)."""
        if names is None:
            return self
        if unknown := sorted(set(names) - {package.name for package in self.packages}):
            have = ", ".join(package.name for package in self.packages)
            raise ConfigError(f"not in the catalogue: {', '.join(unknown)}; it has {have}")
        return self.model_copy(update={"packages": tuple(p for p in self.packages if p.name in names)})


@cache
def load_catalogue(path: Path = DEFAULT_CATALOGUE) -> Catalogue:
    """Read a catalogue. Raises ConfigError that names the file and the field."""
    try:
        return Catalogue.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise ConfigError(f"catalogue {path} cannot be used: {error}") from error
