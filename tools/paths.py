"""Paths inside a container: relative to the repository or absolute, and what to say when one is wrong."""

import posixpath
import shlex
from difflib import get_close_matches
from typing import Annotated

from pydantic import AfterValidator, Field

from ..errors import TrajHubError
from .base import SandboxProtocol, ToolContext, ToolResult

__all__ = [
    "ContainerPath",
    "absolute",
    "file_failure",
    "list_folder",
    "read_bounded",
    "relative",
    "shell_path",
]

MAX_FILE = 16 * 1024 * 1024
"""Bytes of the largest file that is read whole."""
_ENTRIES = 100


def _without_nul(path: str) -> str:
    if "\0" in path:
        raise ValueError("a path cannot hold a NUL character")
    return path


ContainerPath = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_without_nul)]
"""A path in the container, relative to the repository or absolute."""


def absolute(path: str, workdir: str) -> str:
    """The path from the root of the container, without `.` and `..`."""
    joined = posixpath.normpath(posixpath.join(workdir, path))
    return "/" + joined.lstrip("/")


def relative(path: str, workdir: str) -> str:
    """The path as facts name it: relative to the repository when inside it, absolute otherwise."""
    full, root = absolute(path, workdir), absolute(".", workdir)
    if full == root:
        return "."
    return full[len(root.rstrip("/")) + 1 :] if full.startswith(root.rstrip("/") + "/") else full


def shell_path(path: str, workdir: str) -> str:
    """The path quoted for a shell; absolute, so that it never looks like an option."""
    return shlex.quote(absolute(path, workdir))


def read_bounded(sandbox: SandboxProtocol, path: str) -> bytes | None:
    """A file's bytes; None when it is larger than `MAX_FILE`. Raises OSError."""
    data = sandbox.read_file(absolute(path, sandbox.workdir), limit=MAX_FILE + 1)
    return data if len(data) <= MAX_FILE else None


def list_folder(sandbox: SandboxProtocol, path: str) -> list[str]:
    """Names in a folder, folders with a slash; empty when it cannot be listed."""
    listing = sandbox.run(f"ls -Ap -- {shell_path(path, sandbox.workdir)}", timeout=10, output_limit=50_000)
    return listing.text.splitlines() if listing.exit_code == 0 else []


def _similar(context: ToolContext, path: str) -> str:
    full = absolute(path, context.sandbox.workdir)
    parent, name = posixpath.split(full)
    entries = list_folder(context.sandbox, parent)
    if entries == [parent]:
        return f"{relative(parent, context.sandbox.workdir)} is a file, not a folder."
    if name in entries:
        return "A symbolic link of this name is there; what it leads to is not."
    if not entries:
        return f"The folder {relative(parent, context.sandbox.workdir)} does not exist or is empty."
    near = get_close_matches(name, [entry.rstrip("/") for entry in entries], n=3, cutoff=0.5)
    folder = relative(parent, context.sandbox.workdir)
    if near:
        return f"Similar names in {folder}: {', '.join(near)}."
    return f"Entries of {folder}: {', '.join(entries[:20])}{' …' if len(entries) > 20 else ''}"


def file_failure(error: OSError, path: str, context: ToolContext) -> ToolResult:
    """What a tool answers to a failed file access. Errors of the infrastructure are raised again."""
    if isinstance(error, TrajHubError):
        raise error
    name = relative(path, context.sandbox.workdir)
    data = {"path": name}
    match error:
        case FileNotFoundError():
            message = f"{name} does not exist. {_similar(context, path)}"
            return ToolResult(output=message, ok=False, error="not_found", data=data)
        case IsADirectoryError():
            entries = list_folder(context.sandbox, path)
            more = f"\n… {len(entries) - _ENTRIES} more" if len(entries) > _ENTRIES else ""
            message = f"{name} is a directory. Its entries:\n" + "\n".join(entries[:_ENTRIES]) + more
            return ToolResult(output=message, ok=False, error="is_directory", data=data)
        case PermissionError():
            message = f"{name} cannot be accessed: {(error.strerror or 'permission denied').lower()}."
            return ToolResult(output=message, ok=False, error="permission_denied", data=data)
        case _:
            message = f"{name}: {error.strerror or error}"
            return ToolResult(output=message, ok=False, error="file_error", data=data)
