"""Keys of a rig's geometry, seen in the orders and in the summary of a split."""

from __future__ import annotations

from typing import Any

import pytest

from workflow_src.configuration.geometry import Geometry
from workflow_src.configuration.loading import page_part
from workflow_src.data.prepare import in_words
from workflow_src.data.splits import make_split
from workflow_src.data.store import Store
from workflow_src.features.fault_orders import fault_orders

BEARING = {"elements": 9, "element_diameter": 8.0, "pitch_diameter": 40.0}
ORDERS = {"bpfo": 3.0, "bpfi": 5.0}


def orders(**keys: Any) -> dict[str, float]:
    return fault_orders(Geometry.model_validate(keys))


def geometry(world: Any) -> None:
    """It reaches the split's summary and what is printed, but not the recordings' param."""
    folder = {"path": "x", "files": "{u}.csv", "rate_hz": 1, "fields": dict.fromkeys(FIELDS, "{u}")}
    files = {"source": "folder", "simulated": None, "folder": folder}
    without = world.load(rigs__bench=files)
    given = world.load(rigs__bench={**files, "geometry": {"orders": ORDERS}})
    assert given.rig_part("bench") == without.rig_part("bench")
    assert "geometry" not in without.split_part("d")
    known = Geometry.model_validate(given.split_part("d")["geometry"])
    with Store(world.store) as store:
        table = store.table.assign(speed_rpm="600")
    dataset = given.datasets["d"]
    summary = make_split(table, dataset, "d", world.folder, known).summary
    # 40 samples at 100 Hz and 10 turns a second
    assert summary.fault_periods_per_window == pytest.approx({"BPFO": 12.0, "BPFI": 20.0})
    assert any("12.00 of BPFO" in line for line in in_words(summary))
    summary = make_split(table, dataset, "d", world.folder).summary
    assert summary.fault_periods_per_window == {}


FIELDS = ("unit_id", "condition", "run_id")


def bearing(world: Any) -> None:
    assert list(orders(bearing=BEARING)) == ["FTF", "BPFO", "2 BSF", "BPFI"]


def published(world: Any) -> None:
    assert orders(orders=ORDERS) == {"BPFO": 3.0, "BPFI": 5.0}


def gear(world: Any) -> None:
    assert "mesh" not in orders(orders=ORDERS)
    with_gear = orders(orders=ORDERS, gear={"pinion_teeth": 20, "wheel_teeth": 40})
    assert with_gear == {"BPFO": 3.0, "BPFI": 5.0, "wheel": 0.5, "mesh": 20.0}


def origin(world: Any) -> None:
    keys = {"bearing": BEARING, "origin": "a catalogue"}
    folder = {"path": "x", "files": "{u}.csv", "rate_hz": 1, "fields": dict.fromkeys(FIELDS, "{u}")}
    files = {"source": "folder", "simulated": None, "folder": folder, "geometry": keys}
    loaded = world.load(rigs__bench=files)
    assert page_part(loaded.rigs["bench"])["geometry"]["origin"] == "a catalogue"
    assert "origin" not in loaded.split_part("d")["geometry"]  # words make no split anew


def assumed(world: Any) -> None:
    keys = {"bearing": BEARING, "assumed": True}
    folder = {"path": "x", "files": "{u}.csv", "rate_hz": 1, "fields": dict.fromkeys(FIELDS, "{u}")}
    files = {"source": "folder", "simulated": None, "folder": folder, "geometry": keys}
    loaded = world.load(rigs__bench=files)
    assert loaded.assumed_geometry("d") == ["bench"]
    assert world.load().assumed_geometry("d") == []
    assert "assumed" not in loaded.split_part("d")["geometry"]  # nor features, nor a cell
    assert "assumed" not in loaded.features_part("d")["geometry"]["bench"]


def elements(world: Any) -> None:
    eight = orders(bearing={**BEARING, "elements": 8})
    assert eight["BPFO"] / orders(bearing=BEARING)["BPFO"] == pytest.approx(8 / 9)


def element_diameter(world: Any) -> None:
    assert orders(bearing={**BEARING, "element_diameter": 4.0})["FTF"] == pytest.approx(0.45)
    assert orders(bearing=BEARING)["FTF"] == pytest.approx(0.4)


def pitch_diameter(world: Any) -> None:
    assert orders(bearing={**BEARING, "pitch_diameter": 80.0})["FTF"] == pytest.approx(0.45)


def contact_angle_deg(world: Any) -> None:
    assert orders(bearing={**BEARING, "contact_angle_deg": 60.0})["FTF"] == pytest.approx(0.45)


def bpfo(world: Any) -> None:
    assert orders(orders={**ORDERS, "bpfo": 2.5})["BPFO"] == 2.5


def bpfi(world: Any) -> None:
    assert orders(orders={**ORDERS, "bpfi": 5.5})["BPFI"] == 5.5


def bsf(world: Any) -> None:
    assert orders(orders={**ORDERS, "bsf": 2.0})["2 BSF"] == 4.0


def ftf(world: Any) -> None:
    assert orders(orders={**ORDERS, "ftf": 0.4})["FTF"] == 0.4


def pinion_teeth(world: Any) -> None:
    assert orders(gear={"pinion_teeth": 25, "wheel_teeth": 50}) == {"wheel": 0.5, "mesh": 25.0}


def wheel_teeth(world: Any) -> None:
    assert orders(gear={"pinion_teeth": 25, "wheel_teeth": 100})["wheel"] == 0.25


PROBES = {
    "Rig.geometry": geometry,
    "Geometry.bearing": bearing,
    "Geometry.orders": published,
    "Geometry.gear": gear,
    "Geometry.origin": origin,
    "Geometry.assumed": assumed,
    "Bearing.elements": elements,
    "Bearing.element_diameter": element_diameter,
    "Bearing.pitch_diameter": pitch_diameter,
    "Bearing.contact_angle_deg": contact_angle_deg,
    "BearingOrders.bpfo": bpfo,
    "BearingOrders.bpfi": bpfi,
    "BearingOrders.bsf": bsf,
    "BearingOrders.ftf": ftf,
    "Gear.pinion_teeth": pinion_teeth,
    "Gear.wheel_teeth": wheel_teeth,
}
