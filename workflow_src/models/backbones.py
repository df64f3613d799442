"""From the keys of a model to its backbone: a file of this package, or one of the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workflow_src.configuration.model_files import module_of
from workflow_src.errors import UserError
from workflow_src.models.stack import Stack, TokenSizes

_BUILD = "build(sizes: TokenSizes, options: Options) -> Stack"


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
    name = model["backbone"]
    file = module_of(name, model.get("source"), "models", _BUILD)
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
