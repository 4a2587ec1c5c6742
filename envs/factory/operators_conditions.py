"""Operators on what is asked: comparisons, boolean expressions, conditions of branches and loops."""

import ast
from collections.abc import Iterator

from .operators import operator, walk
from .source import Edit, Function, Source

__all__ = ["flip_comparison", "loop_condition", "negate_condition", "shift_boundary", "swap_and_or", "weaken_condition"]

Edits = Iterator[tuple[ast.AST, list[Edit]]]

_FLIPPED: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Lt: ("<", ">"),
    ast.Gt: (">", "<"),
    ast.LtE: ("<=", ">="),
    ast.GtE: (">=", "<="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}
_SHIFTED: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
}


def _replace_between(source: Source, left: ast.AST, right: ast.AST, old: str, new: str) -> list[Edit] | None:
    start, end = source.span(left)[1], source.span(right)[0]
    between = source.text[start:end]
    at = between.find(old)
    if at < 0 or between.count(old) != 1:
        return None
    return [Edit(start + at, start + at + len(old), new)]


def _comparisons(source: Source, function: Function, table: dict[type[ast.cmpop], tuple[str, str]]) -> Edits:
    for node in walk(function):
        if not isinstance(node, ast.Compare):
            continue
        operands = [node.left, *node.comparators]
        for index, op in enumerate(node.ops):
            if type(op) not in table:
                continue
            edits = _replace_between(source, operands[index], operands[index + 1], *table[type(op)])
            if edits:
                yield node, edits


@operator
def flip_comparison(source: Source, function: Function) -> Edits:
    """`a == b` becomes `a != b`, `a < b` becomes `a > b`, and so on."""
    yield from _comparisons(source, function, _FLIPPED)


@operator
def shift_boundary(source: Source, function: Function) -> Edits:
    """`a < b` becomes `a <= b`, and the reverse."""
    yield from _comparisons(source, function, _SHIFTED)


@operator
def swap_and_or(source: Source, function: Function) -> Edits:
    """`a and b` becomes `a or b`, and the reverse."""
    for node in walk(function):
        if isinstance(node, ast.BoolOp) and len(node.values) == 2:
            old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            if edits := _replace_between(source, node.values[0], node.values[1], old, new):
                yield node, edits


@operator
def weaken_condition(source: Source, function: Function) -> Edits:
    """An operand of `and` or `or` is dropped."""
    for node in walk(function):
        if not isinstance(node, ast.BoolOp):
            continue
        for index, value in enumerate(node.values):
            if index == 0:
                start, end = source.span(value)[0], source.span(node.values[1])[0]
            else:
                start, end = source.span(node.values[index - 1])[1], source.span(value)[1]
            if "(" not in source.text[start:end].replace(source.of(value), ""):
                yield value, [Edit(start, end, "")]


@operator
def negate_condition(source: Source, function: Function) -> Edits:
    """`if a:` becomes `if not a:`, `if not a:` becomes `if a:`; comparisons are left to `flip_comparison`."""
    for node in walk(function):
        if isinstance(node, ast.If | ast.IfExp) and not isinstance(node.test, ast.Compare):
            test = node.test
            if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
                yield test, [Edit(source.span(test)[0], source.span(test.operand)[0], "")]
            elif not isinstance(test, ast.BoolOp | ast.NamedExpr):
                start = source.span(test)[0]
                yield test, [Edit(start, start, "not ")]


@operator
def loop_condition(source: Source, function: Function) -> Edits:
    """A loop ends early or does too little: `break` for `continue` and back, one element less of what is iterated."""
    for node in walk(function):
        if isinstance(node, ast.Break | ast.Continue):
            start, end = source.span(node)
            yield node, [Edit(start, end, "continue" if isinstance(node, ast.Break) else "break")]
        elif isinstance(node, ast.For) and _is_range(node.iter):
            assert isinstance(node.iter, ast.Call)
            stop = node.iter.args[min(1, len(node.iter.args) - 1)]
            end = source.span(stop)[1]
            yield node.iter, [Edit(end, end, " - 1")]
        elif isinstance(node, ast.While) and isinstance(node.test, ast.BoolOp):
            first = node.test.values[0]
            start, end = source.span(node.test)
            yield node.test, [Edit(start, end, source.of(first))]


def _is_range(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range" and bool(node.args)
    )
