"""A copy is found by what it holds, wherever it lies; chance and silence raise no alarm."""

from __future__ import annotations

import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

from workflow_src.data.audit.leaks import Search, search
from workflow_src.data.audit.report import report_of
from workflow_src.data.recordings import Recording
from workflow_src.data.splits import make_split
from workflow_src.data.store import Heading, Store, write_store

from ...examples import examples
from .benches import (
    SPAN,
    Signals,
    bench,
    by_hand,
    dataset_of,
    noise,
    recording,
    stored,
    whole,
)

LEAST = 256 + 128  # a copy of so many samples is found for certain at spans of 512


def found_in(signals: Signals) -> Search:
    with tempfile.TemporaryDirectory() as folder:
        store, split = bench(Path(folder), signals)
        with store:
            return search(store, split)


# ------------------------------------------------------------------------- copies are found


@examples(40)
@given(
    length=st.integers(LEAST, 2000),
    begin=st.integers(0, 3000),
    at=st.integers(0, 1000),
    part=st.sampled_from(["val", "test"]),
    seed=st.integers(0, 10**6),
)
def test_a_stretch_planted_anywhere_is_found_to_the_sample(
    length: int, begin: int, at: int, part: str, seed: int
) -> None:
    original, other = noise(5000, seed), noise(3000, seed + 1)
    other[at : at + length] = original[begin : begin + length]
    result = found_in({"a": ("train", original), "b": (part, other)})
    (one,) = result.found
    assert result.least == LEAST
    assert (one.earlier_begin, one.held_begin, one.length) == (begin, at, length)
    assert (one.earlier.recording_id, one.held.recording_id, one.held.part) == ("a", "b", part)
    assert (one.gain, one.offset, one.shift) == (1, 0, at - begin)


@examples(30)
@given(
    gain=st.floats(0.01, 100) | st.floats(-100, -0.01),
    offset=st.floats(-50, 50),
    seed=st.integers(0, 10**6),
)
def test_another_gain_sign_or_offset_hides_nothing(gain: float, offset: float, seed: int) -> None:
    original = noise(4000, seed)
    scaled = (gain * original[100:3000] + offset).astype(np.float32)
    result = found_in({"a": ("train", original), "b": ("test", scaled)})
    assert sum(one.length for one in result.found) > 2000
    for one in result.found:
        assert one.shift == -100
        assert one.gain == pytest.approx(gain, rel=1e-2)


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_a_copy_in_another_resolution_is_found(bits: int) -> None:
    original = noise(40_000, 3)
    step = 10 / 2**bits  # over +-5 deviations
    coarse = (np.round(original[5000:] / step) * step).astype(np.float32)
    result = found_in({"a": ("train", original), "b": ("test", coarse)})
    assert {one.shift for one in result.found} == {-5000}
    assert sum(one.length for one in result.found) > 30_000


def test_one_channel_alone_and_channels_in_another_order_are_found() -> None:
    original, alone, swapped = noise(4000, 1, 2), noise(3000, 2, 2), noise(3000, 3, 2)
    alone[:, 1] = original[17:3017, 0]
    swapped[:] = original[500:3500, ::-1]
    result = found_in({"a": ("train", original), "b": ("test", alone), "c": ("val", swapped)})
    channels = {(o.held.recording_id, o.earlier_channel, o.held_channel) for o in result.found}
    # The one channel lies in `b` and, through `a`, in `c`.
    assert channels == {("b", 0, 1), ("c", 0, 1), ("c", 1, 0)} | {("b", 1, 1)}


def test_validation_shares_with_test_too() -> None:
    same = noise(3000, 5)
    result = found_in({"a": ("train", noise(3000, 4)), "b": ("val", same), "c": ("test", same)})
    (one,) = result.found
    assert (one.earlier.part, one.held.part, one.length) == ("val", "test", 3000)


def test_copies_within_one_part_are_no_leak() -> None:
    same = noise(3000, 5)
    signals = {"a": ("train", same), "b": ("train", same), "c": ("test", noise(3000, 6))}
    assert found_in(signals).found == []


def test_spans_too_short_to_be_searched_are_said(tmp_path: Path) -> None:
    store, split = bench(tmp_path, {"a": ("train", noise(600, 1)), "b": ("test", noise(600, 1))})
    short = whole(store.table, {"a": "train", "b": "test"}, ["vibration"], span=100)
    assert search(store, short).least is None
    assert search(store, split).least == LEAST


# --------------------------------------------------------------------------- no false alarms


def quantised(length: int, levels: int, memory: float, seed: int) -> np.ndarray:
    """A signal of few levels, as of a converter of low resolution; `memory` makes it dwell."""
    drawn = np.random.default_rng(seed).standard_normal(length)
    state = lfilter([np.sqrt(1 - memory**2)], [1, -memory], drawn)
    return np.clip(np.round(state * levels / 4), -(levels // 2), levels // 2).astype(np.float32)


@pytest.mark.slow
@examples(25)
@given(
    levels=st.integers(1, 16),
    memory=st.sampled_from([0.0, 0.5, 0.9, 0.99, 0.999]),
    seed=st.integers(0, 10**6),
)
def test_independent_signals_of_few_levels_share_nothing(
    levels: int, memory: float, seed: int
) -> None:
    signals = {
        name: (part, quantised(20_000, levels, memory, seed + i)[:, None])
        for i, (name, part) in enumerate([("a", "train"), ("b", "val"), ("c", "test")])
    }
    assert found_in(signals).found == []


@examples(15)
@given(levels=st.integers(4, 16), seed=st.integers(0, 10**6), shift=st.integers(0, 3000))
def test_a_copy_of_few_levels_is_found_all_the_same(levels: int, seed: int, shift: int) -> None:
    original = quantised(8000, levels, 0.5, seed)[:, None]
    copy = original[shift : shift + 2000]
    result = found_in({"a": ("train", original), "b": ("test", copy)})
    assert max(one.length for one in result.found) == 2000
    assert -shift in {one.shift for one in result.found}


@pytest.mark.fast_cases("constant", "short tone")
@pytest.mark.parametrize(
    "constant",
    [
        np.zeros(9000),
        np.full(9000, 3.5),
        np.linspace(-1, 1, 9000),
        np.tile([0.0, 1.0], 4500),
        np.tile(np.r_[np.zeros(40), np.ones(60)], 90),
        np.tile(np.sin(np.arange(100) * 2 * np.pi / 25), 90),
    ],
    ids=["zeros", "constant", "ramp", "alternating", "square", "short tone"],
)
def test_content_without_information_is_no_leak(constant: np.ndarray) -> None:
    signal = constant.astype(np.float32)[:, None]
    result = found_in({"a": ("train", signal), "b": ("test", signal[100:])})
    assert result.found == []


def test_silence_and_saturation_within_noise_are_no_leak() -> None:
    signals = {}
    for seed, (name, part) in enumerate([("a", "train"), ("b", "test")]):
        signal = np.clip(noise(20_000, seed), -1, 1)  # a third of the samples at the rails
        signal[3000:9000] = 0
        signals[name] = (part, signal)
    assert found_in(signals).found == []


@pytest.mark.slow
@examples(15)
@given(seed=st.integers(0, 10**6), level=st.sampled_from([0.1, 0.01, 1e-3]))
def test_a_common_tone_is_no_leak(seed: int, level: float) -> None:
    """Two recordings of one machine: the same strong tones, each with its own noise."""
    t = np.arange(12_000)[:, None]
    tone = np.sin(0.71 * t) + 0.5 * np.sin(0.2 * t + 1)
    signals = {
        name: (part, (tone + level * noise(12_000, seed + i)).astype(np.float32))
        for i, (name, part) in enumerate([("a", "train"), ("b", "test")])
    }
    assert found_in(signals).found == []


# -------------------------------------------------------------------------- naive windows


def test_naive_windows_of_one_recording_are_told_by_their_content(tmp_path: Path) -> None:
    store, _ = bench(tmp_path, {"a": ("train", noise(60_000, 1))})
    split = naive(store, ["vibration"])
    shared = search(store, split).found
    assert {one.shift for one in shared} == {0}
    truth = covered(split, "train") & covered(split, "test")
    told = {s for o in shared if o.earlier.part == "train" and o.held.part == "test"
            for s in range(o.held_begin, o.held_begin + o.length)}  # fmt: skip
    assert told <= truth
    assert len(told) > 0.8 * len(truth)  # overlaps below LEAST may be missed


@pytest.mark.slow
def test_naive_windows_over_cwru_share_what_most_test_windows_hold(tmp_path: Path) -> None:
    with stored(tmp_path, "cwru") as store:
        split = naive(store, ["vibration"], spans=1000)
        shared = search(store, split).found
    assert {one.earlier.recording_id == one.held.recording_id for one in shared} == {True}
    assert {one.shift for one in shared} == {0}
    report = report_of("naive", split, Search(shared, LEAST, 0), [])
    starts = split.rows.groupby(["recording_id", "part"])["start"].agg(np.array)
    tests = split.rows[split.rows["part"] == "test"]
    hit = [
        any((np.abs(starts[name, part] - start) <= SPAN - LEAST).any() for part in ("train", "val"))
        for name, start in zip(tests["recording_id"], tests["start"], strict=True)
    ]
    # Windows that overlap by LEAST are found for certain, and more that overlap by less.
    assert sum(hit) <= report.shared_spans["test"].spans <= len(tests)
    assert report.shared_spans["test"].spans > 0.8 * len(tests)


def naive(store: Store, kinds: list[str], spans: int = 60):
    """Windows drawn at random over each recording, then parts drawn at random."""
    rng = np.random.default_rng(0)
    rows = []
    for row in store.table.itertuples():
        starts = rng.integers(0, row.length - SPAN + 1, spans)
        parts = rng.choice(["train", "val", "test"], spans, p=[0.6, 0.2, 0.2])
        rows += [(row, int(start), str(part)) for start, part in zip(starts, parts, strict=True)]
    return by_hand(rows, kinds)


def covered(split, part: str) -> set[int]:
    starts = split.rows["start"][split.rows["part"] == part]
    return {sample for start in starts for sample in range(start, start + SPAN)}


# --------------------------------------------------------------------------- real and simulated


@pytest.mark.fast_cases("cwru*")
@pytest.mark.parametrize(
    ("rig", "name", "keys"),
    [
        ("cwru", "cwru_ir028", {}),
        ("uestc", "uestc_speed", {"test": {"speed_rpm": [1000]}}),
        ("bearing_sim", "bearing_sim", {}),
    ],
)
def test_a_recording_under_another_name_shifted_by_17_is_found(
    tmp_path: Path, rig: str, name: str, keys: dict
) -> None:
    store = stored(tmp_path / "clean", rig)
    dataset = dataset_of(name, **keys)
    split = make_split(store.table, dataset, name)
    assert search(store, split).found == []
    parts = split.rows.drop_duplicates("recording_id").set_index("recording_id")["part"]
    (source, target) = (parts.index[parts == part][0] for part in ("train", "test"))
    row = store.table.set_index("recording_id").loc[source]
    copy = store.read(source, 17, int(row["length"]))
    planted = _with(store, "looks_new", target, copy)
    write_store(planted, tmp_path / "dirty", Heading(rig, "test"))
    with Store(tmp_path / "dirty") as dirty:
        again = make_split(dirty.table, dataset, name)
        result = search(dirty, again)
    assert result.found
    for one in result.found:
        assert (one.earlier.recording_id, one.held.recording_id) == (source, "looks_new")
        assert one.shift == -17
        assert one.gain == 1
    store.close()


def _with(store: Store, name: str, like: str, signal: np.ndarray) -> list[Recording]:
    """The recordings of `store` and one of another name, with the labels of `like`."""
    table = store.table
    own = set(table.columns) - {"length", "channels"}
    made = []
    for row in table.to_dict("records"):
        labels = {k: v for k, v in row.items() if k in own and v == v}
        kinds = tuple(labels.pop("channel_kinds").split("|"))
        labels["fault"] = labels.get("fault") or None
        fields = set(Recording.__dataclass_fields__)
        attributes = {k: str(v) for k, v in labels.items() if k not in fields}
        labels = {k: v for k, v in labels.items() if k in fields} | {"channel_kinds": kinds}
        labels |= {"attributes": attributes, "rate_hz": labels.get("rate_hz")}
        read = store.read(row["recording_id"], 0, row["length"])
        made.append(recording(labels.pop("recording_id"), read, **labels))
        if row["recording_id"] == like:
            made.append(recording(name, signal, **labels))
    return made


# --------------------------------------------------------------------------- memory


@pytest.mark.slow
def test_memory_is_two_recordings_and_the_anchors_of_what_is_held_out(tmp_path: Path) -> None:
    peaks = {}
    for count in (4, 24):
        signals = {f"t{i}": ("train", noise(60_000, i)) for i in range(count)}
        store, split = bench(tmp_path / str(count), {**signals, "x": ("test", noise(60_000, 99))})
        with store:
            search(store, split)  # imports and caches
            tracemalloc.start()
            search(store, split)
            peaks[count] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    assert peaks[24] < 1.1 * peaks[4]
