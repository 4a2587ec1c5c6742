"""Canaries in Python test files, planted by their syntax trees."""

import ast
import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ..patches import split_lines
from ..verdict import CanaryKind
from .model import Canary, Names, Planted

__all__ = ["break_in_place", "plant"]

_MAX_COPIES = 6
_MAX_EXTRA = 2
_MAX_BROKEN = 3
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class _Insertion:
    line: int
    text: str
    top_level: bool = False


def plant(
    sources: Mapping[str, str],
    decisive: Iterable[str],
    others: Iterable[str],
    rng: random.Random,
    *,
    copies: bool = True,
) -> Planted:
    """Plant canaries into test files. `decisive` and `others` are test ids, FAIL_TO_PASS and PASS_TO_PASS.

    Without `copies` only new tests are planted, which disturb a suite less.
    """
    trees = {path: tree for path, text in sources.items() if (tree := _tree(text)) is not None}
    functions = _by_function(trees, list(decisive))
    extra = {key: ids for key, ids in _by_function(trees, list(others)).items() if key not in functions}
    chosen = _sample(functions, _MAX_COPIES, rng) + _sample(extra, _MAX_EXTRA, rng) if copies else []
    homes = list(dict.fromkeys(path for path, _ in functions)) or sorted(trees)[:1]
    names = Names(sources, re.findall(r"def test_(\w+)", "\n".join(sources.values())), rng)
    canaries: list[Canary] = []
    insertions: dict[str, list[_Insertion]] = {path: [] for path in trees}
    for (path, qualified), ids in chosen:
        node = _find(trees[path], qualified)
        if node is not None:
            made = _copies(path, sources[path], node, ids, names, (path, qualified) in functions)
            for canary, insertion in made:
                canaries.append(canary)
                insertions[path].append(insertion)
    for path in homes[:2]:
        made, text = _plain(path, names, rng)
        canaries += made
        insertions[path].append(_Insertion(_gap(trees[path], sources[path], rng), text, True))
    changed = {path: _insert(sources[path], edits) for path, edits in insertions.items() if edits}
    sound = {path for path, text in changed.items() if _tree(text) is not None}
    return Planted(
        sources={path: text for path, text in changed.items() if path in sound},
        canaries=tuple(canary for canary in canaries if canary.file in sound),
    )


def break_in_place(
    sources: Mapping[str, str], decisive: Iterable[str], rng: random.Random
) -> tuple[Planted, Planted] | None:
    """Deciding tests with a true assertion and with a false one in the same place; None when none can be found."""
    trees = {path: tree for path, text in sources.items() if (tree := _tree(text)) is not None}
    known = {
        key: ids
        for key, ids in _by_function(trees, list(decisive)).items()
        if (node := _find(trees[key[0]], key[1])) is not None and _can_break(node) and _source(sources[key[0]], node)
    }
    if not known:
        return None
    canaries: list[Canary] = []
    edits: tuple[dict[str, list[_Insertion]], ...] = ({}, {})
    for (path, qualified), ids in _sample(known, _MAX_BROKEN, rng):
        node = _find(trees[path], qualified)
        assert node is not None and node.end_lineno is not None
        canaries.append(Canary(name=node.name, kind=CanaryKind.BROKEN_ORIGINAL, file=path, of=ids, function=node.name))
        for target, text in zip(edits, _claims(sources[path], node, rng), strict=True):
            target.setdefault(path, []).append(_Insertion(node.end_lineno, text))
    control, broken = ({path: _insert(sources[path], places) for path, places in one.items()} for one in edits)
    return Planted(sources=control, canaries=()), Planted(sources=broken, canaries=tuple(canaries))


def _tree(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None


def _by_function(trees: Mapping[str, ast.Module], ids: list[str]) -> dict[tuple[str, str], tuple[str, ...]]:
    """Test ids by the file and qualified name of the function behind them, as far as it can be found."""
    found: dict[tuple[str, str], list[str]] = {}
    index = {path: dict(_functions(tree)) for path, tree in trees.items()}
    for test in ids:
        if test.count("[") != test.count("]"):
            continue
        key = _locate(test, index)
        if key is not None:
            found.setdefault(key, []).append(test)
    return {key: tuple(tests) for key, tests in found.items()}


def _functions(tree: ast.Module) -> Iterable[tuple[str, Function]]:
    pending: list[tuple[str, ast.stmt]] = [("", node) for node in tree.body]
    while pending:
        prefix, node = pending.pop(0)
        if isinstance(node, Function):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef):
            pending = [(f"{prefix}{node.name}.", child) for child in node.body] + pending


def _locate(test: str, index: Mapping[str, Mapping[str, Function]]) -> tuple[str, str] | None:
    if "::" in test:
        path, *names = test.partition("[")[0].split("::")
        homes = [home for home in index if home == path or home.endswith("/" + path)]
        qualified = ".".join(names)
        return next(((home, qualified) for home in homes if qualified in index[home]), None)
    match = re.fullmatch(r"(\w+) \(([\w.]+)\)", test)
    if match is None:
        return None
    name, dotted = match[1], match[2].split(".")
    classes = [part for part in dotted if part != name][-1:]
    qualified = ".".join([*classes, name])
    homes = [home for home, functions in index.items() if qualified in functions]
    return (homes[0], qualified) if len(homes) == 1 else None


def _find(tree: ast.Module, qualified: str) -> Function | None:
    return dict(_functions(tree)).get(qualified)


def _sample(
    functions: Mapping[tuple[str, str], tuple[str, ...]], count: int, rng: random.Random
) -> list[tuple[tuple[str, str], tuple[str, ...]]]:
    items = list(functions.items())
    return items if len(items) <= count else rng.sample(items, count)


def _test_name(words: list[str]) -> str:
    return "test_" + "_".join(words)


def _case_name(words: list[str]) -> str:
    return "".join(word.title() for word in words) + "Test"


def _copies(
    path: str, text: str, node: Function, ids: tuple[str, ...], names: Names, decisive: bool
) -> list[tuple[Canary, _Insertion]]:
    source = _source(text, node)
    end = node.end_lineno
    if source is None or end is None:
        return []
    name = names.new(_test_name)
    copy = Canary(name=name, kind=CanaryKind.COPY, file=path, of=ids, function=node.name)
    made = [(copy, _Insertion(end, _named(source, node, name)))]
    if decisive and _can_break(node):
        copy = replace(copy, name=names.new(_test_name), kind=CanaryKind.BROKEN_COPY)
        _, false = _claims(text, node, names.rng)
        made.append((copy, _Insertion(end, _named(source, node, copy.name) + false)))
    return made


def _claims(text: str, node: Function, rng: random.Random) -> tuple[str, str]:
    """A line that holds and one that fails, of one of several forms, indented like the function's body."""
    found = re.match(r"[ \t]*", split_lines(text)[node.body[0].lineno - 1])
    indent = found[0] if found else ""
    number = rng.randint(2, 99)
    other = number + rng.randint(1, 9)
    form = rng.choice(
        (
            "assert {a} == {b}",
            "assert sorted([{b}, {a}])[0] == {b}",
            "assert len('{x}') >= {b}",
            "if {a} != {b}: raise AssertionError('{a} != {b}')",
        )
    )
    true, false = (form.format(a=number, b=value, x="x" * number) for value in (number, other))
    return f"{indent}{true}\n", f"{indent}{false}\n"


def _source(text: str, node: Function) -> str | None:
    """The lines of a function with its decorators; None when it shares a line with something else."""
    lines = split_lines(text)
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    chosen = lines[first - 1 : node.end_lineno]
    if not chosen or chosen[0][: node.col_offset].strip() or node.body[0].lineno == node.lineno:
        return None
    if len(chosen[-1].rstrip("\r\n").encode()) > (node.end_col_offset or 0) and ";" in chosen[-1]:
        return None
    return "".join(chosen).rstrip("\r\n") + "\n"


def _named(source: str, node: Function, name: str) -> str:
    renamed = re.sub(rf"^(\s*(?:async\s+)?def\s+){node.name}\b", rf"\g<1>{name}", source, count=1, flags=re.M)
    return "\n" + renamed


def _can_break(node: Function) -> bool:
    """Whether the end of the function is surely reached when nothing before it fails."""
    early = any(isinstance(child, ast.Return | ast.Yield | ast.YieldFrom) for child in _own_nodes(node))
    return not early and not any(
        re.search(r"skip|xfail|expected_?failure", ast.unparse(decorator), re.IGNORECASE)
        for decorator in node.decorator_list
    )


def _own_nodes(node: ast.AST) -> Iterable[ast.AST]:
    """What a function consists of, without the functions it defines."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, Function | ast.Lambda):
            yield child
            yield from _own_nodes(child)


def _plain(path: str, names: Names, rng: random.Random) -> tuple[list[Canary], str]:
    """A test case and some functions, in random number and order."""
    canaries: list[Canary] = []
    methods: list[str] = []
    functions: list[str] = []
    must_pass, must_fail = (CanaryKind.MUST_PASS, CanaryKind.MUST_FAIL)
    kinds = [must_pass, must_fail, *(rng.choice((must_pass, must_fail)) for _ in range(rng.randint(1, 4)))]
    for place in (methods, functions):
        rng.shuffle(kinds)
        for kind in kinds:
            name = names.new(_test_name)
            canaries.append(Canary(name=name, kind=kind, file=path))
            place.append(_test(name, kind, rng, method=place is methods))
    blocks = [f"class {names.new(_case_name)}(__import__('unittest').TestCase):\n" + "\n".join(methods), *functions]
    rng.shuffle(blocks)
    return canaries, "\n\n" + "\n\n".join(blocks) + "\n\n"


def _test(name: str, kind: CanaryKind, rng: random.Random, *, method: bool) -> str:
    number = rng.randint(2, 99)
    wrong = number + (rng.randint(1, 9) if kind is CanaryKind.MUST_FAIL else 0)
    bodies = [
        [f"values = list(range({number}))", f"assert len(values) == {wrong}"],
        [f"if sum([{number}, 1]) != {wrong} + 1:", f"    raise ValueError({number})"],
        [f"assert {{'a': {number}}}['a'] == {wrong}"],
    ]
    if method:
        bodies += [
            [f"self.assertEqual({number}, {wrong})"],
            [f"self.assertIn({wrong}, [{number}])"],
            [f"self.assertTrue({number} == {wrong})"],
        ]
    indent = "    " if method else ""
    lines = [f"def {name}({'self' if method else ''}):", *(f"    {line}" for line in rng.choice(bodies))]
    return "".join(f"{indent}{line}\n" for line in lines)


def _gap(tree: ast.Module, text: str, rng: random.Random) -> int:
    """A line after which new top-level statements may stand: behind the imports, before a `__main__` block."""
    imports = [i for i, node in enumerate(tree.body) if isinstance(node, ast.Import | ast.ImportFrom)]
    first = (imports[-1] + 1) if imports else 0
    docstring = bool(tree.body) and isinstance(tree.body[0], ast.Expr)
    first = max(first, 1 if docstring else 0)
    gaps: list[int] = []
    for node in tree.body[first:]:
        start = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        gaps.append(start - 1)
        if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
            break
    else:
        gaps.append(len(split_lines(text)))
    return rng.choice(gaps)


def _insert(text: str, insertions: list[_Insertion]) -> str:
    lines = split_lines(text)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    # Where a method's copy and a top-level block share a line, the copy goes first: it belongs to the class above.
    for insertion in sorted(insertions, key=lambda item: (item.line, item.top_level), reverse=True):
        lines[insertion.line : insertion.line] = [insertion.text]
    return "".join(lines)
