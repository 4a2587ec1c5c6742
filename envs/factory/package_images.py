"""Images of packages: dependencies and one version's source tree, shared by all tasks made from it."""

import hashlib
import json
from dataclasses import dataclass
from email.parser import HeaderParser

from ..engine import Engine
from ..images import build_image, ensure_python_image
from .catalogue import Catalogue, Package
from .distributions import Tree, fetch

__all__ = ["PackageImage", "ensure_package_image", "testbed_tree"]

_SITE = "opt/venv/lib/python3.11/site-packages"


@dataclass(frozen=True)
class PackageImage:
    """An image that holds one version of a package at `/testbed`, without a repository yet."""

    name: str
    package: Package
    version: str


def testbed_tree(tree: Tree, package: Package) -> Tree:
    """The tree without test files that the catalogue leaves out; they would only fail."""
    dropped = set(tree.below(*package.ignore)) if package.ignore else set[str]()
    files = {path: data for path, data in tree.files.items() if path not in dropped}
    return Tree(files, tree.executable - dropped, tree.metadata, tree.entry_points, tree.created_at)


def ensure_package_image(
    engine: Engine, catalogue: Catalogue, package: Package, version: str, tree: Tree
) -> PackageImage:
    """The image of a version, built when this engine lacks it. Its name is a function of its content."""
    base = catalogue.base
    python = ensure_python_image(engine, base.image, base.suite, base.include)
    dependencies = _ensure_dependencies(engine, catalogue, package, python)
    files = {f"testbed/{path}": data for path, data in tree.files.items()}
    executable = {f"testbed/{path}" for path in tree.executable}
    files |= {f"site/{path}": data.encode() for path, data in _development_install(package, version, tree).items()}
    files["Dockerfile"] = (
        f"FROM {dependencies}\nCOPY site/ /{_SITE}/\nCOPY testbed/ /testbed/\nWORKDIR /testbed\n"
    ).encode()
    name = f"trajhub/package:{package.name}-{version}-{_key(files, executable)}"
    if not engine.has_image(name):
        build_image(engine, name, files, executable=executable)
    return PackageImage(name, package, version)


def _ensure_dependencies(engine: Engine, catalogue: Catalogue, package: Package, python: str) -> str:
    wheels = sorted([*catalogue.requirements, *package.requirements], key=lambda wheel: wheel.file)
    dockerfile = (
        f"FROM {python}\nCOPY wheels/ /tmp/wheels/\n"
        'RUN python3 -c "import glob, sysconfig, zipfile; '
        "[zipfile.ZipFile(f).extractall(sysconfig.get_paths()['purelib']) for f in glob.glob('/tmp/wheels/*.whl')]\" "
        "&& PYTHONDONTWRITEBYTECODE= python3 -m compileall -q /opt/venv/lib && rm -rf /tmp/wheels\n"
    )
    pins = json.dumps([wheel.sha256 for wheel in wheels])
    name = f"trajhub/dependencies:{hashlib.sha256((dockerfile + pins).encode()).hexdigest()[:12]}"
    if not engine.has_image(name):
        files = {f"wheels/{wheel.file}": fetch(wheel).read_bytes() for wheel in wheels}
        build_image(engine, name, {**files, "Dockerfile": dockerfile.encode()})
    return name


def _development_install(package: Package, version: str, tree: Tree) -> dict[str, str]:
    """What an editable installation leaves in `site-packages`: a path and the metadata, no source."""
    folder = "/testbed" if package.source == "." else f"/testbed/{package.source}"
    headers = HeaderParser().parsestr(tree.metadata)
    kept = ("Metadata-Version", "Name", "Version", "Summary", "License", "License-Expression", "Requires-Python")
    metadata = "".join(f"{name}: {headers[name]}\n" for name in kept if headers[name])
    info = f"{(headers['Name'] or package.name).replace('-', '_').lower()}-{version}.dist-info"
    files = {"testbed.pth": f"{folder}\n", f"{info}/METADATA": metadata, f"{info}/INSTALLER": "trajhub\n"}
    return files | ({f"{info}/entry_points.txt": tree.entry_points} if tree.entry_points else {})


def _key(files: dict[str, bytes], executable: set[str]) -> str:
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path} {path in executable} {hashlib.sha256(files[path]).hexdigest()}\n".encode())
    return digest.hexdigest()[:12]
