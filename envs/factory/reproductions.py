"""Reproductions: small programs made from a failing test's own inputs and the check that fails in it."""

import ast
import builtins
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .source import Source
from .testfiles import TestNode, find_test
from .unittest_asserts import as_plain_asserts
from .workshop import FailedTest

__all__ = ["Reproduction", "reproductions", "scenario"]

_MAX_LINES, _MAX_CHARACTERS = 30, 2000
_BUILTINS = frozenset(dir(builtins))


@dataclass(frozen=True)
class Reproduction:
    """A program that passes when the package behaves and fails when it does not."""

    setup: str
    check: str
    left: str = ""
    right: str = ""

    @property
    def code(self) -> str:
        """The whole program."""
        return f"{self.setup}\n\n{self.check}" if self.setup else self.check

    def spec(self) -> dict[str, str]:
        """What `driver` is given."""
        return {"setup": self.setup, "check": self.check, "left": self.left, "right": self.right}


def reproductions(
    source: Source, node_id: str, failure: FailedTest, params: Mapping[str, str]
) -> Iterator[Reproduction]:
    """Programs for one failing test, the smallest first; whether they show the bug is for a run to tell."""
    found = find_test(source, node_id)
    if found is None:
        return
    before, check = _split(found[0], failure.line)
    if check is None:
        return
    plain = as_plain_asserts(check)
    seen: set[str] = set()
    for chosen in (_slice(before, plain), [statement for statement in before if not isinstance(statement, ast.Assert)]):
        made = _assemble(source, found[0], chosen, plain, params)
        if made is not None and made.code not in seen:
            seen.add(made.code)
            yield made


def scenario(source: Source, node_id: str, failure: FailedTest) -> str:
    """The test's own statements up to the one that fails, for when no program of its own can be made of them."""
    found = find_test(source, node_id)
    if found is None:
        return ""
    before, check = _split(found[0], failure.line)
    lines = [ast.unparse(statement) for statement in [*before, *([check] if check else [])]]
    text = "\n".join(lines)
    return text if text.count("\n") < _MAX_LINES and len(text) <= _MAX_CHARACTERS else ""


def _split(test: TestNode, line: int) -> tuple[list[ast.stmt], ast.stmt | None]:
    body = list(test.body)
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    if line == 0 and body:
        return body[:-1], body[-1]
    for index, statement in enumerate(body):
        if statement.lineno <= line <= (statement.end_lineno or statement.lineno):
            return body[:index], statement
    return [], None


def _loads(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)}


def _binds(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load)}
    return names


def _changes(node: ast.stmt) -> set[str]:
    """Names whose objects a statement may change in place."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return _loads(node.value)
    if isinstance(node, ast.Assign | ast.AugAssign | ast.Delete | ast.For | ast.While | ast.With | ast.Try | ast.If):
        targets = [part for part in ast.walk(node) if isinstance(part, ast.Subscript | ast.Attribute)]
        return {name for part in targets if not isinstance(part.ctx, ast.Load) for name in _loads(part)}
    return set()


def _slice(before: Sequence[ast.stmt], check: ast.stmt) -> list[ast.stmt]:
    """The statements that what the check uses depends on."""
    needed = _loads(check)
    kept: list[ast.stmt] = []
    for statement in reversed(before):
        if not isinstance(statement, ast.Assert) and (_binds(statement) | _changes(statement)) & needed:
            kept.append(statement)
            needed |= _loads(statement)
    return kept[::-1]


def _assemble(
    source: Source, test: TestNode, chosen: Sequence[ast.stmt], check: ast.stmt, params: Mapping[str, str]
) -> Reproduction | None:
    inside = [as_plain_asserts(statement) for statement in chosen]
    bound = {name for statement in inside for name in _binds(statement)}
    needed = _loads(check).union(*(_loads(statement) for statement in inside))
    arguments = {argument.arg for argument in (*test.args.posonlyargs, *test.args.args, *test.args.kwonlyargs)}
    given: list[str] = []
    for name in sorted(arguments & needed - bound):
        if name not in params or not _is_expression(params[name]):
            return None
        given.append(f"{name} = {params[name]}")
        needed |= {part.id for part in ast.walk(ast.parse(params[name])) if isinstance(part, ast.Name)}
    outside = _module_part(source, needed - bound - arguments)
    if outside is None:
        return None
    setup = "\n".join([*outside, *given, *(ast.unparse(statement) for statement in inside)])
    text = ast.unparse(check)
    if setup.count("\n") + text.count("\n") > _MAX_LINES or len(setup) + len(text) > _MAX_CHARACTERS:
        return None
    return Reproduction(setup, text, *_sides(check))


def _is_expression(text: str) -> bool:
    try:
        ast.parse(text, mode="eval")
    except SyntaxError:
        return False
    return True


def _sides(check: ast.stmt) -> tuple[str, str]:
    test = check.test if isinstance(check, ast.Assert) else None
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq | ast.Is):
        return ast.unparse(test.left), ast.unparse(test.comparators[0])
    return "", ""


def _module_part(source: Source, needed: set[str]) -> list[str] | None:
    """What of the test module the names need, in its order; None when it cannot stand alone."""
    kept: dict[int, str] = {}
    pending, seen = set(needed), set[str]()
    if any(name not in _module_names(source) and name not in _BUILTINS for name in needed):
        kept = _star_imports(source)
    while pending:
        name = pending.pop()
        seen.add(name)
        for index, statement in enumerate(source.tree.body):
            if name not in _binds(statement):
                continue
            text = _module_statement(statement, name, kept.get(index))
            if text is None:
                return None
            kept[index] = text
            if not isinstance(statement, ast.Import | ast.ImportFrom):
                pending |= _loads(statement) - seen
    return [kept[index] for index in sorted(kept)]


def _module_names(source: Source) -> set[str]:
    return {name for statement in source.tree.body for name in _binds(statement)}


def _star_imports(source: Source) -> dict[int, str]:
    """Where a name of unknown origin may come from."""
    return {
        index: ast.unparse(statement)
        for index, statement in enumerate(source.tree.body)
        if isinstance(statement, ast.ImportFrom) and not statement.level and statement.names[0].name == "*"
    }


def _module_statement(statement: ast.stmt, name: str, already: str | None) -> str | None:
    if isinstance(statement, ast.Import | ast.ImportFrom):
        if isinstance(statement, ast.ImportFrom) and statement.level:
            return None
        aliases = [alias for alias in statement.names if (alias.asname or alias.name).split(".")[0] == name]
        before = re.sub(r"^.*import ", "", already).split(", ") if already else []
        names = sorted({*before, *(ast.unparse(alias) for alias in aliases)})
        if isinstance(statement, ast.ImportFrom):
            return f"from {statement.module} import {', '.join(names)}"
        return f"import {', '.join(names)}"
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    if any("fixture" in ast.unparse(decorator) for decorator in decorators):
        return None
    if not isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign):
        return None
    return ast.unparse(statement)
