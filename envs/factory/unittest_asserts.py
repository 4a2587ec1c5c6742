"""The assert methods of `unittest`, and functions named like them, as plain `assert` statements."""

import ast
import copy

__all__ = ["as_plain_asserts"]

_COMPARED: dict[str, ast.cmpop] = {
    "assertEqual": ast.Eq(),
    "assertEquals": ast.Eq(),
    "assertListEqual": ast.Eq(),
    "assertDictEqual": ast.Eq(),
    "assertSequenceEqual": ast.Eq(),
    "assertTupleEqual": ast.Eq(),
    "assertSetEqual": ast.Eq(),
    "assertMultiLineEqual": ast.Eq(),
    "assertNotEqual": ast.NotEq(),
    "assertIs": ast.Is(),
    "assertIsNot": ast.IsNot(),
    "assertIn": ast.In(),
    "assertNotIn": ast.NotIn(),
    "assertGreater": ast.Gt(),
    "assertGreaterEqual": ast.GtE(),
    "assertLess": ast.Lt(),
    "assertLessEqual": ast.LtE(),
}


class _Rewriter(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.stmt:  # the name ast looks for
        call = node.value
        method = _method(call.func) if isinstance(call, ast.Call) else None
        if method is None or not isinstance(call, ast.Call):
            return node
        test = _test(method, call.args)
        return node if test is None else ast.copy_location(ast.Assert(test=test, msg=None), node)

    def visit_withitem(self, node: ast.withitem) -> ast.withitem:
        call = node.context_expr
        if isinstance(call, ast.Call) and _method(call.func) == "assertRaises":
            module = ast.Call(ast.Name("__import__", ast.Load()), [ast.Constant("pytest")], [])
            call.func = ast.Attribute(module, "raises", ast.Load())
        return node


def _method(function: ast.expr) -> str | None:
    """`assertEqual` of `self.assertEqual`, of `assertEqual` and of `assert_equal`."""
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id == "self":
        return function.attr
    if isinstance(function, ast.Name) and function.id.startswith("assert"):
        head, *rest = function.id.split("_")
        return head + "".join(word.capitalize() for word in rest)
    return None


def _test(method: str, arguments: list[ast.expr]) -> ast.expr | None:
    if method in _COMPARED and len(arguments) >= 2:
        return ast.Compare(arguments[0], [_COMPARED[method]], [arguments[1]])
    if not arguments:
        return None
    first = arguments[0]
    if method == "assertTrue":
        return first
    if method == "assertFalse":
        return ast.UnaryOp(ast.Not(), first)
    if method == "assertIsNone":
        return ast.Compare(first, [ast.Is()], [ast.Constant(None)])
    if method == "assertIsNotNone":
        return ast.Compare(first, [ast.IsNot()], [ast.Constant(None)])
    if method == "assertIsInstance" and len(arguments) >= 2:
        return ast.Call(ast.Name("isinstance", ast.Load()), [first, arguments[1]], [])
    return None


def as_plain_asserts(statement: ast.stmt) -> ast.stmt:
    """A copy of a statement in which `self.assertEqual(a, b)` reads `assert a == b`, and so on."""
    rewritten = _Rewriter().visit(copy.deepcopy(statement))
    assert isinstance(rewritten, ast.stmt)
    return ast.fix_missing_locations(rewritten)
