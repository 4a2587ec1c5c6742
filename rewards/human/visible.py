"""Text of agents and tools as people may see it: nothing hidden in it, nothing in it that acts."""

import re
from collections.abc import Iterable

__all__ = ["Mask", "clipped", "visible"]

_LIMIT = 200_000
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
)
"""Control characters, those that change the direction of text, and those without a shape."""
_NAMES = (
    "NUL SOH STX ETX EOT ENQ ACK BEL BS TAB LF VT FF CR SO SI "
    "DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US"
).split()
"""Of the control characters, in their order."""
_MASK = "▇▇▇"


def _shown(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"⟨{_NAMES[code]}⟩" if code < len(_NAMES) else "⟨DEL⟩" if code == 0x7F else f"⟨U+{code:04X}⟩"


def visible(text: str) -> str:
    """`text` with every character that cannot be seen, or that moves others, written out; line ends are newlines."""
    return _HIDDEN.sub(_shown, text.replace("\r\n", "\n"))


def clipped(text: str, limit: int = _LIMIT) -> str:
    """`text`, or its two ends when it is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n\n⟨{len(text) - 2 * half} characters left out⟩\n\n{text[-half:]}"


class Mask:
    """Hides names that would tell an annotator whose work it is."""

    def __init__(self, names: Iterable[str]) -> None:
        """Longer names first, so that one inside another leaves nothing behind; case makes no difference."""
        chosen = sorted({name.strip() for name in names} - {""}, key=lambda name: (-len(name), name))
        pattern = "|".join(re.escape(name) for name in chosen)
        self._pattern = re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE) if chosen else None

    def __call__(self, text: str) -> str:
        """`text` with each of the names blacked out."""
        return text if self._pattern is None else self._pattern.sub(_MASK, text)
