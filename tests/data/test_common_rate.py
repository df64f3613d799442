"""One rig of several rates becomes one of one: as if each had been taken at that rate."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from workflow_src.configuration import Dataset, Rig
from workflow_src.configuration.union import UnionOptions
from workflow_src.data.prepare import prepare_rig
from workflow_src.data.provenance import rate_tells_class
from workflow_src.data.sources.union import UnionSource
from workflow_src.data.splits import make_split
from workflow_src.data.store import Store
from workflow_src.errors import BadData, UserError

COMMON = 12_000.0
RATES = {"u1": 48_828.0, "u2": 12_000.0, "u3": 25_600.0, "u4": 48_828.125}
FIELDS = {"unit_id": "{unit}", "condition": "c", "run_id": "{unit}", "fault": "{fault}"}
TONES = (437.0, 3111.0)  # below 0.9 of the new Nyquist frequency
ALIAS = 9_000.0  # above it: it would come out at 3000 Hz
SECONDS = 0.4


def sampled(rate: float, tones: tuple[float, ...] = TONES) -> np.ndarray:
    time = np.arange(round(SECONDS * rate)) / rate
    return np.sum([np.sin(2 * np.pi * f * time + f) for f in tones], axis=0) + 0.5


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    """Each unit's recording in a file of its own rate; the workflow's folder is the current one."""
    before = Path.cwd()
    os.chdir(tmp_path)
    (tmp_path / "rig").mkdir()
    for number, (unit, rate) in enumerate(RATES.items()):
        tones = (*TONES, ALIAS) if rate > 2 * ALIAS else TONES
        fault = ("normal", "inner")[number % 2]
        np.savez(tmp_path / "rig" / f"{unit}_{fault}.npz", x=sampled(rate, tones), fs=rate)
    yield tmp_path
    os.chdir(before)


def rig(**keys: Any) -> Rig:
    folder = {"path": "rig", "files": "{unit}_{fault}.npz", "rate_hz": "unknown", "fields": FIELDS}
    own = {"source": "folder", "unit": "g", "amplitude_comparable": False, "folder": folder}
    return Rig.model_validate({**own, **keys})


def prepared(here: Path, **keys: Any) -> Store:
    part = {"rig": rig(**keys).model_dump(exclude_none=True, by_alias=True), "table": None}
    prepare_rig("mixed", part, description="", data_root=here, config_folder=here)
    return Store(here / "data" / "mixed")


def test_each_is_as_if_it_had_been_taken_at_the_common_rate(here):
    with prepared(here, common_rate_hz=COMMON) as store:
        table = store.table
        assert set(table["rate_hz"]) == {COMMON}
        assert table["resampled_from_hz"].tolist() == ["48828", "12000", "25600", "48828.125"]
        for _, row in table.iterrows():
            made = store.read(row["recording_id"], 0, row["length"])[:, 0]
            expected = sampled(COMMON)
            assert abs(len(made) - len(expected)) <= 1
            inner = slice(150, 4500)  # away from the ends, where the filter reaches beyond
            np.testing.assert_allclose(made[inner], expected[inner], atol=2e-3)


def test_the_manifest_says_what_was_done(here):
    with prepared(here, common_rate_hz=COMMON) as store:
        manifest = json.loads((store.folder / "manifest.json").read_text())
    assert "scipy" in manifest["versions"]
    (note,) = [note for note in manifest["notes"] if note.startswith("brought to 12000 Hz")]
    assert "1 at 48828 Hz" in note
    assert len(manifest["files"]) == 4


def test_a_rate_that_no_fraction_makes_is_stated_with_its_error(here):
    np.savez(here / "rig" / "u9_normal.npz", x=sampled(16_666.67), fs=16_666.67)
    with prepared(here, common_rate_hz=COMMON) as store:
        notes = store.manifest.notes
    (note,) = [note for note in notes if "millionths" in note]
    assert note.startswith("16666.67 Hz become")


def test_rates_that_tell_the_class_are_said(here):
    with prepared(here, common_rate_hz=COMMON) as store:
        (said,) = rate_tells_class(store.table)
        assert said.startswith("the rate of origin predicts the class")
        assert "inner at 12000 and 48828.1 Hz alone" in said
        assert said in store.manifest.notes


def test_blocks_of_one_recording_must_lie_beyond_the_filters_reach(here):
    keys = {"rig": "mixed", "span": {"window": 64, "horizon": 8}, "amplitude": "none"}
    with prepared(here, common_rate_hz=COMMON) as store:
        near = Dataset.model_validate({**keys, "split": {"strategy": "time_block"}})
        with pytest.raises(UserError, match="passed a filter") as caught:
            make_split(store.table, near, "d")
        remedy = str(caught.value).partition("remedy:")[2]
        gap = yaml.safe_load(remedy)["split"]["gap"]
        far = {**keys, "split": {"strategy": "time_block", "gap": gap}}
        make_split(store.table, Dataset.model_validate(far), "d")


def test_a_rate_below_the_common_one_is_refused_with_one_that_works(here):
    with pytest.raises(BadData, match=r"20000 Hz is above 12000 Hz") as caught:
        prepared(here, common_rate_hz=20_000)
    remedy = yaml.safe_load(str(caught.value).partition("remedy:")[2])
    prepared(here, **remedy)
    assert not list(here.glob("data/mixed/.*"))


def test_an_unknown_rate_is_refused(here):
    folder = rig().folder.model_dump(exclude_none=True) | {"ignore_stated_rate": True}
    with pytest.raises(BadData, match=r"unknown[\s\S]*'u1_normal'; key `common_rate_hz`"):
        prepared(here, common_rate_hz=COMMON, folder=folder)


def test_samples_that_are_not_finite_are_named_as_they_were_read(here):
    x = sampled(48_828.0)
    x[12_345] = np.nan
    np.savez(here / "rig" / "u1_normal.npz", x=x, fs=48_828.0)
    with pytest.raises(BadData, match=r"1 samples that are not finite[\s\S]*sample 12345"):
        prepared(here, common_rate_hz=COMMON)


def test_a_union_takes_it_as_a_part_and_knows_where_it_came_from(here):
    with prepared(here, common_rate_hz=COMMON) as store:
        folder = store.folder
    options = UnionOptions.model_validate({"rigs": ["one", "two"], "rate_hz": 6000})
    source = UnionSource(options, {"one": folder, "two": folder})
    made = list(source.recordings())
    assert {r.attributes["native_rate_hz"] for r in made} >= {"48828", "25600"}
    assert any("one: the rate of origin predicts the class" in note for note in source.notes)


def test_a_union_has_a_rate_of_its_own():
    keys = {"source": "union", "folder": None, "union": {"rigs": ["a", "b"], "rate_hz": 6000}}
    with pytest.raises(ValidationError, match=r"union\.rate_hz"):
        rig(**keys, common_rate_hz=6000)


def test_a_rig_without_the_key_is_the_one_that_it_was(here):
    assert "common_rate_hz" not in rig().model_dump(exclude_none=True, by_alias=True)
    with prepared(here) as store:
        assert store.table["rate_hz"].tolist() == list(RATES.values())
        assert "resampled_from_hz" not in store.table.columns
