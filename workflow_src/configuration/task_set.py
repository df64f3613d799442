"""What a network learns: an entry of config/task_sets.yaml."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Optional, Self

from pydantic import Field, create_model

from workflow_src.configuration.base import StrictModel
from workflow_src.configuration.task_options import TaskOptions
from workflow_src.configuration.tasks import TASK_OPTIONS


class _Tasks(StrictModel):
    """Tasks that one network learns together; one that is not named is not learned."""

    def given(self) -> dict[str, TaskOptions]:
        """The keys of each task that is learned, in the order of the registry."""
        return {name: keys for name in TASK_OPTIONS if (keys := getattr(self, name)) is not None}

    def narrowed(self, kept: Collection[str], *, amplitude: bool) -> Self:
        """The `kept` tasks; without `amplitude`, none of them reads it.

        Raises:
            ConfigError: a task asks for the amplitude in so many words.
        """
        given = {name: keys for name, keys in self.given().items() if name in kept}
        if not amplitude:
            given = {name: keys.without_amplitude() for name, keys in given.items()}
        return self.model_copy(update=dict.fromkeys(TASK_OPTIONS) | given)


if TYPE_CHECKING:
    TaskSet = _Tasks
else:
    TaskSet = create_model(
        "TaskSet",
        __base__=_Tasks,
        __doc__=_Tasks.__doc__,
        __module__=__name__,
        **{
            name: (
                Optional[options],  # noqa: UP045
                Field(None, description=options.SUMMARY, examples=[dict(options.EXAMPLE)]),
            )
            for name, options in TASK_OPTIONS.items()
        },
    )
