"""Which files and folders a command means: each is one source, of one format."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...errors import UsageError
from ..payloads import clean
from .base import Adapter
from .found import Found, Source
from .registry import Registry, companions_of, sample_of

__all__ = ["Found", "Source", "find_sources"]

_NEVER = frozenset({".git"})
_ELSE = "a link to a folder, a dead link or a special file"


def find_sources(
    paths: Sequence[Path], registry: Registry, format_name: str | None = None, leave_out: Path | None = None
) -> Found:
    """The sources at `paths`; folders are searched, except `leave_out`.

    Raises UsageError when a path is not there, when what a path names is known to no adapter or to several (then
    `format_name` decides), and when nothing was found.
    """
    search = _Search(registry, registry.get(format_name) if format_name else None, leave_out)
    for path in paths:
        search.take(path)
    if not len(search.found.sources):
        wanted = f"format {format_name}" if format_name else "a known format"
        raise UsageError(f"nothing at {', '.join(map(str, paths))} is of {wanted}{_known(registry)}")
    search.found.finish()
    return search.found


def _known(registry: Registry) -> str:
    return f"; there are adapters for {', '.join(sorted(registry.adapters))}"


class _Search:
    def __init__(self, registry: Registry, forced: Adapter | None, leave_out: Path | None) -> None:
        self.found = Found()
        self._registry = registry
        self._forced = forced
        if leave_out is not None:
            self.found.is_new(leave_out.resolve())

    def take(self, path: Path) -> None:
        """What the user named."""
        if not path.exists():
            raise UsageError(f"there is no {path}")
        root = path.resolve()
        if path.is_dir():
            self._folder(root, root.name, top=True)
        elif path.is_file():
            self._file(root, path.name, top=True)
        else:
            raise UsageError(f"{path} is neither a file nor a folder")

    def _folder(self, folder: Path, name: str, *, top: bool = False) -> None:
        if not self.found.is_new(folder):
            return
        adapter = self._choose(folder, top=False)
        if adapter is not None:
            self._add(folder, name, adapter, [path.stat() for path in _files(folder)])
            return
        with self.found.entries(folder) as names:
            for child in names:
                self._child(folder / child, f"{name}/{child}")
        if top and self._forced is not None and not len(self.found.sources):
            raise UsageError(f"no file in {folder} looks like {self._forced.title}; name the files themselves")

    def _child(self, path: Path, label: str) -> None:
        """One of the children of a folder, whose own path has no links in it."""
        mode = path.lstat().st_mode if os.path.lexists(path) else 0
        if stat.S_ISDIR(mode):
            if path.name not in _NEVER:
                self._folder(path, label)
        elif stat.S_ISREG(mode):
            self._file(path, label)
        elif path.is_file():
            self._file(path.resolve(), label)
        else:
            self.found.add_unrecognised(clean(f"{label} ({_ELSE})"))

    def _file(self, path: Path, name: str, *, top: bool = False) -> None:
        if not self.found.is_new(path):
            return
        adapter = self._forced if top and self._forced is not None else self._choose(path, top=top)
        if adapter is None:
            self.found.add_unrecognised(clean(name), path)
        else:
            self._add(path, name, adapter, [path.stat()])

    def _choose(self, path: Path, *, top: bool) -> Adapter | None:
        sample = sample_of(path)
        if self._forced is not None:
            return self._forced if self._registry.scores(sample).get(self._forced.name) else None
        names = self._registry.recognise(sample)
        if len(names) > 1:
            raise UsageError(f"{path} may be of the formats {' and '.join(names)}; say which with --format")
        if top and not names:
            raise UsageError(f"{path} is of no known format{_known(self._registry)}; one is forced with --format")
        return self._registry.adapters[names[0]] if names else None

    def _add(self, path: Path, name: str, adapter: Adapter, files: Sequence[os.stat_result]) -> None:
        parts = [part.resolve() for part in companions_of(adapter, path)]
        self.found.add(clean(name), path, adapter.name, [*files, *(part.stat() for part in parts)], parts)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
