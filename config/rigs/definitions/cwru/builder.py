"""CWRU: one file a recording, `X<number>_DE_time` among its arrays; the facts are in files.csv."""

import csv
from pathlib import Path

from bearing_datasets.io import read_mat

CHANNELS = {
    "DE": {
        "sensor_location": "motor_bearing_de",
        "sensor_mounting": "casing",
        "quantity": "acceleration",
        "unit": "g",
    }
}
ORDERS = {"bpfo": 3.5848, "bpfi": 5.4152, "bsf": 4.7135 / 2, "ftf": 0.39828}
MM_PER_INCH = 25.4


def recordings(raw_dir):
    """One recording a line of files.csv, of the drive-end sensor."""
    with Path(__file__).with_name("files.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        healthy = row["fault_type"] == "normal"
        yield {
            "recording_id": row["file"].removesuffix(".mat"),
            "native_label": row["bearing_id"],
            "fault_type": row["fault_type"],
            "fault_location": "none" if healthy else "motor_bearing_de",
            "fault_size_mm": float(row["size_inch"]) * MM_PER_INCH,
            "bearing_id": row["bearing_id"],
            "bearing_model": "6205-2RS",
            "operating_condition": f"{row['load_hp']}hp_{int(row['rate_hz']) // 1000}kHz",
            "speed_rpm": float(row["speed_rpm"]),
            "load": float(row["load_hp"]),
            "load_unit": "hp",
            **ORDERS,
            "fs": float(row["rate_hz"]),
            "signals": {"DE": read_mat(raw_dir / row["file"])[row["array"]].ravel()},
        }
