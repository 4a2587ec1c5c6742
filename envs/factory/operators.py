"""Operators: each looks at the syntax nodes of a function and yields small edits that inject a bug.

An operator is a generator function of `(source, function)`; `operator` registers it under its name. The families
are in `operators_conditions`, `operators_values`, `operators_calls` and `operators_statements`.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from .source import Edit, Function, Source

__all__ = ["OPERATORS", "Mutation", "Operator", "load_operators", "mutations", "operator", "walk"]

Operator = Callable[[Source, Function], Iterator[tuple[ast.AST, list[Edit]]]]
OPERATORS: dict[str, Operator] = {}
"""By name, once `load_operators` was called."""
_FAMILIES = ("conditions", "values", "calls", "statements")


@dataclass(frozen=True)
class Mutation:
    """One bug that could be injected."""

    operator: str
    function: Function
    line: int
    """Of the syntax node that is changed."""
    edits: tuple[Edit, ...]

    def apply(self, source: Source) -> str | None:
        """The whole file with the bug; None when it no longer compiles or means the same."""
        text = source.apply(list(self.edits))
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError):
            return None
        return None if ast.dump(tree) == source.dump else text


def operator(function: Operator) -> Operator:
    """Register an operator under the name of its function."""
    OPERATORS[function.__name__] = function
    return function


@cache
def load_operators() -> tuple[str, ...]:
    """Import every family; the names of all operators, sorted."""
    for family in _FAMILIES:
        import_module(f"{__package__}.operators_{family}")
    return tuple(sorted(OPERATORS))


def walk(function: Function) -> Iterator[ast.AST]:
    """The nodes of a function's body, in the order of the text; neither annotations nor decorators."""
    pending: list[ast.AST] = list(reversed(function.node.body))
    while pending:
        node = pending.pop()
        yield node
        children = [child for child in ast.iter_child_nodes(node) if not _is_annotation(node, child)]
        pending.extend(reversed(children))


def _is_annotation(parent: ast.AST, child: ast.AST) -> bool:
    if isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef):
        return child is parent.returns or child in parent.decorator_list or child is parent.args
    if isinstance(parent, ast.JoinedStr | ast.FormattedValue):
        # Positions inside f-strings are wrong before Python 3.12.
        return True
    return isinstance(parent, ast.AnnAssign) and child is parent.annotation


def mutations(source: Source, function: Function) -> Iterator[Mutation]:
    """Every mutation of a function, by operator and in the order of the text."""
    for name in load_operators():
        for node, edits in OPERATORS[name](source, function):
            yield Mutation(name, function, getattr(node, "lineno", function.first), tuple(edits))
