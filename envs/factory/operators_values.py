"""Operators on what is computed: arithmetic, constants, slices, defaults, the branches of a conditional expression."""

import ast
from collections.abc import Iterator

from .operators import operator, walk
from .source import Edit, Function, Source

__all__ = ["change_default", "flip_flag", "off_by_one", "swap_alternatives", "trim_slice", "wrong_operator"]

Edits = Iterator[tuple[ast.AST, list[Edit]]]

_OPERATORS: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "+"),
    ast.Div: ("/", "//"),
    ast.FloorDiv: ("//", "/"),
    ast.Mod: ("%", "//"),
    ast.BitOr: ("|", "&"),
    ast.BitAnd: ("&", "|"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
    ast.Pow: ("**", "*"),
}


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str | bytes))


@operator
def wrong_operator(source: Source, function: Function) -> Edits:
    """`a + b` becomes `a - b`, `a // b` becomes `a / b`, `x += 1` becomes `x -= 1`, and so on."""
    for node in walk(function):
        if isinstance(node, ast.BinOp):
            left, right, suffix = node.left, node.right, ""
        elif isinstance(node, ast.AugAssign):
            left, right, suffix = node.target, node.value, "="
        else:
            continue
        # Text minus text is an obvious error; what remains is subtle.
        if type(node.op) not in _OPERATORS or _is_text(left) or _is_text(right):
            continue
        old, new = (sign + suffix for sign in _OPERATORS[type(node.op)])
        start, end = source.span(left)[1], source.span(right)[0]
        between = source.text[start:end]
        if between.count(old) == 1:
            at = start + between.index(old)
            yield node, [Edit(at, at + len(old), new)]


def _is_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int


@operator
def off_by_one(source: Source, function: Function) -> Edits:
    """A whole number in an index, a call, a comparison or a sum is one too large or one too small."""
    for node in walk(function):
        if not _is_number(node):
            continue
        assert isinstance(node, ast.Constant)
        text = source.of(node)
        if text.isdigit() and len(text) < 5:
            value = int(text)
            yield node, [Edit(*source.span(node), str(value + 1))]
            if value > 0:
                yield node, [Edit(*source.span(node), str(value - 1))]


@operator
def trim_slice(source: Source, function: Function) -> Edits:
    """A bound of a slice is dropped, or moved by one."""
    for node in walk(function):
        if not isinstance(node, ast.Slice):
            continue
        for bound in (node.lower, node.upper):
            if bound is None:
                continue
            start, end = source.span(bound)
            yield bound, [Edit(start, end, "")]
            if isinstance(bound, ast.Name | ast.Attribute):
                yield bound, [Edit(end, end, " + 1")]


@operator
def flip_flag(source: Source, function: Function) -> Edits:
    """`True` becomes `False`, and the reverse."""
    for node in walk(function):
        if isinstance(node, ast.Constant) and isinstance(node.value, bool):
            yield node, [Edit(*source.span(node), str(not node.value))]


@operator
def swap_alternatives(source: Source, function: Function) -> Edits:
    """`a if c else b` becomes `b if c else a`."""
    for node in walk(function):
        if isinstance(node, ast.IfExp):
            body, other = source.of(node.body), source.of(node.orelse)
            yield node, [Edit(*source.span(node.body), other), Edit(*source.span(node.orelse), body)]


@operator
def change_default(source: Source, function: Function) -> Edits:
    """The default of a parameter is another one."""
    arguments = function.node.args
    defaults = [*arguments.defaults, *(default for default in arguments.kw_defaults if default is not None)]
    for node in defaults:
        if isinstance(node, ast.Constant) and (new := _other(node.value)) is not None:
            yield node, [Edit(*source.span(node), new)]


def _other(value: object) -> str | None:
    if isinstance(value, bool):
        return str(not value)
    if value is None:
        return "False"
    if isinstance(value, int):
        return str(value + 1)
    if isinstance(value, str):
        return repr("" if value else " ")
    return None
