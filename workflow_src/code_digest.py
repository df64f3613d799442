"""One digest of the code that makes a cell's numbers: of what it does, not of how it is written.

It is taken of syntax trees, so that comments, docstrings and layout do not count, and of the files
beside this one: no import, so no torch. What reads and evaluates has revisions of its own.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from pathlib import Path
from typing import Literal, get_args

from workflow_src.errors import UserError

Kind = Literal["network", "classic"]

KINDS: tuple[Kind, ...] = get_args(Kind)

UNKNOWN = "unknown"  # of what was trained before digests were kept

_PACKAGE = Path(__file__).parent
_MAKERS: dict[Kind, tuple[str, ...]] = {
    "network": ("models", "tasks", "training"),
    "classic": ("classic", "features"),
}
# Of tasks: the keys, which are in a cell.json, and what scores predictions, which can be scored
# again without a training.
_NOT_MAKERS = ("curves.py", "options.py", "registry.py", "score.py", "scores.py", "phm2012.py")


@functools.cache
def code_digest(kind: Kind) -> str:
    """Sixteen hex digits of what trains a model of this kind, as the files are at the first call.

    A process that is to train must call it when it begins: the files may be edited meanwhile.
    """
    return digest_of(_PACKAGE, _MAKERS[kind])


def joined(before: str, now: str) -> str:
    """What is said of a training that code `before` began and code `now` went on with."""
    return "+".join(dict.fromkeys([*before.split("+"), now]))


def require_planned_code(planned: str | None, kind: Kind) -> str:
    """Digest of the code that this process has begun with.

    Raises:
        UserError: it is not `planned`, that of a cell.json (`code: strict`).
    """
    found = code_digest(kind)
    if planned not in (None, found):
        raise UserError(
            "The code has been edited since this cell was planned, and the configuration says "
            "`code: strict`.",
            found=f"code {found}",
            expected=f"code {planned}",
            remedy="run the same command again: it plans the cell with the code of now",
        )
    return found


def digest_of(package: Path, parts: tuple[str, ...]) -> str:
    """Digest of the Python files in the folders `parts` of `package`, their names included."""
    found = hashlib.sha256()
    for part in parts:
        for path in sorted((package / part).rglob("*.py")):
            if not (part == "tasks" and path.name in _NOT_MAKERS):
                found.update(f"{path.relative_to(package).as_posix()}\n".encode())
                found.update(_meaning(path.read_bytes()))
    return found.hexdigest()[:16]


def _meaning(source: bytes) -> bytes:
    """What a file's syntax tree says, with neither positions nor docstrings."""
    try:
        tree: ast.AST = ast.parse(source)
    except (SyntaxError, ValueError):  # in the middle of an edit; whoever imports it says so
        return source
    words: list[str] = []
    _write(tree, words)
    return "\0".join(words).encode("utf-8", "surrogatepass")


def _write(value: object, words: list[str]) -> None:
    # Fields that are empty are left out: a later Python adds some, which is no change of code.
    if isinstance(value, ast.AST):
        words.append(type(value).__name__)
        for name in value._fields:
            part = getattr(value, name, None)
            if name == "body" and isinstance(part, list):
                part = _without_docstring(value, part)
            if part is not None and part != []:
                words.append(name)
                _write(part, words)
        words.append(")")
    elif isinstance(value, list):
        for part in value:
            _write(part, words)
    else:
        words.append(repr(value))


def _without_docstring(node: ast.AST, body: list[ast.stmt]) -> list[ast.stmt]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    first = body[0] if body else None
    is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    if isinstance(node, documented) and is_text and isinstance(first.value.value, str):  # type: ignore[union-attr]
        return body[1:]
    return body
