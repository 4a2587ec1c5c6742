"""Text of agents and tools as rules look at it: short quotes, words, paths and fingerprints."""

import hashlib
import re
import string
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

__all__ = [
    "Text",
    "answer",
    "content_words",
    "digest",
    "excerpt",
    "failure_line",
    "listed",
    "names",
    "path_key",
    "pieces",
    "shared",
    "telling",
    "telling_words",
    "words",
    "writable",
]


def listed(text: str) -> frozenset[str]:
    """The words of a constant list."""
    return frozenset(text.split())


_KEPT = (string.ascii_letters + string.digits + "_/-").encode()
_SEPARATED = bytes(byte if byte in _KEPT else 32 for byte in range(256))
_HEAD, _TAIL = 12_000, 4_000
_LONGEST_NAME = 80
_TELLING = (
    ("FAILED ", "Error: ", "Error:", "Exception:", "AssertionError"),
    ("error:", "No such", "not found", "failed", "refused", "does not", "Error"),
)
_NAME = re.compile(r"`[^`\n]{3,80}`|[A-Za-z_]\w{2,}\(?")
_KEYWORDS = frozenset(
    "def class import from return raise self None True False function func public static const var let try except "
    "with for while else elif lambda yield assert print test tests".split()
)
_VARYING = re.compile(r"(?<![0-9])[0-9](?:x[0-9a-fA-F]+|[0-9]*(?:\.[0-9]+)?\s?(?:s|ms|sec|secs|seconds)\b)")
_ENGLISH = listed(
    "the and for that this with will now not are can has have was were been being should would could need needs let "
    "lets from into its our then than but also all any first next more some such these those there here what which "
    "when where how you your they them their one two just like based given since because using use used"
)
_FILLER = _ENGLISH | {word.capitalize() for word in _ENGLISH}
"""English words that say nothing of a matter."""
_ONE_PIECE, _COMPARED = 80, 6_000
_IDENTIFIER = re.compile(r"[A-Za-z_]\w{2,}")


def writable(text: str) -> str:
    """The text without lone surrogates, which no file can hold; they are shown as codes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def quoted_line(line: str) -> str:
    """A quote of a line, without the rules that test runners draw."""
    return excerpt(line.strip(" =-_"))


def excerpt(text: str, limit: int = 80) -> str:
    """A quote of the beginning of a text: one line, in quotation marks, at most `limit` characters."""
    flat = " ".join(text[: limit * 4].split())
    return f'"{flat}"' if len(flat) <= limit else f'"{flat[: limit - 1]}…"'


def failure_line(observation: str) -> str:
    """A quote of the line of an observation that says what went wrong, or of its last line."""
    text = observation[-3000:].rstrip()
    status = text.rfind("\n[exit code ")
    text = text[:status].rstrip() if status >= 0 else text
    for marks in _TELLING:
        at = max(map(text.rfind, marks))
        if at >= 0:
            end = text.find("\n", at)
            return quoted_line(text[text.rfind("\n", 0, at) + 1 : end if end >= 0 else None])
    return quoted_line(text[text.rfind("\n") + 1 :])


def words(text: str) -> set[str]:
    """The words of a text. Paths stay in one piece up to their first dot; see `path_key`.

    It runs over every observation, so all the work is done by a few calls in C.
    """
    if len(text) > _HEAD + _TAIL:
        text = f"{text[:_HEAD]} {text[-_TAIL:]}"
    return set(_split(text))


def _split(text: str) -> list[str]:
    return text.encode("ascii", "replace").translate(_SEPARATED).decode("ascii").split()


@lru_cache(maxsize=8192)
def path_key(path: str) -> str:
    """What `words` leaves of a path: its longest piece without a dot."""
    return max(_split(path) or [path], key=len)


class Text:
    """An observation, taken apart once for all rules."""

    __slots__ = ("_answer", "_lines", "_print", "_words", "raw")

    def __init__(self, raw: str) -> None:
        self.raw = raw
        self._answer: str | None = None
        self._lines: set[str] | None = None
        self._print: str | None = None
        self._words: set[str] | None = None

    @property
    def lines(self) -> set[str]:
        """Its different lines."""
        if self._lines is None:
            self._lines = set(self.raw.split("\n"))
            self._lines.discard("")
        return self._lines

    @property
    def words(self) -> set[str]:
        """Its words."""
        if self._words is None:
            self._words = words(self.raw)
        return self._words

    @property
    def answer(self) -> str:
        """A hash of what a run said."""
        if self._answer is None:
            self._answer = answer(self.raw)
        return self._answer

    @property
    def print(self) -> str:
        """Its hash."""
        if self._print is None:
            self._print = digest(self.raw)
        return self._print


def telling_words(pattern: str) -> list[str]:
    """The words of a search pattern that say what is looked for: no keywords, nothing shorter than three letters."""
    return [word for word in sorted(words(pattern)) if len(word) > 2 and word not in _KEYWORDS]


def digest(text: str) -> str:
    """A short stable hash."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def answer(text: str) -> str:
    """A hash of what a run said, without durations and addresses, which differ from run to run."""
    return digest(_VARYING.sub("", text[-_TAIL:]))


def names(statement: str, limit: int = 60) -> tuple[str, ...]:
    """The code names a statement mentions (in backticks, snake_case, CamelCase or called), in order of appearance."""
    found: dict[str, None] = {}
    for match in _NAME.finditer(statement[:40_000]):
        said = match[0]
        if said[0] == "`" or said[-1] == "(" or _looks_like_code(said):
            found.update(dict.fromkeys(_IDENTIFIER.findall(said[:_LONGEST_NAME])))
        if len(found) >= limit:
            break
    return tuple(found)[:limit]


def _looks_like_code(word: str) -> bool:
    """Whether a word is written as code is: with an underscore inside, or with capitals beyond the first letter."""
    return "_" in word.strip("_") or not (word[1:].islower() or word.isupper() or word.isdigit())


def telling(found: set[str]) -> set[str]:
    """Those of some words that say something of a matter: neither filler nor too short."""
    return {word for word in found if len(word) > 2 and word not in _FILLER}


def content_words(text: str) -> set[str]:
    """The words of a text that say something of its matter."""
    return telling(words(text))


def pieces(arguments: Mapping[str, Any]) -> Counter[str]:
    """What a call says, as counted pieces. A short value is one, so that long paths are as unlike as numbers."""
    found: list[str] = []
    for value in arguments.values():
        for item in cast("list[object]", value) if isinstance(value, list | tuple) else (value,):
            text = str(item) if item is not None else ""
            if len(text) <= _ONE_PIECE and " " not in text and "\n" not in text:
                found.append(text)
            else:
                found += _split(text[:_COMPARED])
    return Counter(found)


def shared(one: Counter[str], other: Counter[str], least: float = 0.0) -> float:
    """Pieces in common among all pieces (Jaccard's index of two multisets); 1 when both are empty.

    0 instead of a value that cannot be above `least` since one of them is so much longer.
    """
    few, many = sorted((one.total(), other.total()))
    if few <= least * many:
        return 1.0 if not many else 0.0
    if len(other) < len(one):
        one, other = other, one
    common = sum(min(count, other[piece]) for piece, count in one.items() if piece in other)
    return common / (few + many - common)
