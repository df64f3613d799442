"""From the keys of a model to its backbone: a file of this package, or one of the user's own."""

from __future__ import annotations

import importlib
import linecache
import sys
from collections.abc import Mapping
from functools import cache
from types import ModuleType
from typing import Any

from workflow_src.configuration import identity
from workflow_src.errors import UserError
from workflow_src.models.stack import Stack, TokenSizes


def build_backbone(model: Mapping[str, Any]) -> Stack:
    """Build the backbone that `model["backbone"]` names.

    Args:
        model: width, depth, dropout, patch_count, the backbone's own keys, and for a file of the
            user's own its text as `source`.

    Returns:
        Stack `(tokens (B, N, D), keys) -> (B, N, D)`.

    Raises:
        UserError: a value that the sizes do not allow, or a file that builds no Stack.
    """
    name, source = model["backbone"], model.get("source")
    file = (
        importlib.import_module(f"{__package__}.{name}") if source is None else _own(name, source)
    )
    options = {key: model[key] for key in file.Options.model_fields if key in model}
    sizes = TokenSizes(model["patch_count"], model["width"], model["depth"], model["dropout"])
    backbone = file.build(sizes, file.Options.model_validate(options))
    if not isinstance(backbone, Stack):
        raise UserError(
            "The function `build` of a backbone did not return a Stack.",
            where=name,
            found=type(backbone).__name__,
            expected="workflow_src.models.stack.Stack, a list of layers `(tokens, keys) -> tokens`",
            remedy="return Stack(layers)",
        )
    return backbone


@cache
def _own(name: str, source: str) -> ModuleType:
    """The user's file as it was when the run was planned, whatever its place holds by now."""
    module = ModuleType(f"own_backbone_{identity(source)}")
    sys.modules[module.__name__] = module  # where pydantic and dataclasses look up names
    # What tracebacks show; None: not to be looked for on the disk.
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    exec(compile(source, name, "exec"), module.__dict__)
    if not hasattr(module, "build"):
        raise UserError(
            "A backbone's file has no function `build`.",
            where=name,
            expected="def build(sizes: TokenSizes, options: Options) -> Stack",
        )
    return module
