"""Binary files of a task's patches, which a text patch cannot carry: `image_assets` in SWE-bench Multimodal.

As in the official harness they are put into the working tree right before the tests start: those of the test patch and
those of the reference patch. A task repo holds them below `tasks/<id>/test_assets/`; otherwise they are fetched once
and kept by their address in `assets/` of the download folder.
"""

import posixpath
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from ..errors import GraderError, TaskError
from .task import Task

__all__ = ["ASSETS_FOLDER", "asset_paths", "assets_of", "local_assets"]

ASSETS_FOLDER = "test_assets"
"""Of a task in a task repo."""
_PATCHES = ("test_patch", "patch")
_TIMEOUT = 60.0
_LIMIT = 64 << 20


def asset_paths(task: Task, patch: str) -> tuple[str, ...]:
    """Paths in the repository of the files that belong to `patch` or `test_patch`."""
    return tuple(str(entry["path"]) for entry in _entries(task, patch))


def assets_of(task: Task) -> dict[str, bytes]:
    """The binary files by path. Raises TaskError for a path that leads elsewhere, GraderError for one out of reach."""
    return {str(entry["path"]): _content(task, entry) for patch in _PATCHES for entry in _entries(task, patch)}


def local_assets(task: Task) -> dict[str, bytes]:
    """Those that are on this machine. Raises like `assets_of`."""
    entries = (entry for patch in _PATCHES for entry in _entries(task, patch) if entry.get("file"))
    return {str(entry["path"]): _content(task, entry) for entry in entries}


def _entries(task: Task, patch: str) -> list[Mapping[str, Any]]:
    listed = cast("list[Any]", task.image_assets.get(patch) or [])
    entries = [cast("Mapping[str, Any]", entry) for entry in listed if isinstance(entry, Mapping)]
    found = [entry for entry in entries if entry.get("path")]
    for entry in found:
        path = str(entry["path"])
        if path.startswith("/") or posixpath.normpath(path).startswith("..") or "\n" in path:
            raise TaskError(f"task {task.instance_id}: image_assets leads out of the repository: {path!r}")
    return found


def _content(task: Task, entry: Mapping[str, Any]) -> bytes:
    path, url = str(entry["path"]), str(entry.get("url") or "")
    if entry.get("file"):
        try:
            return Path(str(entry["file"])).read_bytes()
        except OSError as error:
            raise GraderError(f"task {task.instance_id}: cannot read asset {entry['file']}: {error.strerror}") from None
    if not url.startswith(("https://", "http://")):
        raise GraderError(
            f"task {task.instance_id}: asset {path} is neither in the task repo ({ASSETS_FOLDER}/) nor has it a URL"
        )
    from .factory.distributions import cache_folder

    kept = cache_folder() / "assets" / sha256(url.encode()).hexdigest()
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(".part")
        part.write_bytes(_fetched(task, path, url))
        part.replace(kept)
    return kept.read_bytes()


def _fetched(task: Task, path: str, url: str) -> bytes:
    import httpx

    told = f"task {task.instance_id}: cannot fetch asset {path}"
    try:
        response = httpx.get(url, timeout=_TIMEOUT, follow_redirects=True).raise_for_status()
    except httpx.HTTPError as error:
        why = str(error) or type(error).__name__
        raise GraderError(f"{told}: {why}; put it into {ASSETS_FOLDER}/ of the task in a task repo") from None
    if len(response.content) > _LIMIT:
        raise GraderError(f"{told}: it is larger than {_LIMIT >> 20} MiB")
    return response.content
