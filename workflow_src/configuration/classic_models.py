"""The classic models that a model's file may name, and the options of each."""

from __future__ import annotations

from functools import cache
from typing import ClassVar

from workflow_src.configuration.model_files import ModelOptions, shipped

# One line per classic model: the file of this name in workflow_src/classic/.
SHIPPED = ("trivial", "forest", "fault_lines", "ridge", "extra_trees", "healthy")


class ClassicOptions(ModelOptions):
    """Keys of a classic model.

    Attributes:
        MACHINE: whether it is given the geometry of bearings and gears, which is in the identity of
            its cells then.
        FEATURES: whether it is given the features of the dataset's spans.
    """

    MACHINE: ClassVar[bool] = False
    FEATURES: ClassVar[bool] = False


@cache
def shipped_methods() -> dict[str, type[ClassicOptions]]:
    """The options of each classic model of the package."""
    return shipped(SHIPPED, "classic", ClassicOptions)
