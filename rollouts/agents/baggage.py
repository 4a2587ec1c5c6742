"""What an agent is given besides its task, and what it leaves behind: put into the sandbox, archived, taken away."""

import shlex
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from ...envs.sandbox import Sandbox
from ...errors import ConfigError
from ..files import slug
from .recipe import Recipe, expand

__all__ = ["GIVEN", "TRANSCRIPTS", "Baggage", "Fetched"]

GIVEN, TRANSCRIPTS = "given", "transcripts"
_LARGEST_GIVEN = 4 << 20
_MOST_FILES = 500

Fetched = tuple[Path, str | None]
"""A transcript on this machine, a file or a folder, and the adapter that the recipe names for it."""


class Baggage:
    """The files of one episode."""

    def __init__(self, sandbox: Sandbox, recipe: Recipe, values: Mapping[str, str], folder: Path) -> None:
        """`folder` is where copies are kept. Raises ConfigError when a file of the recipe cannot be written."""
        self._sandbox, self._recipe, self._values, self._folder = sandbox, recipe, values, folder
        self._before = dict[str, bytes | None]()
        self._record = list[dict[str, Any]]()
        self._left = recipe.limits.transcript_bytes
        self.unread = list[dict[str, Any]]()
        """Transcripts that are there and could not be copied, and why."""
        sandbox.script(f"mkdir -p {shlex.quote(values['TRAJHUB_HOME'])}")
        for path, text in recipe.files.items():
            self.bring(expand(path, values), expand(text, values))
        for path in self._found(recipe.prompt_files):
            self._archive(path, self._read(path, _LARGEST_GIVEN), "found")

    def bring(self, path: str, text: str) -> None:
        """Write a file that the agent is to have. Relative paths are in the repository."""
        inside = not path.startswith("/") or path.startswith(f"{self._sandbox.workdir}/")
        if inside:
            self._before.setdefault(path, self._read(path, 1 << 28))
        try:
            self._sandbox.write_file(path, text.encode())
        except OSError as error:
            raise ConfigError(f"recipe {self._recipe.name}: cannot give the agent {path}: {error.strerror}") from None
        self._archive(path, text.encode(), "given")

    def record(self) -> list[dict[str, Any]]:
        """What was archived: path, size, checksum, and whether the agent was given it or finds it there."""
        return list(self._record)

    def fetch(self) -> list[Fetched]:
        """Copy the agent's transcripts to this machine."""
        fetched = list[Fetched]()
        for transcript in self._recipe.transcripts:
            for file in self._found((transcript.path,)):
                if (own := self._copy(file, transcript.adapter)) is not None:
                    fetched.append((own, transcript.adapter))
            for folder in self._found((transcript.path,), "-d"):
                inside = f"find {shlex.quote(folder)} -type f ! -name '.*'"
                names = self._sandbox.script(inside, output_limit=8 << 20).text.splitlines()
                if any([self._copy(name, transcript.adapter) for name in sorted(names)]):
                    fetched.append((self._own(folder), transcript.adapter))
        return fetched

    def _copy(self, path: str, adapter: str | None) -> Path | None:
        """Copy a file of a transcript, as long as there is room."""
        try:
            data = self._sandbox.read_file(path, limit=max(self._left, 0))
        except OSError as error:
            why = f"it cannot be copied: {error.strerror}"
            self.unread.append({"file": PurePosixPath(path).name, "adapter": adapter, "unread": why})
            return None
        self._left -= len(data)
        own = self._own(path)
        own.write_bytes(data)
        return own

    def _own(self, path: str) -> Path:
        pure, home = PurePosixPath(path), PurePosixPath(self._values["TRAJHUB_HOME"])
        return self._place(TRANSCRIPTS, (pure.relative_to(home) if pure.is_relative_to(home) else pure).parts)

    def take_away(self) -> None:
        """Leave the repository as the agent would have left it without what it was given, and without its litter."""
        for path, before in self._before.items():
            if before is None:
                self._sandbox.script(f"rm -f -- {shlex.quote(path)}")
            else:
                self._sandbox.write_file(path, before)
        if self._recipe.litter:
            patterns = " ".join(_glob(expand(pattern, self._values)) for pattern in self._recipe.litter)
            self._sandbox.script(f"rm -rf -- {patterns}")

    def _found(self, patterns: Iterable[str], kind: str = "-f") -> list[str]:
        """Regular files that match, in order; folders where `kind` is `-d`."""
        known = " ".join(_glob(expand(pattern, self._values)) for pattern in patterns)
        if not known:
            return []
        loop = f'for f in {known}; do [ {kind} "$f" ] && [ ! -L "$f" ] && printf \'%s\\n\' "$f"; done; :'
        names = self._sandbox.script(loop, output_limit=1 << 20).text.splitlines()
        return list(dict.fromkeys(name for name in names if name))[:_MOST_FILES]

    def _read(self, path: str, limit: int) -> bytes | None:
        try:
            return self._sandbox.read_file(path, limit=limit)
        except OSError:
            return None

    def _archive(self, path: str, data: bytes | None, how: str) -> None:
        if data is None:
            return
        self._place(GIVEN, PurePosixPath(path).parts).write_bytes(data)
        digest = sha256(data).hexdigest()
        self._record.append({"path": path, "bytes": len(data), "sha256": digest, "how": how})

    def _place(self, kind: str, parts: Iterable[str]) -> Path:
        """Where a copy is kept: names in a sandbox are not to be trusted as paths here."""
        safe = [slug(part) for part in parts if part not in ("/", ".", "..")]
        path = self._folder.joinpath(kind, *safe)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def _glob(pattern: str) -> str:
    """A pattern for the shell: its wildcards work, everything else is plain text."""
    return "".join(char if char in "*?[]" else shlex.quote(char) if not char.isalnum() else char for char in pattern)
