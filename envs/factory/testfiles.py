"""Test files without the tests that decide."""

import ast
from collections.abc import Iterator, Sequence

from .source import Edit, Source

__all__ = ["find_test", "without_tests"]

TestNode = ast.FunctionDef | ast.AsyncFunctionDef


def find_test(source: Source, node_id: str) -> tuple[TestNode, list[ast.AST]] | None:
    """The function of a node id (`path::Class::test[param]`) and the nodes around it, outermost first."""
    parts = _names(node_id)
    classes = {node.name: node for node in ast.walk(source.tree) if isinstance(node, ast.ClassDef)}
    if len(parts) == 1:
        return _in_block(source.tree, parts[0])
    pending, seen = [parts[-2]], set[str]()
    while pending:
        name = pending.pop(0)
        if name in seen or name not in classes:
            continue
        seen.add(name)
        if found := _in_block(classes[name], parts[-1]):
            return found
        pending += [base.id for base in classes[name].bases if isinstance(base, ast.Name)]
    return None


def _names(node_id: str) -> list[str]:
    """`a.py::Class::test[x::y]` gives `Class, test`."""
    head = node_id.split("[", 1)[0]
    return head.split("::")[1:]


def _in_block(parent: ast.AST, name: str) -> tuple[TestNode, list[ast.AST]] | None:
    found: tuple[TestNode, list[ast.AST]] | None = None
    for node, around in _definitions(parent, []):
        if node.name == name:
            found = node, around
    return found


def _definitions(parent: ast.AST, around: list[ast.AST]) -> Iterator[tuple[TestNode, list[ast.AST]]]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, TestNode):
            yield node, [*around, parent]
        elif isinstance(node, ast.If | ast.Try | ast.With):
            yield from _definitions(node, [*around, parent])


def without_tests(source: Source, node_ids: Sequence[str]) -> str | None:
    """The text without the functions of these tests; None when one of them is not to be found there."""
    doomed: dict[int, tuple[TestNode, ast.AST]] = {}
    for node_id in node_ids:
        found = find_test(source, node_id)
        if found is None:
            return None
        doomed[id(found[0])] = found[0], found[1][-1]
    edits = list(_removals(source, list(doomed.values())))
    text = source.apply(edits)
    try:
        ast.parse(text)
    except SyntaxError:
        return None
    return text


def _removals(source: Source, doomed: Sequence[tuple[TestNode, ast.AST]]) -> Iterator[Edit]:
    ids = {id(node) for node, _ in doomed}
    for node, parent in doomed:
        start, end = source.line_span(node)
        while source.text[:start].endswith("\n\n"):
            start -= 1
        block = next(block for block in _blocks(parent) if any(child is node for child in block))
        emptied = all(id(child) in ids for child in block)
        if emptied and node is block[0] and not isinstance(parent, ast.Module):
            indent = source.indent(node) if not node.decorator_list else " " * node.col_offset
            yield Edit(start, end, f"{indent}pass\n")
        else:
            yield Edit(start, end, "")


def _blocks(parent: ast.AST) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(parent, name, None)
        if isinstance(block, list) and block:
            yield block  # pyright: ignore[reportUnknownVariableType]
    for handler in getattr(parent, "handlers", []):
        yield handler.body
