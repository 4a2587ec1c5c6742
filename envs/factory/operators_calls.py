"""Operators on calls: arguments in the wrong order, left out or mixed up, the wrong one of two methods."""

import ast
from collections.abc import Iterator

from .operators import operator, walk
from .source import Edit, Function, Source

__all__ = ["drop_keyword", "swap_arguments", "wrong_method", "wrong_variable"]

Edits = Iterator[tuple[ast.AST, list[Edit]]]

_METHODS = {
    "startswith": "endswith",
    "endswith": "startswith",
    "lstrip": "rstrip",
    "rstrip": "lstrip",
    "strip": "rstrip",
    "split": "rsplit",
    "rsplit": "split",
    "find": "rfind",
    "rfind": "find",
    "index": "rindex",
    "upper": "lower",
    "lower": "upper",
    "append": "extend",
    "extend": "append",
    "ljust": "rjust",
    "rjust": "ljust",
    "keys": "values",
    "values": "keys",
    "partition": "rpartition",
    "rpartition": "partition",
    "match": "search",
    "search": "match",
    "union": "intersection",
    "isdigit": "isalpha",
    "popleft": "pop",
}
_FUNCTIONS = {"min": "max", "max": "min", "any": "all", "all": "any", "floor": "ceil", "ceil": "floor"}


@operator
def swap_arguments(source: Source, function: Function) -> Edits:
    """Two neighbouring positional arguments of a call change places."""
    for node in walk(function):
        if not isinstance(node, ast.Call):
            continue
        for first, second in zip(node.args, node.args[1:], strict=False):
            if isinstance(first, ast.Starred) or isinstance(second, ast.Starred):
                continue
            if source.of(first) != source.of(second):
                yield (
                    first,
                    [
                        Edit(*source.span(first), source.of(second)),
                        Edit(*source.span(second), source.of(first)),
                    ],
                )


@operator
def drop_keyword(source: Source, function: Function) -> Edits:
    """A keyword argument of a call is left out."""
    for node in walk(function):
        if not isinstance(node, ast.Call):
            continue
        everything: list[ast.AST] = sorted(
            [*node.args, *node.keywords], key=lambda item: (getattr(item, "lineno", 0), getattr(item, "col_offset", 0))
        )
        for keyword in node.keywords:
            index = everything.index(keyword)
            if keyword.arg is None or index == 0:
                continue
            yield keyword, [Edit(source.span(everything[index - 1])[1], source.span(keyword)[1], "")]


@operator
def wrong_method(source: Source, function: Function) -> Edits:
    """A method or built-in function is mistaken for its sibling: `lstrip` for `rstrip`, `min` for `max`."""
    for node in walk(function):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Attribute) and called.attr in _METHODS:
            end = source.span(called)[1]
            yield called, [Edit(end - len(called.attr), end, _METHODS[called.attr])]
        elif isinstance(called, ast.Name) and called.id in _FUNCTIONS:
            yield called, [Edit(*source.span(called), _FUNCTIONS[called.id])]


@operator
def wrong_variable(source: Source, function: Function) -> Edits:
    """One parameter of the function is used where another one is meant."""
    arguments = function.node.args
    names = [arg.arg for arg in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    names = [name for name in names if name not in ("self", "cls", "mcs")]
    if len(names) < 2:
        return
    for node in walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names:
            other = names[(names.index(node.id) + 1) % len(names)]
            yield node, [Edit(*source.span(node), other)]
