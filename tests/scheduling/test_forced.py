"""Which cells Snakemake's own settings force."""

from __future__ import annotations

from typing import Any

import pytest
from snakemake.settings.types import DAGSettings

from workflow_src.cells import Cell, results
from workflow_src.scheduling.forced import forced_cells

ONE, TWO = (Cell("rig", model, "all", 1) for model in ("dlinear", "trivial"))
FILE = str(results("s", ONE) / "predictions.h5")


@pytest.mark.parametrize(
    ("settings", "forced"),
    [
        ({}, []),
        ({"forceall": True}, [ONE, TWO]),
        ({"forcerun": {"train"}}, [ONE, TWO]),
        ({"forcerun": {"recordings"}}, []),
        ({"forcerun": {"recordings", f"./{FILE}"}}, [ONE]),
        ({"forcerun": {str(results("s", TWO) / "metrics.json")}}, []),
        ({"targets": {FILE}}, []),
        ({"targets": {FILE}, "forcetargets": True}, [ONE]),
        ({"targets": {"all"}, "forcetargets": True}, []),
        ({"forcerun": {FILE}, "force_incomplete": True}, [ONE]),
    ],
)
def test_what_is_forced(settings: dict[str, Any], forced: list[Cell]) -> None:
    assert forced_cells(DAGSettings(**settings), "s", [ONE, TWO]) == forced
