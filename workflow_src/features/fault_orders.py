"""How often a fault repeats itself in a turn of the shaft, and in a span of samples.

Bearings: Randall and Antoni, "Rolling element bearing diagnostics - a tutorial", Mechanical Systems
and Signal Processing 25 (2011) 485-520, equations (1) to (4); the outer ring rests, nothing slips
(slip moves the lines by one or two per cent).
"""

from __future__ import annotations

import math

import pandas as pd

from workflow_src.configuration.geometry import Bearing, BearingOrders, Gear, Geometry

# What one local defect repeats itself by. The cage (FTF) modulates, the mesh carries.
REPEATING = ("BPFO", "BPFI", "2 BSF", "wheel")
# Columns of a store's table that give a recording's own orders, as bearing-datasets names them.
COLUMNS = {"bpfo": ("BPFO", 1.0), "bpfi": ("BPFI", 1.0), "bsf": ("2 BSF", 2.0), "ftf": ("FTF", 1.0)}


def bearing_orders(bearing: Bearing) -> dict[str, float]:
    """FTF, BPFO, 2 BSF and BPFI of a bearing, in orders of the shaft.

    A defect of a ball strikes both races in one turn of the ball: its impacts come at twice the
    ball spin frequency BSF.
    """
    angle = math.radians(bearing.contact_angle_deg)
    ratio = bearing.element_diameter / bearing.pitch_diameter * math.cos(angle)
    spin = bearing.pitch_diameter / (2 * bearing.element_diameter) * (1 - ratio**2)
    return {
        "FTF": 0.5 * (1 - ratio),
        "BPFO": bearing.elements / 2 * (1 - ratio),
        "2 BSF": 2 * spin,
        "BPFI": bearing.elements / 2 * (1 + ratio),
    }


def gear_orders(gear: Gear) -> dict[str, float]:
    """The wheel's turns and the mesh, in orders of the pinion's shaft."""
    return {"wheel": gear.pinion_teeth / gear.wheel_teeth, "mesh": float(gear.pinion_teeth)}


def fault_orders(geometry: Geometry | None) -> dict[str, float]:
    """All orders that a geometry gives, by name; none without one."""
    if geometry is None:
        return {}
    orders = {} if geometry.bearing is None else bearing_orders(geometry.bearing)
    if geometry.orders is not None:
        orders = _published(geometry.orders)
    return orders | ({} if geometry.gear is None else gear_orders(geometry.gear))


def _published(given: BearingOrders) -> dict[str, float]:
    values = given.model_dump(exclude_none=True)
    return {name: scale * values[key] for key, (name, scale) in COLUMNS.items() if key in values}


def orders_by_recording(table: pd.DataFrame, geometry: Geometry | None) -> pd.DataFrame:
    """A row a recording of the store's table, a column an order; NaN where it is unknown.

    Where the table has a column `bpfo`, `bpfi`, `bsf` or `ftf` (another bearing in each
    recording), its numbers count before the rig's geometry.
    """
    orders = pd.DataFrame(fault_orders(geometry), index=table.index, dtype=float)
    for column, (name, scale) in COLUMNS.items():
        if column in table.columns:
            own = scale * pd.to_numeric(table[column], errors="coerce")
            orders[name] = own.fillna(orders[name]) if name in orders.columns else own
    return orders.dropna(axis="columns", how="all")


def shaft_hz(table: pd.DataFrame) -> pd.Series[float]:
    """Turns of the shaft a second, by recording: NaN where the table knows no `speed_rpm`."""
    if "speed_rpm" not in table.columns:
        return pd.Series(float("nan"), index=table.index)
    return pd.to_numeric(table["speed_rpm"], errors="coerce") / 60


def fault_periods(table: pd.DataFrame, geometry: Geometry | None, samples: int) -> dict[str, float]:
    """The least number of each fault's periods in `samples`, over recordings where it is known."""
    seconds = samples / table["rate_hz"]
    counts = orders_by_recording(table, geometry).mul(seconds * shaft_hz(table), axis="index")
    least = counts.drop(columns="mesh", errors="ignore").min()
    return {str(name): float(value) for name, value in least.items() if not math.isnan(value)}
