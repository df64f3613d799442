"""The reader: what a row holds depends on the row alone, in bounded memory."""

from __future__ import annotations

import multiprocessing
import pickle
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workflow_src.configuration.schema import Dataset
from workflow_src.data.chunk_reader import ChunkReader
from workflow_src.data.recordings import Recording
from workflow_src.data.split_files import SplitTable
from workflow_src.data.splits import make_split
from workflow_src.data.store import Heading, Store, write_store
from workflow_src.data.windows import SpanArrays, SpanReader
from workflow_src.errors import BadData
from workflow_src.predictions import SPAN_COLUMNS

WINDOW, HORIZON, RATE = 40, 8, 100.0
LIVES = {"b0": 200.0, "b1": 300.0, "b2": 400.0}
LENGTH = 12 * (WINDOW + HORIZON)


def signal_of(name: str, scale: float) -> np.ndarray:
    rng = np.random.default_rng(sum(name.encode()))
    vibration = scale * rng.standard_normal((LENGTH, 2)) + 5
    current = np.full((LENGTH, 1), 7.0)
    order = (vibration[:, :1], current, vibration[:, 1:])
    return np.concatenate(order, 1).astype(np.float32)


def recordings() -> list[Recording]:
    made = []
    for fault in ("normal", "inner"):
        for u in range(3):
            name = f"{fault}{u}"
            made.append(
                Recording(
                    recording_id=name,
                    unit_id=name,
                    condition="c",
                    run_id=name,
                    fault=fault,
                    signal=signal_of(name, 1.0 + u),
                    rate_hz=RATE,
                    channel_kinds=("vibration", "current", "vibration"),
                )
            )
    for run, life in LIVES.items():
        for k in range(5):
            name = f"{run}_{k}"
            made.append(
                Recording(
                    recording_id=name,
                    unit_id=run,
                    condition="c",
                    run_id=run,
                    signal=signal_of(name, 2.0**k),
                    rate_hz=RATE,
                    time_s=life * k / 4,
                    life_s=life,
                    onset_s=0.5 * life,
                    channel_kinds=("vibration", "current", "vibration"),
                )
            )
    return made


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rig")
    write_store(recordings(), folder, Heading("bench", "test"))
    return folder


def dataset(**keys: Any) -> Dataset:
    test = {"unit_id": ["normal0", "inner0", "b0"]}
    validation = {"strategy": "unit", "select": {"unit_id": ["normal1", "inner1", "b1"]}}
    values = {
        "rig": "bench",
        "span": {"window": WINDOW, "horizon": HORIZON},
        "split": {"strategy": "unit", "test": test, "validation": validation},
        **keys,
    }
    return Dataset.model_validate(values)


def split_of(store: Path, keys: Dataset) -> SplitTable:
    return make_split(Store(store).table, keys, "bench")


def reader_of(store: Path, cache_mb: int = 256, **keys: Any) -> SpanReader:
    return SpanReader(store, split_of(store, dataset(**keys)), dataset(**keys), cache_mb)


def row_of(reader: SpanReader, recording: str, place: int = 0) -> int:
    rows = np.flatnonzero(reader.frame(np.arange(252))["recording_id"] == recording)
    return int(rows[place])


def assert_same(one: SpanArrays, two: SpanArrays) -> None:
    for field in fields(SpanArrays):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(two, field.name))


def test_a_span_is_the_samples_of_the_channels_in_use(store: Path) -> None:
    with_reader = reader_of(store)
    row = row_of(with_reader, "b1_2", 3)
    spans = with_reader.read([row])
    whole = np.concatenate([spans.window[0], spans.horizon[0]])
    start = 3 * (WINDOW + HORIZON)
    expected = signal_of("b1_2", 4.0)[start : start + WINDOW + HORIZON][:, [0, 2]]
    np.testing.assert_array_equal(whole, expected)
    assert with_reader.channels == 2
    assert spans.index.tolist() == [row]


def test_labels_are_masked_where_a_recording_bears_none(store: Path) -> None:
    reader = reader_of(store)
    rows = [row_of(reader, name) for name in ("normal2", "inner0", "b2_0", "b2_1", "b2_4")]
    spans = reader.read(rows)
    assert reader.classes == ("normal", "inner")
    assert spans.fault.tolist() == [0, 1, -1, -1, -1]
    np.testing.assert_array_equal(spans.anomaly, np.float32([0, 1, np.nan, np.nan, np.nan]))
    np.testing.assert_allclose(spans.rul, [np.nan, np.nan, 1.0, 0.75, 0.0])
    np.testing.assert_allclose(spans.age, [np.nan, np.nan, 0.0, 0.25, 1.0])  # mean life: b2's
    later = reader.read([row_of(reader, "b2_1", 2)])
    seconds = 100.0 + 2 * (WINDOW + HORIZON) / RATE
    assert later.time_s[0] == pytest.approx(seconds)
    assert later.rul[0] == pytest.approx(1 - seconds / 400, rel=1e-6)


def test_the_frame_says_what_predictions_need(store: Path) -> None:
    reader = reader_of(store)
    frame = reader.frame([row_of(reader, "b0_4", 1), row_of(reader, "inner1")])
    assert tuple(frame.columns) == SPAN_COLUMNS
    assert frame["part"].tolist() == ["test", "val"]
    assert frame["rig"].tolist() == ["bench", "bench"]
    assert frame["start"].tolist() == [WINDOW + HORIZON, 0]
    assert frame["life_s"].tolist()[0] == 200
    assert np.isnan(frame["life_s"][1])


def test_nothing_depends_on_cache_order_or_batch_mates(store: Path) -> None:
    keys: dict[str, Any] = {"test_noise_db": 3.0, "amplitude": "relative"}
    cached, sliced = reader_of(store, **keys), reader_of(store, cache_mb=0, **keys)
    rows = np.random.default_rng(0).permutation(252)
    whole = cached.read(rows)
    assert_same(whole, sliced.read(rows))
    for i in (0, 100, 251):
        alone = sliced.read(rows[i : i + 1])
        for field in fields(SpanArrays):
            expected = getattr(whole, field.name)[i : i + 1]
            np.testing.assert_array_equal(getattr(alone, field.name), expected)


def test_the_cache_stays_within_its_bound(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = 2 * 4 * LENGTH * 2 / 2**20  # two of 21 recordings
    reader = reader_of(store, cache_mb=room, amplitude="none")  # type: ignore[arg-type]
    reads: list[int] = []
    real = ChunkReader.read

    def counted(self: ChunkReader, recording: int, start: int, out: Any) -> None:
        reads.append(len(out))
        real(self, recording, start, out)

    monkeypatch.setattr(ChunkReader, "read", counted)
    reader.read(np.arange(252))
    assert reads.count(LENGTH) == 2
    assert len(reads) == 2 + 19 * 12
    reads.clear()
    reader.read(np.arange(252))
    assert reads == [WINDOW + HORIZON] * (19 * 12)
    assert reader.kept_bytes == 2 * 4 * LENGTH * 2


@pytest.mark.slow
@pytest.mark.parametrize("recordings_kept", [0, 2, 21])
def test_spans_of_all_channels_are_the_same_kept_or_not(store: Path, recordings_kept: int) -> None:
    room = recordings_kept * 4 * LENGTH * 3 / 2**20
    keys = {"channel_kinds": ["vibration", "current"], "amplitude": "none"}
    reader = reader_of(store, cache_mb=room, **keys)  # type: ignore[arg-type]
    frame, through_hdf5 = reader.frame(np.arange(252)), Store(store)
    for seed in range(3):  # chunks are verified in the first of them
        rows = np.random.default_rng(seed).permutation(252)
        spans = reader.read(rows)
        for i, row in enumerate(rows):
            name, start = frame["recording_id"][row], int(frame["start"][row])
            expected = through_hdf5.read(name, start, start + WINDOW + HORIZON)
            np.testing.assert_array_equal(spans.window[i], expected[:WINDOW])
            np.testing.assert_array_equal(spans.horizon[i], expected[WINDOW:])
    assert reader.kept_bytes == recordings_kept * 4 * LENGTH * 3
    through_hdf5.close()


def test_noise_has_its_ratio_and_leaves_the_target_alone(store: Path) -> None:
    clean = reader_of(store)
    for noise_db in (0.0, 10.0):
        noisy = reader_of(store, test_noise_db=noise_db)
        rows = clean.rows("test")
        pure, heard = clean.read(rows), noisy.read(rows)
        np.testing.assert_array_equal(pure.horizon, heard.horizon)
        ratio = (heard.window - pure.window).var(1).mean() / pure.window.var(1).mean()
        assert -10 * np.log10(ratio) == pytest.approx(noise_db, abs=0.5)
        train = clean.rows("train")
        assert_same(clean.read(train), noisy.read(train))
        assert heard.log_amplitude.mean() > pure.log_amplitude.mean()  # the sensor sees it
    draws = (heard.window - pure.window)[:, :, 0]
    alike = np.corrcoef(draws) - np.eye(len(draws))
    assert np.abs(alike).max() < 0.9  # no two spans share their noise


def test_absolute_amplitude_is_standardised_by_the_training_part(store: Path) -> None:
    reader = reader_of(store)
    spans = reader.read(reader.rows("train"))
    np.testing.assert_allclose(spans.log_amplitude.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(spans.log_amplitude.std(0), 1, atol=1e-5)
    logs = np.log(spans.window.std(1, dtype=np.float64))
    expected = (logs - logs.mean(0)) / logs.std(0)
    np.testing.assert_allclose(spans.log_amplitude, expected, atol=1e-5)


def test_relative_amplitude_starts_from_the_units_first_snapshots(store: Path) -> None:
    reader = reader_of(store, amplitude="relative")
    rows = [row_of(reader, f"b0_{k}") for k in range(5)]
    log_amplitude = reader.read(rows).log_amplitude
    np.testing.assert_allclose(log_amplitude[:3].mean(0), 0, atol=1e-6)
    logs = np.log([signal_of(f"b0_{k}", 2.0**k)[:WINDOW, [0, 2]].std(0) for k in range(5)])
    np.testing.assert_allclose(log_amplitude, logs - logs[:3].mean(0), atol=1e-4)
    assert not reader_of(store, amplitude="none").read(rows).log_amplitude.any()


def test_a_constant_channel_has_a_finite_amplitude(store: Path) -> None:
    keys = {"channel_kinds": ["current"]}
    for amplitude in ("absolute", "relative"):
        reader = reader_of(store, amplitude=amplitude, **keys)
        spans = reader.read(reader.rows("val"))
        assert np.isfinite(spans.log_amplitude).all()
        assert (spans.window == 7).all()


def _read_in_child(reader: SpanReader, rows: list[int]) -> SpanArrays:
    return reader.read(rows)


@pytest.mark.slow
def test_a_reader_goes_to_a_spawned_process(store: Path) -> None:
    reader = reader_of(store, test_noise_db=0.0)
    rows = reader.rows("test")[:20].tolist()
    here = reader.read(rows)
    assert len(pickle.dumps(reader)) < 100_000  # neither cache nor file travels
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert_same(pool.apply(_read_in_child, (reader, rows)), here)


def test_a_split_of_another_store_is_refused(store: Path, tmp_path: Path) -> None:
    write_store(recordings()[:-1], tmp_path / "less", Heading("bench", "test"))
    split = split_of(store, dataset())
    with pytest.raises(BadData, match="does not fit the store") as caught:
        SpanReader(tmp_path / "less", split, dataset())
    assert "b2_4" in str(caught.value)


def test_rows_of_the_parts_cover_the_split(store: Path) -> None:
    reader = reader_of(store)
    rows = np.concatenate([reader.rows(part) for part in ("train", "val", "test")])
    assert sorted(rows) == list(range(252))
    assert isinstance(reader.frame(rows), pd.DataFrame)
    reader.close()
    assert len(reader.read(rows[:3]).index) == 3  # opens again
