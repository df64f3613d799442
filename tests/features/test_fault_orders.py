"""Fault orders are those that are published; spans are counted in their periods."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from bearing_datasets.bearings import fault_orders as independent
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from workflow_src.configuration import Rig
from workflow_src.configuration.checking import checked
from workflow_src.configuration.geometry import Bearing, BearingOrders, Geometry
from workflow_src.configuration.loading import load_rig
from workflow_src.configuration.schema import Dataset
from workflow_src.data.label_support import figures
from workflow_src.errors import UserError
from workflow_src.features.fault_orders import (
    bearing_orders,
    fault_orders,
    fault_periods,
    orders_by_recording,
)

CONFIG = Path(__file__).parents[2] / "config"
INCH = 25.4

# As the Bearing Data Center of Case Western Reserve University prints them, with the dimensions in
# inches: elements, ball, pitch; BPFI, BPFO, FTF, "rolling element" (which is 2 BSF).
PUBLISHED = {
    "6205-2RS drive end": (9, 0.3126, 1.537, 5.4152, 3.5848, 0.39828, 4.7135),
    "6203-2RS fan end": (8, 0.2656, 1.122, 4.9469, 3.0530, 0.3817, 3.9874),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_formulas_give_the_published_orders_of_cwru(name):
    elements, ball, pitch, bpfi, bpfo, ftf, twice_bsf = PUBLISHED[name]
    made = Bearing(elements=elements, element_diameter=ball, pitch_diameter=pitch)
    orders = bearing_orders(made)
    assert orders["BPFI"] == pytest.approx(bpfi, rel=2e-3)
    assert orders["BPFO"] == pytest.approx(bpfo, rel=2e-3)
    assert orders["FTF"] == pytest.approx(ftf, rel=2e-3)
    assert orders["2 BSF"] == pytest.approx(twice_bsf, rel=4e-3)


@given(
    elements=st.integers(3, 12),
    ratio=st.floats(0.05, 0.25),
    angle=st.floats(0, 60),
    unit=st.floats(1e-2, 1e2),
)
def test_they_agree_with_an_independent_implementation_in_any_unit(elements, ratio, angle, unit):
    made = Bearing(
        elements=elements,
        element_diameter=ratio * unit,
        pitch_diameter=unit,
        contact_angle_deg=angle,
    )
    orders, other = bearing_orders(made), independent(elements, ratio, 1.0, angle)
    assert orders["BPFO"] == pytest.approx(other["bpfo"], abs=2e-5)
    assert orders["BPFI"] == pytest.approx(other["bpfi"], abs=2e-5)
    assert orders["2 BSF"] == pytest.approx(2 * other["bsf"], abs=4e-5)
    assert orders["FTF"] == pytest.approx(other["ftf"], abs=2e-5)
    # Each element passes each point of the outer race once a turn of the cage.
    assert orders["BPFO"] == pytest.approx(elements * orders["FTF"])
    assert orders["BPFO"] + orders["BPFI"] == pytest.approx(elements)


@pytest.mark.parametrize(
    ("rig", "expected"),
    [
        ("cwru", {"BPFO": 3.5848, "BPFI": 5.4152, "2 BSF": 4.7135, "FTF": 0.39828}),
        ("femto", {"BPFO": 5.6113, "BPFI": 7.3887, "2 BSF": 7.1776, "FTF": 0.43164}),
        ("hit_sm", {"BPFO": 3.5848, "BPFI": 5.4152, "2 BSF": 4.7135, "FTF": 0.39828}),
        ("bearing_sim", {"BPFO": 3.5848, "BPFI": 5.4152, "2 BSF": 4.7135, "FTF": 0.39828}),
        ("life_sim", {"BPFO": 3.5848, "BPFI": 5.4152, "2 BSF": 4.7135, "FTF": 0.39828}),
        ("gearbox_sim", {"mesh": 21.0, "wheel": 0.42}),
        ("gfd", {}),
        ("uestc", {"BPFO": 3.0522, "BPFI": 4.9478, "2 BSF": 3.9833, "FTF": 0.38152}),
    ],
)
def test_the_shipped_rigs_say_what_is_known_of_them(rig, expected):
    assert fault_orders(load_rig(CONFIG, rig).machine) == pytest.approx(expected, rel=2e-4)


@pytest.mark.parametrize(
    ("keys", "remedy"),
    [
        ({"bpfo": 5.4, "bpfi": 3.6}, "bpfo: 3.6, bpfi: 5.4"),
        (
            {"bearing": {"elements": 9, "element_diameter": 40, "pitch_diameter": 8}},
            "element_diameter: 8",
        ),
        (
            {"bearing": {"elements": 30, "element_diameter": 8, "pitch_diameter": 40}},
            "elements: 15",
        ),
    ],
)
def test_a_slip_of_the_pen_is_told_with_its_remedy(keys, remedy):
    model = BearingOrders if "bpfo" in keys else Geometry
    with pytest.raises(UserError) as caught:
        checked(model, keys, [])
    assert remedy.replace(", ", "\n") in str(caught.value).replace(" " * 12, "").replace(", ", "\n")


def test_a_simulated_rig_takes_no_geometry():
    keys = yaml.safe_load((CONFIG / "rigs" / "bearing_sim.yaml").read_text())
    with pytest.raises(ValidationError, match="what it simulates"):
        Rig.model_validate({**keys, "geometry": {"orders": {"bpfo": 3.0, "bpfi": 5.0}}})


def table(**columns):
    frame = pd.DataFrame({"rate_hz": [1000.0, 1000.0, np.nan], **columns})
    return frame.assign(life_s=np.nan)


TWO = Geometry(orders=BearingOrders(bpfo=3.0, bpfi=5.0, ftf=0.4))


def test_periods_are_the_least_over_recordings_whose_speed_and_rate_are_known():
    frame = table(speed_rpm=["600", "1200", "60"])  # the last one's rate is unknown
    assert fault_periods(frame, TWO, 500) == pytest.approx({"BPFO": 15.0, "BPFI": 25.0, "FTF": 2.0})
    assert fault_periods(table(), TWO, 500) == {}
    assert fault_periods(frame, None, 500) == {}


def test_a_recordings_own_orders_count_before_the_rigs():
    frame = table(speed_rpm=["600", "600", "600"], bpfo=["", "2.0", ""], bsf=["1.5", "", ""])
    orders = orders_by_recording(frame, TWO)
    assert list(orders["BPFO"]) == [3.0, 2.0, 3.0]
    assert orders["2 BSF"].iloc[0] == 3.0
    assert orders["2 BSF"].isna().sum() == 2
    assert fault_periods(frame, None, 100) == pytest.approx({"BPFO": 2.0, "2 BSF": 3.0})


@pytest.mark.parametrize(("window", "warned"), [(20, True), (40, False)])
def test_less_than_one_period_of_a_fault_is_warned_of(window, warned):
    keys = {"rig": "r", "split": {"strategy": "unit"}, "span": {"window": window, "horizon": 1}}
    frame = table(speed_rpm=["600", "600", "600"])  # 1 / 30 s from one impact to the next
    made = figures(frame, Dataset.model_validate(keys), blocks=False, geometry=TWO)
    text = [w for w in made.warnings if "fault period" in w]
    assert bool(text) == warned
    if warned:
        assert "0.6 of BPFO" in text[0]
        assert "FTF" not in text[0]  # the cage modulates, it does not strike
