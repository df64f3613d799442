"""features.h5: what a model sees of each span, and of which split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from workflow_src.artifacts.cell_metrics import CellMetrics
from workflow_src.cells import Cell
from workflow_src.classic.problem import Problem
from workflow_src.classic.trivial import Options, predict
from workflow_src.configuration import Dataset
from workflow_src.configuration.simulated import GEOMETRIES
from workflow_src.data import span_features
from workflow_src.data.prepare import prepare_rig, prepare_split
from workflow_src.data.span_features import prepare_features
from workflow_src.data.split_files import read_split
from workflow_src.data.windows import SpanReader
from workflow_src.errors import BadData, UserError
from workflow_src.evaluation import write_metrics
from workflow_src.features.autoregression import REFERENCE
from workflow_src.features.fault_lines import ORDERS, fault_lines
from workflow_src.features.fault_orders import fault_orders
from workflow_src.features.shape import shape_features
from workflow_src.features.table import KINDS, FeatureTable
from workflow_src.predictions import ScoreFacts, write_predictions
from workflow_src.tasks.signal_prediction.span_statistics import GROUPS, STATISTICS

SIMULATED = {"kind": "bearing", "units_per_class": 3, "samples": 4096}
DATASET: dict[str, Any] = {
    "rig": "rig",
    "span": {"window": 1024, "horizon": 64, "per_recording": 2},
    "split": {"strategy": "unit", "test_share": 0.34, "validation": {"strategy": "none"}},
}
FILE = Path("data", "set", "features.h5")


@pytest.fixture
def part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What decides the features of data/set, whose store and split are made."""
    monkeypatch.chdir(tmp_path)
    rig = {"source": "simulated", "unit": "g", "amplitude_comparable": True}
    recorded = {"rig": {**rig, "simulated": SIMULATED}, "table": None}
    prepare_rig("rig", recorded, description="", data_root=None, config_folder=tmp_path)
    prepare_split("set", {"dataset": DATASET, "table": None}, config_folder=tmp_path)
    geometry = {"rig": GEOMETRIES["bearing"].model_dump(exclude_none=True)}
    return json.loads(json.dumps({"dataset": DATASET, "geometry": geometry}))


def read(noise_db: float | None) -> SpanReader:
    used = Dataset.model_validate({**DATASET, "test_noise_db": noise_db})
    return SpanReader(Path("data", "rig"), read_split(Path("data", "set")), used)


@pytest.mark.parametrize("noise_db", [None, -20.0])
def test_a_row_is_what_was_measured_on_what_a_model_sees(
    part: dict[str, Any], noise_db: float | None
) -> None:
    part["dataset"]["test_noise_db"] = noise_db
    prepare_features("set", part)
    reader = read(noise_db)
    rows = np.concatenate([reader.rows("test"), reader.rows("train")])
    table = FeatureTable(FILE, read_split(Path("data", "set")).summary.sha256.rows)
    spans = reader.read(rows)
    assert np.array_equal(table.columns(rows, ["shape"]), shape_features(spans.window))
    told = table.columns(rows, ["age", "log_amplitude"])
    assert np.array_equal(told[:, 0], spans.age.astype(float), equal_nan=True)
    assert np.array_equal(told[:, 1:], spans.log_amplitude.astype(float))
    which, recordings = reader.recordings_of(rows)
    orders = {**dict.fromkeys(ORDERS, np.nan), **fault_orders(GEOMETRIES["bearing"])}
    for row, lines in enumerate(table.columns(rows, ["fault_lines"])):
        known = recordings.iloc[which[row]]
        window = spans.window[row, :, 0].astype(float)
        own = {name: orders[name] for name in ORDERS}
        expected = fault_lines(window, known["rate_hz"], float(known["speed_rpm"]) / 60, own)
        assert np.array_equal(lines, expected, equal_nan=True)
    reader.close()


def test_noise_is_on_the_test_part_alone_whatever_is_read_at_once(
    part: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = read(None)
    found = {}
    for noise_db, at_once in ((None, 64), (-20.0, 64), (-20.0, 3)):
        monkeypatch.setattr(span_features, "_AT_ONCE", at_once)
        part["dataset"]["test_noise_db"] = noise_db
        prepare_features("set", part)
        found[noise_db, at_once] = {
            name: FeatureTable(FILE).columns(reader.rows(name), KINDS) for name in ("train", "test")
        }
    clean, noisy, again = found.values()
    assert np.array_equal(clean["train"], noisy["train"], equal_nan=True)
    assert (clean["test"] != noisy["test"]).any(1).all()
    for name, values in noisy.items():
        assert np.array_equal(again[name], values, equal_nan=True)
    reader.close()


def test_features_of_another_split_and_damaged_ones_are_refused(part: dict[str, Any]) -> None:
    prepare_features("set", part)
    rows = np.arange(2)
    with pytest.raises(BadData, match="another split"):
        FeatureTable(FILE, "0" * 64).columns(rows, ["shape"])
    with h5py.File(FILE, "r+") as file:
        place = file["shape"].id.get_chunk_info(0).byte_offset
    content = bytearray(FILE.read_bytes())
    content[place] ^= 1
    FILE.write_bytes(content)
    with pytest.raises(BadData, match=str(FILE)):
        FeatureTable(FILE).columns(rows, ["shape"])
    FILE.unlink()
    with pytest.raises(BadData, match="next run makes it again"):
        FeatureTable(FILE).columns(rows, ["shape"])


def test_what_another_process_has_taken_over_is_not_landed(part: dict[str, Any]) -> None:
    def taken() -> None:
        raise UserError("taken over")

    with pytest.raises(UserError, match="taken over"):
        prepare_features("set", part, taken)
    assert [path.name for path in FILE.parent.glob("*features*")] == []


def test_the_reference_is_the_forecast_of_the_trivial_row(part: dict[str, Any]) -> None:
    part["dataset"]["test_noise_db"] = 3.0
    prepare_features("set", part)
    reader = read(3.0)
    problem = Problem(reader, ["signal_prediction"], ScoreFacts(), 0)
    found = predict(problem, Options())
    starts = found.spans["start"].to_numpy(float)
    errors = FeatureTable(FILE).of_held(REFERENCE, starts)
    assert errors is not None
    columns = [STATISTICS.index(f"squared_{group}") for group in list(GROUPS)[:3]]
    kept = found.tasks["signal_prediction"].outputs["AR(32)"][:, columns].sum(1)
    np.testing.assert_allclose(errors, kept, rtol=1e-5)
    with pytest.raises(BadData, match="others than those"):
        FeatureTable(FILE).of_held(REFERENCE, starts + 1)
    write_predictions(Path("p.h5"), found)
    cell = Cell("set", "trivial", "signal", 1)
    write_metrics(Path("p.h5"), Path("metrics.json"), cell, "x", FeatureTable(FILE))
    scores = CellMetrics.read(Path("metrics.json")).scores["signal_prediction"]
    assert scores["AR(32)"].values["skill_ar"] == pytest.approx(0, abs=1e-6)
    mean = scores["input mean"].values
    assert 1 - mean["skill_ar"] == pytest.approx(1 / (1 - scores["AR(32)"].values["skill"]))
    reader.close()


@pytest.mark.parametrize(("window", "horizon"), [(32, 64), (1024, 31)])
def test_of_short_spans_there_is_no_reference(
    part: dict[str, Any], tmp_path: Path, window: int, horizon: int
) -> None:
    dataset = {**DATASET, "span": {**DATASET["span"], "window": window, "horizon": horizon}}
    prepare_split("set", {"dataset": dataset, "table": None}, config_folder=tmp_path)
    prepare_features("set", {**part, "dataset": dataset})
    assert FeatureTable(FILE).of_held(REFERENCE, np.zeros(1)) is None
