"""Checks of the final patch: is it the one that was recorded, graded, and made by the recorded edits?"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from ...envs.patches import FileChange, parse, split_lines
from ...envs.step import Step
from ...rollouts.episode_log import PATCH, patch_facts
from ...rollouts.trajectory import Trajectory
from .finding import Finding
from .record import Record

__all__ = ["edits", "patch", "verdict"]


def patch(record: Record) -> Iterator[Finding]:
    """`final_patch` and `patch.diff` say the same, and the figures beside the text follow from it."""
    found = record.trajectory
    if found is None or found.patch is None:
        return
    facts = patch_facts(found.patch.patch)
    for name, value in facts.items():
        said = getattr(found.patch, name)
        if (list(said) if name == "files" else said) != value:
            yield Finding.error("patch", f"{record.name} final_patch", f"{name} is {said!r}; the text says {value!r}")
    path = record.folder / PATCH
    if not path.exists():
        yield Finding.warning("patch", record.name, f"{PATCH} is missing")
    elif path.read_bytes() != found.patch.patch.encode("utf-8", "surrogatepass"):
        yield Finding.error("patch", f"{record.name}/{PATCH}", "differs from the final_patch event")


def verdict(record: Record) -> Iterator[Finding]:
    """The verdict is about this patch, and `verdict.json` says the same."""
    found = record.trajectory
    if found is None or found.verdict is None:
        return
    graded, made = found.verdict.patch_sha256, found.patch.sha256 if found.patch else None
    if graded is not None and made is not None and graded != made:
        said = f"is about patch {graded[:12]}; the final patch is {made[:12]}"
        yield Finding.error("verdict", f"{record.name} verdict", said)
    path = record.folder / "verdict.json"
    if not path.exists():
        yield Finding.warning("verdict", record.name, "verdict.json is missing")
        return
    try:
        beside = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        yield Finding.error("verdict", f"{record.name}/verdict.json", f"is not JSON: {error}")
        return
    if beside != dict(found.verdict.report):
        yield Finding.error("verdict", f"{record.name}/verdict.json", "differs from the verdict event")


def edits(record: Record) -> Iterator[Finding]:
    """The patch is the diff of the recorded edits, as far as these are known: other agents' records do not tell."""
    found = record.trajectory
    if found is None or found.patch is None or not found.patch.patch:
        return
    if found.start.origin is not None or not found.start.tools:
        return
    history = _histories(found)
    opaque = [step.index for step in found.steps if _may_change_anything(step)]
    for path, own in history.items():
        yield from own.breaks(record.name, path, opaque)
    for change in parse(found.patch.patch):
        for path in change.paths:
            yield from _explain(record.name, change, path, history.get(path), opaque)
    changed = {path for change in parse(found.patch.patch) for path in change.paths}
    for path, own in history.items():
        last = own.steps[-1].index
        if path not in changed and own.differs and not any(index > last for index in opaque) and _tracked(path):
            said = f"changed by step {last}, but the patch does not have it"
            yield Finding.warning("edits", f"{record.name} {path}", said)


@dataclass
class _FileHistory:
    """The recorded edits of one file, in order."""

    steps: list[Step] = field(default_factory=list[Step])

    @property
    def differs(self) -> bool:
        """Whether the file was left otherwise than it was found."""
        return self.steps[0].data.get("before_sha256") != self.steps[-1].data.get("after_sha256")

    def breaks(self, episode: str, path: str, opaque: list[int]) -> Iterator[Finding]:
        """Edits that found another content than the edit before left, with nothing in between that explains it."""
        for one, two in zip(self.steps, self.steps[1:], strict=False):
            left, met = one.data.get("after_sha256"), two.data.get("before_sha256")
            if left != met and not any(one.index < index < two.index for index in opaque):
                said = (
                    f"was left as {str(left)[:12]} by step {one.index}, but met as {str(met)[:12]} by step {two.index}"
                )
                yield Finding.error("edits", f"{episode} {path}", said)

    def wrote(self) -> set[str]:
        """Every line that an edit put in."""
        return {line.rstrip("\n") for step in self.steps for line in split_lines(_new_text(step))}

    def content(self) -> str | None:
        """The file as it was left, where it was written as a whole last."""
        last = self.steps[-1]
        return str(last.arguments["content"]) if last.tool == "file_write" and "content" in last.arguments else None


def _may_change_anything(step: Step) -> bool:
    return step.tool == "shell" or (step.tool == "git" and step.data.get("subcommand") == "restore")


def _histories(found: Trajectory) -> dict[str, _FileHistory]:
    histories: dict[str, _FileHistory] = {}
    for step in found.steps:
        if step.tool in ("file_write", "file_edit") and step.ok and step.data.get("changed", True):
            histories.setdefault(str(step.data.get("path")), _FileHistory()).steps.append(step)
    return histories


def _explain(
    episode: str, change: FileChange, path: str, own: _FileHistory | None, opaque: list[int]
) -> Iterator[Finding]:
    where = f"{episode} {path}"
    if own is None:
        if not opaque:
            yield Finding.error("edits", where, "is in the patch, but no recorded step changed it")
        return
    if any(index > own.steps[0].index for index in opaque):
        return  # a command may have changed it further; only a replay can tell
    if change.kind == "delete":
        yield Finding.error("edits", where, "is deleted by the patch, but no recorded step deleted it")
        return
    added = [line[1:].rstrip("\n") for line in _body(change) if line.startswith("+")]
    whole, wrote = own.content(), own.wrote()
    if whole is not None and change.kind == "add" and added != [line.rstrip("\n") for line in split_lines(whole)]:
        yield Finding.error("edits", where, f"is not what step {own.steps[-1].index} wrote")
        return
    # A replaced piece of a line leaves the rest of the line as it was, so a line may hold what was written.
    foreign = next((line for line in added if line and line not in wrote and not _holds(line, own)), None)
    if foreign is not None:
        yield Finding.error("edits", where, f"the patch adds a line that no recorded edit wrote: {foreign[:80]!r}")


def _holds(line: str, own: _FileHistory) -> bool:
    """Whether a line is made of what an edit put in and what stood around it."""
    for step in own.steps:
        pieces = [piece for piece in _new_text(step).split("\n") if piece]
        if any(piece in line for piece in pieces) or (step.tool == "file_edit" and not pieces):
            return True
    return False


def _new_text(step: Step) -> str:
    return str(step.arguments.get("content" if step.tool == "file_write" else "new", ""))


def _body(change: FileChange) -> Iterator[str]:
    inside = False
    for line in change.lines:
        if line.startswith("@@ "):
            inside = True
        elif inside:
            yield line


def _tracked(path: str) -> bool:
    """Whether a file at this path would be part of the patch: inside the repository, and nothing of git's."""
    return not path.startswith(("/", ".git/"))
