"""Python source as text with positions: small edits that keep everything else as it was written."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

__all__ = ["Edit", "Function", "Source"]


@dataclass(frozen=True, order=True)
class Edit:
    """Replace the text between two offsets."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Function:
    """A function of a source file; nested functions belong to the one around them."""

    name: str
    """Dotted, without the module: `Class.method`."""
    node: ast.FunctionDef | ast.AsyncFunctionDef
    first: int
    last: int
    """Lines, from 1, decorators included."""

    @property
    def is_public(self) -> bool:
        """Whether no part of the name is private."""
        return not any(part.startswith("_") and not part.endswith("__") for part in self.name.split("."))


class Source:
    """The text of a module and its syntax tree. Raises SyntaxError."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = ast.parse(text)

    @cached_property
    def dump(self) -> str:
        """The syntax tree as text, to compare with another."""
        return ast.dump(self.tree)

    @cached_property
    def _starts(self) -> list[int]:
        starts, at = [0], 0
        while (at := self.text.find("\n", at) + 1) > 0:
            starts.append(at)
        return starts

    def offset(self, line: int, column: int) -> int:
        """The offset of a position as `ast` gives it: line from 1, column in UTF-8 bytes."""
        start = self._starts[line - 1]
        end = self._starts[line] if line < len(self._starts) else len(self.text)
        text = self.text[start:end]
        return start + (column if text.isascii() else len(text.encode()[:column].decode()))

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Where a node's text begins and ends."""
        line, column, end_line, end_column = _position(node)
        return self.offset(line, column), self.offset(end_line, end_column)

    def of(self, node: ast.AST) -> str:
        """The text of a node."""
        start, end = self.span(node)
        return self.text[start:end]

    def line_span(self, node: ast.AST) -> tuple[int, int]:
        """The whole lines of a statement, decorators and final newline included."""
        first, last = _lines_of(node)
        end = self._starts[last] if last < len(self._starts) else len(self.text)
        return self._starts[first - 1], end

    def alone_on_its_lines(self, node: ast.stmt) -> bool:
        """Whether nothing but white space and a comment shares the lines of a statement."""
        start, end = self.span(node)
        line_start, line_end = self.line_span(node)
        before, after = self.text[line_start:start], self.text[end:line_end].strip()
        return not before.strip() and (not after or after.startswith("#"))

    def indent(self, node: ast.stmt) -> str:
        """The white space before a statement."""
        start, _ = self.span(node)
        return self.text[self._starts[node.lineno - 1] : start]

    def apply(self, edits: list[Edit]) -> str:
        """The text with all edits made."""
        text = self.text
        for edit in sorted(edits, reverse=True):
            text = text[: edit.start] + edit.text + text[edit.end :]
        return text

    @cached_property
    def functions(self) -> list[Function]:
        """Every function that is not inside another, in the order of the text."""
        return list(_functions(self.tree, ""))


def _position(node: ast.AST) -> tuple[int, int, int, int]:
    line, column = getattr(node, "lineno", 0), getattr(node, "col_offset", 0)
    return line, column, getattr(node, "end_lineno", line), getattr(node, "end_col_offset", column)


def _lines_of(node: ast.AST) -> tuple[int, int]:
    first, _, last, _ = _position(node)
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([first, *(decorator.lineno for decorator in decorators)]), last


def _functions(parent: ast.AST, prefix: str) -> Iterator[Function]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Function(prefix + node.name, node, *_lines_of(node))
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.If | ast.Try | ast.With | ast.ExceptHandler):
            yield from _functions(node, prefix)
