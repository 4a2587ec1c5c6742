"""What files held, as far as steps tell: enough to see that a step brought one back to how it was before."""

from collections import defaultdict
from collections.abc import Sequence
from hashlib import sha256

from ...rewards.acts import Act, Edit

__all__ = ["Contents"]


class Contents:
    """Follows one episode's changes to files of its repository."""

    def __init__(self) -> None:
        self._held: defaultdict[str, set[str]] = defaultdict(set)
        """Checksums of what each file held before its last change."""
        self._now: dict[str, str] = {}
        self._swaps: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        """Pieces of text that were put in each other's place."""

    def take(self, act: Act, edits: Sequence[Edit]) -> bool:
        """Take the changes of a step into account; whether one of them undoes an earlier one."""
        undone = [self._undoes(act, edit, len(edits)) for edit in edits]
        for edit in edits:
            self._remember(act, edit, len(edits))
        return any(undone)

    def _undoes(self, act: Act, edit: Edit, edits: int) -> bool:
        changed = edit.path in self._now or edit.path in self._swaps
        if act.step.data.get("undo"):
            return True
        if edit.after == "original":
            return changed or (edit.path == "." and bool(self._now or self._swaps))
        if edit.after is not None and edit.after in self._held[edit.path]:
            return edit.after != edit.before
        swap = _swap(act) if edits == 1 else None
        return swap is not None and swap[::-1] in self._swaps[edit.path]

    def _remember(self, act: Act, edit: Edit, edits: int) -> None:
        held = self._held[edit.path]
        held.update(known for known in (edit.before, self._now.get(edit.path)) if known)
        self._now[edit.path] = edit.after or ""
        swap = _swap(act) if edits == 1 else None
        if swap is not None:
            self._swaps[edit.path].add(swap)


def _swap(act: Act) -> tuple[str, str] | None:
    """The piece that went and the piece that came, where an edit names both."""
    old, new = act.step.arguments.get("old"), act.step.arguments.get("new")
    if not isinstance(old, str) or not isinstance(new, str) or not old.strip() or not new.strip():
        return None
    return _digest(old), _digest(new)


def _digest(text: str) -> str:
    return sha256(text.strip().encode("utf-8", "surrogatepass")).hexdigest()
