"""`metrics.json`: the scores of one cell."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from workflow_src.cells import Cell
from workflow_src.json_files import JsonFile


class Scores(BaseModel):
    """The value of each metric, None where it is undefined, and then the reason."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    values: dict[str, float | None]
    undefined: dict[str, str]


class CellMetrics(JsonFile):
    """Scores by task, then by row of its table, in full precision."""

    cell: Cell
    identity: str | None = Field(
        None, description="That of cell.json: the settings behind the numbers; None: unknown."
    )
    scores: dict[str, dict[str, Scores]]
