"""The file of a model: its class `Options` without the rest, or all of it.

A backbone and a classic model are one file each, of the package or the user's own: a class
`Options` with its keys, and a function that uses them (docs/extending.md). The Snakefile needs the
keys alone, so of the file only that class is executed.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import linecache
import sys
import uuid
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from workflow_src.configuration.base import StrictModel
from workflow_src.errors import UserError

_PACKAGE = Path(__file__).parents[1]
# What `Options` may be written with; no other import of the file is executed for it.
_IMPORTS = ("__future__", "typing", "pydantic", "workflow_src.configuration")


class ModelOptions(StrictModel):
    """Keys of one backbone or of one classic model."""


M = TypeVar("M", bound=ModelOptions)


def shipped(names: Sequence[str], folder: str, base: type[M]) -> dict[str, type[M]]:
    """The options of the files `names` in a folder of the package."""
    files = {name: _PACKAGE / folder / f"{name}.py" for name in names}
    return {
        name: options_of(file.read_text(encoding="utf-8"), file.name, base)
        for name, file in files.items()
    }


@cache
def options_of(source: str, name: str, base: type[M]) -> type[M]:
    """The class `Options`, a `base`, of a file with the text `source`; `name` is for messages.

    Raises:
        UserError: the text is no Python, has no such class, or the class needs more than
            pydantic, typing and workflow_src.configuration.
    """
    module = ModuleType(uuid.uuid4().hex)
    sys.modules[module.__name__] = module  # where pydantic looks up the names of annotations
    try:
        tree = ast.parse(source, name)
        tree.body = [node for node in tree.body if _is_needed(node)]
        exec(compile(tree, name, "exec"), module.__dict__)
        options = module.__dict__["Options"]
        if not issubclass(options, base):
            raise TypeError(f"`Options` is no {base.__name__}")
    except Exception as error:
        raise _no_options(name, error, base) from error
    finally:
        del sys.modules[module.__name__]
    made: type[M] = options
    return made


def module_of(name: str, source: str | None, folder: str, signature: str) -> ModuleType:
    """The module of a model's file: `folder`/`name` of the package, or the text `source`.

    Raises:
        UserError: the user's own has no function with the name in `signature`.
    """
    if source is None:
        return importlib.import_module(f"workflow_src.{folder}.{name}")
    module = _own(name, source)
    function = signature.partition("(")[0]
    if not hasattr(module, function):
        raise UserError(
            f"The file of a model has no function `{function}`.",
            where=name,
            expected=f"def {signature}",
        )
    return module


@cache
def _own(name: str, source: str) -> ModuleType:
    """The user's file as it was when the run was planned, whatever its place holds by now."""
    module = ModuleType(f"own_model_{hashlib.sha256(source.encode()).hexdigest()[:16]}")
    sys.modules[module.__name__] = module  # where pydantic and dataclasses look up names
    # What tracebacks show; None: not to be looked for on the disk.
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    exec(compile(source, name, "exec"), module.__dict__)
    return module


def _is_needed(node: ast.stmt) -> bool:
    if isinstance(node, ast.ClassDef):
        return node.name == "Options"
    if isinstance(node, ast.Import):
        return all(_is_allowed(alias.name) for alias in node.names)
    return isinstance(node, ast.ImportFrom) and _is_allowed(node.module or "")


def _is_allowed(module: str) -> bool:
    return any(module == allowed or module.startswith(f"{allowed}.") for allowed in _IMPORTS)


def _no_options(name: str, error: Exception, base: type[ModelOptions]) -> UserError:
    line = getattr(error, "lineno", None)
    return UserError(
        "The options of a model's file cannot be read.",
        where=name if line is None else f"{name}, line {line}",
        found="no class `Options`" if isinstance(error, KeyError) else str(error),
        expected="a class `Options` at the top of the file that uses no other imports than "
        + ", ".join(_IMPORTS[1:]),
        remedy=f"from {base.__module__} import {base.__name__}\n\n"
        f"class Options({base.__name__}):\n    pass",
    )
