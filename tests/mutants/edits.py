"""Small edits of code that change what it does: one site of a syntax tree at a time."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_NAMED = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True)
class Edit:
    """One change: where it is, how the line reads afterwards, and the code as a whole."""

    line: int
    was: str
    becomes: str
    code: str


def count(code: str) -> int:
    """How many edits of `code` there are; none of annotations and messages."""
    return sum(1 for _ in _sites(ast.parse(code)))


def edit(code: str, number: int) -> Edit:
    """The `number`-th of them, from 0."""
    tree = ast.parse(code)
    node, apply = list(_sites(tree))[number]
    was = ast.unparse(node)
    apply()
    ast.fix_missing_locations(tree)
    return Edit(node.lineno, was, ast.unparse(node), ast.unparse(tree))


def _sites(tree: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, Callable[[], None]]]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Raise, ast.arguments, ast.AnnAssign, ast.JoinedStr, ast.Assert)):
            for child in ast.walk(node):
                child.left_alone = True  # type: ignore[attr-defined]
        if hasattr(node, "left_alone") or not isinstance(node, (ast.expr, ast.stmt)):
            continue
        apply = _change_of(node)
        if apply is not None:
            yield node, apply


def _change_of(node: ast.expr | ast.stmt) -> Callable[[], None] | None:
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in _COMPARED:
            return lambda: node.ops.__setitem__(0, _COMPARED[type(operator)]())
        case ast.BinOp(op=operator) | ast.AugAssign(op=operator) if type(operator) in _COMPUTED:
            return lambda: setattr(node, "op", _COMPUTED[type(operator)]())
        case ast.BoolOp(op=operator):
            other = ast.Or() if isinstance(operator, ast.And) else ast.And()
            return lambda: setattr(node, "op", other)
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
            return lambda: setattr(node, "test", ast.UnaryOp(ast.Not(), test))
        case ast.Call(func=ast.Name(id=name) as called) if name in _NAMED:
            return lambda: setattr(called, "id", _NAMED[name])
        case ast.Constant(value=bool(value)):
            return lambda: setattr(node, "value", not value)
        case ast.Constant(value=int(value) | float(value)):
            return lambda: setattr(node, "value", value + 1)
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            return lambda: setattr(node, "value", ast.Constant(None))
        case ast.Expr(value=ast.Call()):
            return lambda: setattr(node, "value", ast.Constant(None))
    return None
