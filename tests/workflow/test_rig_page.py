"""The rule that draws rigs' pages: with the data, never before a table."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.slow


def test_pages_come_with_the_data_and_no_table_waits_for_one(first_run, copied):
    project, outcome = first_run
    assert "rig_page" not in outcome.rules
    assert not (project.folder / "data/tiny/rig.html").exists()
    again = copied(project)
    drawn = again.snakemake("rigs")
    assert drawn.code == 0, drawn.text
    assert drawn.rules == {"rig_page": 1, "rigs": 1}
    page = again.folder / "data/tiny/rig.html"
    first = page.read_bytes()
    assert b"defect of the outer race" in first
    assert again.snakemake("data").nothing_to_do
    assert again.snakemake().nothing_to_do
    page.unlink()
    assert again.snakemake().nothing_to_do
    assert again.snakemake("data").rules == {"rig_page": 1, "data": 1}
    assert page.read_bytes() == first


def test_another_geometry_draws_and_counts_anew_but_trains_nothing(fresh):
    """Neither the recordings nor a cell depends on it."""
    folder = fresh.folder / "recordings"
    folder.mkdir()
    for seed, unit in enumerate("abcd"):
        np.savetxt(folder / f"{unit}.csv", np.random.default_rng(seed).standard_normal(3000))
    options = {
        "path": str(folder),
        "files": "{unit}.csv",
        "rate_hz": 1000,
        "fields": {
            "unit_id": "{unit}",
            "condition": "c",
            "run_id": "{unit}",
            "speed_rpm": "600",
            "fault": {
                "from": "unit",
                "values": dict.fromkeys("ac", "normal") | dict.fromkeys("bd", "inner"),
            },
        },
    }
    rig = {"source": "folder", "simulated": None, "folder": options}
    fresh.edit("rigs/tiny.yaml", **rig, geometry={"orders": {"bpfo": 3.0, "bpfi": 5.0}})
    fresh.edit("datasets/tiny.yaml", split={"strategy": "run", "validation": {"strategy": "run"}})
    first = fresh.snakemake("data")
    assert first.code == 0, first.text
    log = fresh.folder / "data/logs/tiny.split.log"
    assert "7.68 of BPFO" in log.read_text()  # 256 samples at 1000 Hz, 10 turns a second
    fresh.edit("rigs/tiny.yaml", geometry={"orders": {"bpfo": 4.0, "bpfi": 6.0}})
    second = fresh.snakemake("data")
    assert second.rules == {"split": 1, "rig_page": 1, "data": 1}, second.text
    assert "10.24 of BPFO" in log.read_text()
