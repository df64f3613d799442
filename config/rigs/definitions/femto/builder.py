"""FEMTO: `<part>/Bearing<load>_<bearing>/acc_<snapshot>.csv`, some separated by semicolons.

Columns: hour, minute, second, microsecond (which wrap), horizontal, vertical.
"""

import re

import numpy as np
from bearing_datasets.bearings import fault_orders

STEP_S = 10.0  # from one snapshot to the next
CONDITIONS = {"1": (1800.0, 4000.0), "2": (1650.0, 4200.0), "3": (1500.0, 5000.0)}  # rpm, N
ORDERS = fault_orders(balls=13, ball_d=3.5, pitch_d=25.6)  # mm; document of the challenge, A.1
NAME = re.compile(r"acc_(\d+)\.csv")

_ACCELEROMETER = {
    "sensor_location": "test_bearing",
    "sensor_mounting": "outer_ring",
    "quantity": "acceleration",
    "unit": "g",
    "fs": 25600,
}
CHANNELS = {axis: {**_ACCELEROMETER, "axis": axis} for axis in ("horizontal", "vertical")}


def recordings(raw_dir):
    """One recording a snapshot; a run ends at its last snapshot that is there."""
    for run in sorted(raw_dir.glob("*/Bearing*")):
        numbers = {int(NAME.fullmatch(path.name)[1]): path for path in run.glob("acc_*.csv")}
        speed, load = CONDITIONS[run.name.removeprefix("Bearing")[0]]
        for number in sorted(numbers):
            samples = _read(numbers[number])  # (2560, 2)
            yield {
                "recording_id": f"{run.name}_{number:05d}",
                "native_label": "unknown",
                "fault_type": "unknown",
                "fault_location": "unknown",
                "run_id": run.name,
                "time_s": (number - 1) * STEP_S,
                "rul_s": (max(numbers) - number) * STEP_S,
                "operating_condition": f"{speed:g}rpm_{load:g}N",
                "speed_rpm": speed,
                "load": load,
                "load_unit": "N",
                "official_part": run.parent.name,
                "snapshot": number,
                **ORDERS,
                "signals": {"horizontal": samples[:, 0], "vertical": samples[:, 1]},
            }


def _read(path):
    text = path.read_text(encoding="ascii").replace(";", ",")
    return np.loadtxt(text.splitlines(), delimiter=",", usecols=(4, 5), ndmin=2)
