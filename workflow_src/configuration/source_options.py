"""What the rules ask of a source before any recording is read; each source's options answer it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import JsonValue

from workflow_src.configuration.base import StrictModel
from workflow_src.configuration.geometry import Geometry


class SourceOptions(StrictModel):
    """The keys under a source's name in a rig's file, and what follows from them.

    Attributes:
        SUMMARY: meaning of the section, for docs and schemas.
        EXAMPLE: keys that would do.
        OPENED_BY: ``module:function``, imported where recordings are read; of these options and a
            `Context` it makes a `Source`, both of `workflow_src.data.source`.
        BUILT_BY: likewise, where files are built first; it gives a `Built`.
        NOT_IDENTITY: keys that change no recording.
        EXCLUDES: keys of the rig that contradict the source, each with the reason.
        SIMULATED: whether no table may mix its rigs with real ones.
    """

    SUMMARY: ClassVar[str]
    EXAMPLE: ClassVar[Mapping[str, JsonValue]]
    OPENED_BY: ClassVar[str]
    BUILT_BY: ClassVar[str | None] = None
    NOT_IDENTITY: ClassVar[frozenset[str]] = frozenset()
    EXCLUDES: ClassVar[Mapping[str, str]] = {}
    SIMULATED: ClassVar[bool] = False

    def table_beside(self) -> str | None:
        """The file or folder beside the rig's YAML whose content decides the recordings too."""
        return None

    def data_paths(self) -> Sequence[str]:
        """Files and folders that are read, below ``data_root`` unless absolute."""
        return ()

    def member_rigs(self) -> Sequence[str]:
        """Rigs whose stores are read."""
        return ()

    def is_built_first(self) -> bool:
        """Whether the rule `built` runs before recordings are read."""
        return False

    def machine(self) -> Geometry | None:
        """The bearing or gears, where the source itself knows them."""
        return None
