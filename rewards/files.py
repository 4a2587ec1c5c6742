"""What is known of one file in the course of an episode."""

from dataclasses import dataclass, field

__all__ = ["FileState", "merged"]


@dataclass(slots=True)
class FileState:
    """What is known of one file."""

    spans: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """Lines shown since the file last changed, merged and in order."""
    ever_read: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """Lines shown at any time, by their numbers then."""
    read_at: int | None = None
    found_at: int | None = None
    """The step whose result first named it."""
    total_lines: int | None = None
    created: bool = False
    """By the agent."""
    original: str = "original"
    current: str = "original"
    visits: dict[str, int] = field(default_factory=dict[str, int])
    """How often each content was reached."""
    edits: int = 0
    changed_at: int = -1
    cosmetic: bool = True
    """No edit so far changed more than blanks and comments."""
    informed: bool = True
    """It was read before its first edit."""
    read_content: str | None = None
    """Hash of the content that was read last."""
    missing: bool = False
    """An access failed because it is not there."""

    @property
    def assumed(self) -> bool:
        """A command was to change it, and nothing has shown yet that it did."""
        return self.current.startswith("unknown:")

    @property
    def net_changed(self) -> bool:
        """Whether its content differs from what the episode began with, as far as is known."""
        return self.edits > 0 and self.current not in (self.original, "original")


def merged(spans: list[tuple[int, int]], new: tuple[int, int]) -> list[tuple[int, int]]:
    """The spans with one more, in order and without overlap."""
    start, end = new
    kept: list[tuple[int, int]] = []
    for low, high in spans:
        if high < start - 1 or low > end + 1:
            kept.append((low, high))
        else:
            start, end = min(start, low), max(end, high)
    return sorted([*kept, (start, end)])
