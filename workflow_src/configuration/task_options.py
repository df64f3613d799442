"""What a task asks of a configuration and of a split; each task's options answer it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import JsonValue

from workflow_src.configuration.base import StrictModel

# What a span may bear: a class, healthy or faulty, the fraction of life left.
Label = Literal["fault", "anomaly", "rul"]


class TaskOptions(StrictModel):
    """The keys under a task's name in a task set, and what follows from them.

    Attributes:
        SUMMARY: meaning of the section, for docs and schemas.
        EXAMPLE: keys that would do.
        LABEL: the label that the task learns; None: it learns from the signal alone.
    """

    SUMMARY: ClassVar[str]
    EXAMPLE: ClassVar[Mapping[str, JsonValue]]
    LABEL: ClassVar[Label | None]

    @property
    def reads_amplitude(self) -> bool:
        """Whether the head is given the log amplitude."""
        return False

    @property
    def reads_age(self) -> bool:
        """Whether the head is given the time in life; such rows carry '+age' in tables."""
        return False

    def without_amplitude(self) -> Self:
        """The keys for a rig whose amplitude may be no input.

        Raises:
            ConfigError: the amplitude was asked for in so many words, and the keys that mend it.
        """
        return self
