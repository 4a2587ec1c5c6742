"""Files of the package index, checked against their sha256, and the source trees in them."""

import hashlib
import html
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urljoin

import httpx

from ...errors import ConfigError, InfrastructureError
from .catalogue import Distribution

__all__ = ["Tree", "cache_folder", "fetch", "index_url", "read_tree"]

_ANCHOR = re.compile(r"<a\s[^>]*?href=\"([^\"]+)\"[^>]*>([^<]+)</a>", re.IGNORECASE)
_JSON = "application/vnd.pypi.simple.v1+json"
_PIP_DEFAULT = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
_LEFT_OUT = re.compile(
    r"^(build|dist)/|(^|/)(PKG-INFO|[^/]+\.(egg-info|dist-info|egg|pyc|pyo|so|orig|rej)|__pycache__|\.git)(/|$)"
)


def cache_folder() -> Path:
    """Where downloads are kept: `$TRAJHUB_CACHE`, else `~/.cache/trajhub`."""
    return Path(os.environ.get("TRAJHUB_CACHE") or Path.home() / ".cache" / "trajhub")


@cache
def index_url() -> str:
    """The package index as pip is set up: `$PIP_INDEX_URL`, then its configuration, then its default."""
    if url := os.environ.get("PIP_INDEX_URL") or os.environ.get("UV_INDEX_URL"):
        return url.rstrip("/")
    commands: list[list[str]] = []
    for python in dict.fromkeys([sys.executable, shutil.which("python3") or sys.executable]):
        commands.append([python, "-m", "pip", "config", "get", "global.index-url"])
        commands.append([python, "-c", _PIP_DEFAULT])
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip():
            return done.stdout.strip().rstrip("/")
    raise ConfigError("no package index is known: set PIP_INDEX_URL or install pip")


def _links(name: str, client: httpx.Client) -> Mapping[str, str]:
    """File name to address, from the index's page of a project (JSON or HTML)."""
    page = client.get(
        f"{index_url()}/{re.sub(r'[-_.]+', '-', name).lower()}/", headers={"Accept": f"{_JSON}, text/html;q=0.5"}
    )
    page.raise_for_status()
    if "json" in page.headers.get("content-type", ""):
        files: list[dict[str, Any]] = page.json()["files"]
        return {entry["filename"]: urljoin(str(page.url), entry["url"]) for entry in files}
    found = _ANCHOR.findall(page.text)
    return {text.strip(): urljoin(str(page.url), html.unescape(href)) for href, text in found}


def fetch(distribution: Distribution, folder: Path | None = None) -> Path:
    """The file of a distribution, downloaded once. Raises InfrastructureError when it cannot be had."""
    target = (folder or cache_folder() / "distributions") / distribution.file
    if target.is_file() and _digest(target.read_bytes()) == distribution.sha256:
        return target
    data = _download(distribution)
    if (digest := _digest(data)) != distribution.sha256:
        raise InfrastructureError(
            f"{distribution.file} has sha256 {digest}, the catalogue says {distribution.sha256}: "
            "the index serves another file under this name; do not use it"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    partial.write_bytes(data)
    partial.replace(target)
    return target


def _download(distribution: Distribution) -> bytes:
    try:
        with httpx.Client(follow_redirects=True, timeout=60) as client:
            address = _links(distribution.name, client).get(distribution.file)
            if address is None:
                raise InfrastructureError(f"the package index has no file {distribution.file}")
            answer = client.get(address.split("#")[0])
            answer.raise_for_status()
            return answer.content
    except httpx.HTTPError as error:
        raise InfrastructureError(
            f"cannot download {distribution.file}: {error}; check the network, or point PIP_INDEX_URL to an index"
        ) from error


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Tree:
    """The files of a source distribution as a repository would have them."""

    files: Mapping[str, bytes]
    executable: frozenset[str]
    metadata: str
    """The text of `PKG-INFO`."""
    entry_points: str
    created_at: str
    """ISO date of the newest file."""

    def text(self, path: str) -> str:
        """A file as text. Raises UnicodeDecodeError when it is not UTF-8."""
        return self.files[path].decode("utf-8")

    def below(self, *roots: str, suffix: str = "") -> list[str]:
        """Paths that are one of `roots` or below one, sorted."""

        def inside(path: str) -> bool:
            return any(root in (".", path) or path.startswith(f"{root}/") for root in roots)

        return sorted(path for path in self.files if path.endswith(suffix) and inside(path))


def read_tree(sdist: Path) -> Tree:
    """Unpack a source distribution in memory, without what building it left behind."""
    from datetime import UTC, datetime

    files: dict[str, bytes] = {}
    executable: set[str] = set()
    generated: dict[str, str] = {}
    newest = 0.0
    with tarfile.open(sdist) as archive:
        for member in archive:
            path = str(PurePosixPath(*PurePosixPath(member.name).parts[1:]))
            if not member.isfile() or ".." in path:
                continue
            data = archive.extractfile(member).read()  # type: ignore[union-attr]
            newest = max(newest, member.mtime)
            if path == "PKG-INFO" or path.endswith("/entry_points.txt"):
                generated[PurePosixPath(path).name] = data.decode("utf-8")
            if _LEFT_OUT.search(path):
                continue
            files[path] = data
            if member.mode & 0o100:
                executable.add(path)
    created = datetime.fromtimestamp(newest, UTC).isoformat(timespec="seconds")
    return Tree(
        files, frozenset(executable), generated.get("PKG-INFO", ""), generated.get("entry_points.txt", ""), created
    )
