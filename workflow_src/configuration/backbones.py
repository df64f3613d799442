"""The backbones that a model's file may name, and the options of each, without importing torch.

A backbone is one file: a class `Options` with its keys, and a function `build` that makes its
layers (docs/extending.md). The Snakefile needs the keys alone, so of the file only that class is
executed.
"""

from __future__ import annotations

import ast
import sys
import uuid
from functools import cache
from pathlib import Path
from types import ModuleType

from workflow_src.configuration.base import StrictModel
from workflow_src.errors import UserError

# One line per backbone: the file of this name in workflow_src/models/.
SHIPPED = ("dlinear", "patchtst", "timesnet", "fno")

_MODELS = Path(__file__).parents[1] / "models"
# What `Options` may be written with; no other import of the file is executed for it.
_IMPORTS = ("__future__", "typing", "pydantic", "workflow_src.configuration")


class BackboneOptions(StrictModel):
    """Keys of a backbone beside width, depth, dropout and patch_count, which all have."""


@cache
def shipped_options() -> dict[str, type[BackboneOptions]]:
    """The options of each backbone of the package."""
    return {
        name: options_of((_MODELS / f"{name}.py").read_text(encoding="utf-8"), f"{name}.py")
        for name in SHIPPED
    }


@cache
def options_of(source: str, name: str) -> type[BackboneOptions]:
    """The class `Options` of a backbone's file with the text `source`; `name` is for messages.

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
        if not issubclass(options, BackboneOptions):
            raise TypeError("`Options` is no BackboneOptions")
    except Exception as error:
        raise _no_options(name, error) from error
    finally:
        del sys.modules[module.__name__]
    made: type[BackboneOptions] = options
    return made


def _is_needed(node: ast.stmt) -> bool:
    if isinstance(node, ast.ClassDef):
        return node.name == "Options"
    if isinstance(node, ast.Import):
        return all(_is_allowed(alias.name) for alias in node.names)
    return isinstance(node, ast.ImportFrom) and _is_allowed(node.module or "")


def _is_allowed(module: str) -> bool:
    return any(module == allowed or module.startswith(f"{allowed}.") for allowed in _IMPORTS)


def _no_options(name: str, error: Exception) -> UserError:
    line = getattr(error, "lineno", None)
    return UserError(
        "The options of a backbone cannot be read.",
        where=name if line is None else f"{name}, line {line}",
        found="no class `Options`" if isinstance(error, KeyError) else str(error),
        expected="a class `Options` at the top of the file that uses no other imports than "
        + ", ".join(_IMPORTS[1:]),
        remedy="from workflow_src.configuration.backbones import BackboneOptions\n\n"
        "class Options(BackboneOptions):\n    pass",
    )
