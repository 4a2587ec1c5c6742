"""Operators on statements: guards, branches, handlers, returns and updates that go missing."""

import ast
from collections.abc import Iterator

from .operators import operator, walk
from .source import Edit, Function, Source

__all__ = [
    "drop_branch",
    "drop_handler",
    "drop_return",
    "drop_update",
    "narrow_handler",
    "remove_guard",
    "widen_handler",
]

Edits = Iterator[tuple[ast.AST, list[Edit]]]


def _blocks(function: Function) -> Iterator[list[ast.stmt]]:
    yield function.node.body
    for node in walk(function):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                yield block


def _remove(source: Source, statement: ast.stmt, block: list[ast.stmt]) -> list[Edit] | None:
    """Delete a statement; one that is alone in its block becomes `pass`."""
    if not source.alone_on_its_lines(statement):
        return None
    if len(block) == 1:
        return [Edit(*source.span(statement), "pass")]
    return [Edit(*source.line_span(statement), "")]


@operator
def remove_guard(source: Source, function: Function) -> Edits:
    """An `if` that only leaves the function or the round of a loop is removed."""
    for block in _blocks(function):
        for statement in block:
            if not isinstance(statement, ast.If) or statement.orelse or len(statement.body) > 2:
                continue
            leaves = isinstance(statement.body[-1], ast.Return | ast.Raise | ast.Continue | ast.Break)
            is_elif = source.text.startswith("elif", source.span(statement)[0])
            if leaves and not is_elif and (edits := _remove(source, statement, block)):
                yield statement, edits


@operator
def drop_branch(source: Source, function: Function) -> Edits:
    """An `elif` or `else` branch is removed."""
    for node in walk(function):
        if not isinstance(node, ast.If) or not node.orelse:
            continue
        first = node.orelse[0]
        if not source.alone_on_its_lines(node.body[-1]):
            continue
        start = source.line_span(node.body[-1])[1]
        if (
            len(node.orelse) == 1
            and isinstance(first, ast.If)
            and source.text.startswith("elif", source.span(first)[0])
        ):
            begin, end = source.line_span(first)[0], source.line_span(first.body[-1])[1]
            yield first, [Edit(begin, end, "")]
        elif source.alone_on_its_lines(node.orelse[-1]):
            yield first, [Edit(start, source.line_span(node.orelse[-1])[1], "")]


def _handlers(function: Function) -> Iterator[tuple[ast.Try, ast.ExceptHandler]]:
    for node in walk(function):
        if isinstance(node, ast.Try):
            for handler in node.handlers:
                yield node, handler


@operator
def drop_handler(source: Source, function: Function) -> Edits:
    """An exception that was handled is let through."""
    for _, handler in _handlers(function):
        first, last = handler.body[0], handler.body[-1]
        if not (len(handler.body) == 1 and isinstance(first, ast.Raise)):
            yield handler, [Edit(source.span(first)[0], source.span(last)[1], "raise")]


@operator
def widen_handler(source: Source, function: Function) -> Edits:
    """A handler for one kind of exception catches all of them."""
    for node, handler in _handlers(function):
        name = handler.type
        if name is not None and len(node.handlers) == 1 and source.of(name) not in ("Exception", "BaseException"):
            yield handler, [Edit(*source.span(name), "Exception")]


@operator
def narrow_handler(source: Source, function: Function) -> Edits:
    """A handler for several kinds of exceptions forgets one of them."""
    for _, handler in _handlers(function):
        if not isinstance(handler.type, ast.Tuple) or len(handler.type.elts) < 2:
            continue
        for forgotten in handler.type.elts:
            kept = [source.of(name) for name in handler.type.elts if name is not forgotten]
            text = kept[0] if len(kept) == 1 else f"({', '.join(kept)})"
            yield handler, [Edit(*source.span(handler.type), text)]


@operator
def drop_return(source: Source, function: Function) -> Edits:
    """A value is computed and not returned."""
    for node in walk(function):
        if isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
            start = source.span(node)[0]
            yield node, [Edit(start, source.span(node.value)[0], "")]


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


@operator
def drop_update(source: Source, function: Function) -> Edits:
    """An update is forgotten: a counter, a second assignment to a name or an attribute, a call for its effect."""
    assigned: set[str] = {arg.arg for arg in function.node.args.args}
    for block in _blocks(function):
        for statement in block:
            known = _updates(source, statement, assigned)
            if known and (edits := _remove(source, statement, block)):
                yield statement, edits


def _updates(source: Source, statement: ast.stmt, assigned: set[str]) -> bool:
    if isinstance(statement, ast.AugAssign):
        return True
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Call) and isinstance(statement.value.func, ast.Attribute)
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        known = isinstance(target, ast.Attribute | ast.Subscript) or source.of(target) in assigned
        assigned.add(source.of(target))
        return known
    return False
