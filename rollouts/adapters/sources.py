"""Which files and folders a command means: each is one source, of one format."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import UsageError
from ..payloads import clean
from .base import Adapter
from .registry import Registry, companions_of, sample_of

__all__ = ["Found", "Source", "find_sources"]

_NEVER = frozenset({".git"})
_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file, or a folder that holds one run."""

    name: str
    """Its path from the folder that was named; no other source of the command has it."""
    path: str
    format: str
    bytes: int
    stamp: int
    """When it was last changed, in nanoseconds since 1970; of several files the latest."""


@dataclass(slots=True)
class Found:
    """What was found."""

    sources: list[Source] = field(default_factory=list[Source])
    unrecognised: list[str] = field(default_factory=list[str])
    """Files in folders that no adapter knows, and links and special files that are not followed."""


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
    if not search.found.sources:
        wanted = f"format {format_name}" if format_name else "a known format"
        raise UsageError(f"nothing at {', '.join(map(str, paths))} is of {wanted}{_known(registry)}")
    return search.finish()


def _known(registry: Registry) -> str:
    return f"; there are adapters for {', '.join(sorted(registry.adapters))}"


class _Search:
    def __init__(self, registry: Registry, forced: Adapter | None, leave_out: Path | None) -> None:
        self.found = Found()
        self._registry = registry
        self._forced = forced
        self._seen = {leave_out.resolve()} if leave_out is not None else set[Path]()
        self._parts = set[Path]()
        self._unknown = dict[str, Path]()
        self._names = dict[str, int]()

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

    def finish(self) -> Found:
        """Without the files that are read along with another source."""
        sources = [source for source in self.found.sources if Path(source.path) not in self._parts]
        left = [name for name in self.found.unrecognised if self._unknown.get(name) not in self._parts]
        return Found(sources, left)

    def _folder(self, folder: Path, name: str, *, top: bool = False) -> None:
        if folder in self._seen:
            return
        self._seen.add(folder)
        adapter = self._choose(folder, top=False)
        if adapter is not None:
            self._add(folder, name, adapter, [path for path in _files(folder)])
            return
        for child in sorted(folder.iterdir()):
            label = f"{name}/{child.name}"
            if child.is_dir() and not child.is_symlink():
                if child.name not in _NEVER:
                    self._folder(child, label)
            elif child.is_file():
                self._file(child.resolve(), label)
            else:
                self.found.unrecognised.append(clean(f"{label} (a link to a folder, a dead link or a special file)"))
        if top and self._forced is not None and not self.found.sources:
            raise UsageError(f"no file in {folder} looks like {self._forced.title}; name the files themselves")

    def _file(self, path: Path, name: str, *, top: bool = False) -> None:
        if path in self._seen:
            return
        self._seen.add(path)
        adapter = self._forced if top and self._forced is not None else self._choose(path, top=top)
        if adapter is None:
            self._unknown[clean(name)] = path
            self.found.unrecognised.append(clean(name))
        else:
            self._add(path, name, adapter, [path])

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

    def _add(self, path: Path, name: str, adapter: Adapter, files: Sequence[Path]) -> None:
        parts = [part.resolve() for part in companions_of(adapter, path)]
        self._parts.update(parts)
        stats = [file.stat() for file in [*files, *parts]]
        label = clean(name)
        count = self._names[label] = self._names.get(label, 0) + 1
        self.found.sources.append(
            Source(
                name=label if count == 1 else f"{label}#{count}",
                path=str(path),
                format=adapter.name,
                bytes=sum(stat.st_size for stat in stats),
                stamp=max((stat.st_mtime_ns for stat in stats), default=0),
            )
        )


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
