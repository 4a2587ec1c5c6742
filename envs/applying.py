"""Putting a patch into a fresh sandbox as the official harness does, and taking out what is not a patch's to change."""

import posixpath
import secrets
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..errors import SandboxLost
from ..tools.base import CommandResult, SandboxProtocol
from .infrastructure import SHARED_FILES, TestInfrastructure, test_sections
from .patches import changed_paths, keep, parse
from .verdict import SetAside, SetAsideReason

__all__ = ["APPLY_COMMANDS", "Applied", "apply_patch", "checked"]

APPLY_COMMANDS = (
    "git apply --verbose",
    "git apply --verbose --3way",
    "git apply --verbose --reject",
    "patch --batch --forward --fuzz=5 -p1 -i",
)
"""The official harness's attempts, in its order."""
_RESET = "git checkout -- . ; git clean -fd"
_CHANGED = "git diff --name-only --no-renames -z HEAD"
_GIT_CONFIG = ".git/config"
_GIT_LIVE = (".git/hooks", ".git/info", _GIT_CONFIG)
"""What in `.git` git acts on and no way of applying a patch changes."""
_LIST_LIMIT = 32 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of a patch."""

    command: str | None
    """The attempt that worked; None when none did."""
    output: str
    set_aside: tuple[SetAside, ...]


def checked(result: CommandResult) -> CommandResult:
    """The result, unless the sandbox had to be made anew and with it lost what was done in it."""
    if result.recovered == "replaced":
        raise SandboxLost("the sandbox died while a patch was graded, and its files with it")
    return result


def apply_patch(sandbox: SandboxProtocol, patch: str, infrastructure: TestInfrastructure) -> Applied:
    """Apply a patch by the official chain, then restore every path that the patch may not change."""
    unsafe = {
        path: SetAsideReason(change.unsafe)
        for change in parse(patch)
        if change.unsafe
        for path in change.raw_names
        if path != "/dev/null"
    }
    safe = keep(patch, lambda change: change.unsafe is None)
    refused = tuple(SetAside(path=path, reason=reason) for path, reason in unsafe.items())
    if unsafe and not safe.strip():
        return Applied(command="none", output="nothing of the patch could be used", set_aside=refused)
    folder = f"/tmp/{secrets.token_hex(8)}"
    tree = _Tree(sandbox, infrastructure, changed_paths(safe), f"{folder}/mark")
    file = f"{folder}/patch.diff"
    sandbox.write_file(file, safe.encode("utf-8", errors="surrogateescape"))
    command, output = _attempts(sandbox, file)
    set_aside = tree.restore() if command else ()
    sandbox.run(f"rm -rf {folder}")
    return Applied(command=command, output=output, set_aside=(*refused, *set_aside))


def _attempts(sandbox: SandboxProtocol, file: str) -> tuple[str | None, str]:
    output = ""
    for number, command in enumerate(APPLY_COMMANDS):
        if number:
            # An attempt that failed leaves parts behind, which would make all later ones fail.
            checked(sandbox.run(_RESET, timeout=300))
        result = checked(sandbox.run(f"{command} {file}", timeout=300))
        output = result.text
        if result.exit_code == 0:
            return command, output
    if checked(sandbox.run(f"git apply --check --reverse {file}", timeout=300)).exit_code == 0:
        return "already applied", output
    return None, output


class _Tree:
    """The repository before and after a patch: what changed, and how it was."""

    def __init__(
        self, sandbox: SandboxProtocol, infrastructure: TestInfrastructure, named: Iterable[str], mark: str
    ) -> None:
        self._sandbox = sandbox
        self._infrastructure = infrastructure
        self._mark = mark
        sandbox.write_file(mark, b"")
        self._base = frozenset(self._names("git ls-files -z"))
        self._dirty = frozenset(self._names(_CHANGED))
        self._untracked = {**self._snapshot(path for path in named if path not in self._base)}
        if (config := self._now(_GIT_CONFIG)) is not None:
            self._untracked[_GIT_CONFIG] = config
        # Files written within the clock's tick of the mark would not count as newer than it.
        checked(sandbox.run(f"touch {mark}; sleep 0.05 2>/dev/null || sleep 1"))

    def restore(self) -> tuple[SetAside, ...]:
        """Bring back every path that is test infrastructure; what was set aside."""
        links, files = self._changed()
        reasons: dict[str, SetAsideReason] = {}
        for path in sorted({*links, *files}):
            reason = self._reason(path, path in links)
            if reason:
                reasons[path] = reason
        self._put_back(reasons)
        return tuple(SetAside(path=path, reason=reason) for path, reason in reasons.items())

    def _reason(self, path: str, is_link: bool) -> SetAsideReason | None:
        if path.startswith(_GIT_LIVE):
            return SetAsideReason.GIT_INTERNALS
        reason = self._infrastructure.reason(path, self._base)
        if reason is None and path not in self._infrastructure.reference:
            if is_link:
                return SetAsideReason.SYMLINK
            if posixpath.basename(path) in SHARED_FILES and self._sections_differ(path):
                return SetAsideReason.TEST_CONFIGURATION
        return reason

    def _sections_differ(self, path: str) -> bool:
        return test_sections(path, self._before(path)) != test_sections(path, self._now(path))

    def _changed(self) -> tuple[set[str], set[str]]:
        """Symbolic links and other paths that are not as they were. Nothing ran in between but the patch."""
        newer = f"find . -newer {self._mark} ! -path './.git/*' -type"
        links = {name.removeprefix("./") for name in self._names(f"{newer} l -print0")}
        files = {name.removeprefix("./") for name in self._names(f"{newer} f -print0")}
        inside = f"find {' '.join(_GIT_LIVE)} -newer {self._mark} -type f -print0 2>/dev/null || :"
        files |= self._names(inside)
        return links, files | (self._names(_CHANGED) - self._dirty)

    def _names(self, command: str) -> set[str]:
        result = checked(self._sandbox.run(command, timeout=300, output_limit=_LIST_LIMIT))
        if result.exit_code != 0 or result.truncated:
            raise SandboxLost(f"cannot list the repository's files: {command}: {result.text[-300:]}")
        names = result.output.split(b"\0")
        return {name.decode("utf-8", errors="surrogateescape") for name in names if name}

    def _snapshot(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        found: dict[str, bytes] = {}
        for path in paths:
            if self._infrastructure.reason(path, self._base) or posixpath.basename(path) in SHARED_FILES:
                content = self._now(path)
                if content is not None:
                    found[path] = content
        return found

    def _now(self, path: str) -> bytes | None:
        try:
            return self._sandbox.read_file(path)
        except OSError:
            return None

    def _before(self, path: str) -> bytes | None:
        if path not in self._base:
            return self._untracked.get(path)
        command = f"git show {shlex.quote('HEAD:' + path)}"
        result = checked(self._sandbox.run(command, output_limit=_LIST_LIMIT))
        return result.output if result.exit_code == 0 else None

    def _put_back(self, reasons: Iterable[str]) -> None:
        # A link goes before what it stands for, lest something is written through it.
        for path in sorted(reasons, key=lambda path: path.count("/")):
            name = shlex.quote(path)
            forget = ":" if path.startswith(".git/") else f"git rm -r -q --cached --ignore-unmatch -- {name}"
            script = f"rm -rf -- {name} && {forget}"
            if path in self._base:
                script = f"rm -rf -- {name} && git checkout -q HEAD -- {name}"
            result = checked(self._sandbox.run(script))
            if result.exit_code != 0:
                raise SandboxLost(f"cannot restore {path}: {result.text[-300:]}")
            if path in self._untracked:
                self._sandbox.write_file(path, self._untracked[path])
