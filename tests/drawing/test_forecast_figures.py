"""What finished attempts used against forecasts, as figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.forecasting.test_learn import ROW
from workflow_src.drawing.forecast_figures import (
    forecast_against_observed,
    lost_by_policy,
    memory_by_part,
    write_figures,
)

ROWS = [replace(ROW, cell=f"rig/{model}/all/1", model=model) for model in ("fno", "dlinear")]
PARTS = {
    "rig/fno/all/1": {"process": 580.0, "activations": 30.0, "margin": 12.0},
    "rig/dlinear/all/1": {"process": 580.0, "activations": 3.0, "margin": 2.0},
}


def test_a_panel_for_each_quantity_that_is_known() -> None:
    figure = forecast_against_observed(ROWS)
    assert [axes.get_title() for axes in figure.axes] == ["host memory (MB)", "epoch (s)"]
    (axes, _) = figure.axes
    points = [tuple(dots.get_offsets()[0]) for dots in axes.collections]
    assert points == [(1000.0, 800.0), (1000.0, 800.0)]
    assert axes.get_xlim() == axes.get_ylim() == (500.0, 1000.0)
    on_gpu = replace(ROW, forecast_device_mb=4000, device_mb=3000.0)
    assert "GPU memory (MB)" in [a.get_title() for a in forecast_against_observed([on_gpu]).axes]


def test_a_bar_is_as_long_as_its_parts_together() -> None:
    (axes,) = memory_by_part(PARTS).axes
    ends = [bar.get_x() + bar.get_width() for bars in axes.containers for bar in bars]
    assert ends[-2:] == pytest.approx([622.0, 585.0])


def test_a_policy_has_its_bar() -> None:
    (axes,) = lost_by_policy({"forecast": 0.2, "double after failure": 3.5}).axes
    assert [bar.get_width() for bars in axes.containers for bar in bars] == [0.2, 3.5]


def test_the_same_attempts_give_the_same_bytes(tmp_path: Path) -> None:
    given = ROWS, {"forecast": 0.2}, PARTS
    first, again = (write_figures(tmp_path / name, *given) for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    for path in first:
        ElementTree.parse(path)


def test_without_attempts_nothing_is_drawn_in_error(tmp_path: Path) -> None:
    assert len(write_figures(tmp_path, [], {}, {})) == 3
