"""The backbones that a model's file may name, and the options of each, without importing torch."""

from __future__ import annotations

from functools import cache

from workflow_src.configuration.model_files import ModelOptions, shipped

# One line per backbone: the file of this name in workflow_src/models/.
SHIPPED = ("dlinear", "patchtst", "timesnet", "fno")


class BackboneOptions(ModelOptions):
    """Keys of a backbone beside width, depth, dropout and patch_count, which all have."""


@cache
def shipped_backbones() -> dict[str, type[BackboneOptions]]:
    """The options of each backbone of the package."""
    return shipped(SHIPPED, "models", BackboneOptions)
