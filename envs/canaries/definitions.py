"""Where the tests of a file stand, in languages that are read as text: strings and comments blanked, brackets matched.

What this cannot read it leaves out: a canary that is not planted says nothing, and one that breaks a file does so with
the reference patch as well, which discounts it.
"""

import re
from dataclasses import dataclass

__all__ = ["Definition", "blank", "by_braces", "by_calls", "by_indent"]

_QUOTED = r'"(?:\\.|[^"\\\n])*"'
_SINGLE = r"'(?:\\.|[^'\\\n])*'"
_SLASHES = r"//[^\n]*|/\*.*?\*/"
_LITERALS = {
    "javascript": rf"{_SLASHES}|{_QUOTED}|{_SINGLE}|`(?:\\.|[^`\\])*`"
    r"|(?<=[(,=:\[!&|?{};\n])\s*/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/[a-z]*",
    "go": rf"{_SLASHES}|{_QUOTED}|'(?:\\.|[^'\\\n])+'|`[^`]*`",
    "rust": rf'{_SLASHES}|r(?P<hashes>#*)".*?"(?P=hashes)|"(?:\\.|[^"\\])*"' + r"|'(?:\\.[^']*|[^'\\\n])'",
    "java": rf'{_SLASHES}|"""(?:\\.|[^\\])*?"""|{_QUOTED}|{_SINGLE}',
    "php": rf'{_SLASHES}|\#(?!\[)[^\n]*|"(?:\\.|[^"\\])*"|' + r"'(?:\\.|[^'\\])*'",
}
_LITERAL = {name: re.compile(pattern, re.DOTALL) for name, pattern in _LITERALS.items()}
_CLOSERS = {"(": ")", "[": "]", "{": "}"}
_EARLY = re.compile(r"\b(?:return|throw|raise|break|next|skip\w*|Skip\w*|pending|abort|panic!|exit|os\.Exit)\b")


@dataclass(frozen=True, slots=True)
class Definition:
    """One test in the text of a file; all places are offsets into the text."""

    title: str
    """What a log calls it, as far as the file says."""
    start: int
    """Begin of its first line, attributes included."""
    end: int
    """Behind its last line."""
    name: tuple[int, int]
    """Where the title stands."""
    body: tuple[int, int] | None
    """Between the braces; None where there are none."""
    head: str
    """Its text before the body."""
    early: bool
    """The body may end before its last line."""

    @property
    def indent(self) -> str:
        """White space its first line begins with."""
        return self.head[: len(self.head) - len(self.head.lstrip(" \t"))]


def blank(text: str, language: str) -> str:
    """The text with comments and the insides of literals turned to spaces; as long as before, line for line."""
    return _LITERAL[language].sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def by_braces(text: str, language: str, pattern: re.Pattern[str]) -> list[Definition]:
    """Functions with a body in braces. The pattern ends at the opening brace; its groups are `first`, and `name` or
    `function`.
    """
    bare = blank(text, language)
    found: list[Definition] = []
    for match in pattern.finditer(bare):
        opening = match.end() - 1
        closing = _closing(bare, opening)
        if closing is not None:
            start = bare.rfind("\n", 0, match.start("first")) + 1
            name = match.span("name") if match["name"] else match.span("function")
            found.append(_definition(text, bare, start, closing + 1, name, (opening + 1, closing)))
    return found


def by_calls(text: str, language: str, pattern: re.Pattern[str]) -> list[Definition]:
    """Calls that take a title and a function. The pattern, on the text itself, has the groups `open` and `name`."""
    bare = blank(text, language)
    found: list[Definition] = []
    for match in pattern.finditer(text):
        opening = match.start("open")
        closing = _closing(bare, opening) if bare[opening] == "(" else None
        if closing is None:
            continue
        inner = re.search(r"(?:=>|\bfunction\b[^(]*\([^()]*\))\s*\{", bare[match.end() : closing])
        brace = match.end() + inner.end() - 1 if inner else None
        last = _closing(bare, brace) if brace is not None else None
        body = (brace + 1, last) if brace is not None and last is not None else None
        end = closing + 1 + bare[closing + 1 : closing + 2].count(";")
        found.append(_definition(text, bare, match.start(), end, match.span("name"), body))
    return found


def by_indent(text: str, pattern: re.Pattern[str]) -> list[Definition]:
    """Blocks that `end` at their own indentation. The pattern matches a first line and has `indent` and `name`."""
    found: list[Definition] = []
    for match in pattern.finditer(text):
        last = re.compile(rf"^{re.escape(match['indent'])}end\b[^\n]*", re.MULTILINE).search(text, match.end())
        if last is not None:
            span = match.span("name")
            found.append(_definition(text, text, match.start(), last.end(), span, (match.end(), last.start())))
    return found


def _definition(
    text: str, bare: str, start: int, end: int, name: tuple[int, int], body: tuple[int, int] | None
) -> Definition:
    # A body whose last line is its value can take no statement behind it.
    early = body is None or "->" in text[start : body[0]] or _EARLY.search(bare[body[0] : body[1]]) is not None
    line_end = text.find("\n", end)
    return Definition(
        title=text[name[0] : name[1]],
        start=start,
        end=len(text) if line_end < 0 else line_end + 1,
        name=name,
        body=body,
        head=text[start : body[0] if body else name[1]],
        early=early,
    )


def _closing(bare: str, opening: int) -> int | None:
    """Where the bracket that opens there is closed, or None."""
    expected: list[str] = []
    for match in re.compile(r"[()\[\]{}]").finditer(bare, opening):
        if match[0] in _CLOSERS:
            expected.append(_CLOSERS[match[0]])
        elif not expected or expected.pop() != match[0]:
            return None
        if not expected:
            return match.start()
    return None
