"""Spans past HDF5 equal those through it; what is not ours is left to HDF5."""

from __future__ import annotations

import io
import math
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.data import checksum
from workflow_src.data.chunk_reader import ChunkReader
from workflow_src.data.recordings import Recording
from workflow_src.data.store import SIGNALS, Heading, Store, write_store
from workflow_src.errors import BadData

LENGTHS, CHANNELS = (20_000, 16_384, 8_192, 100, 1), 2  # chunks of 8192 samples


def recordings() -> list[Recording]:
    rng = np.random.default_rng(0)
    return [
        Recording(
            recording_id=f"r{i}",
            unit_id=f"u{i}",
            condition="c",
            run_id=f"r{i}",
            signal=rng.standard_normal((length, CHANNELS)).astype(np.float32),
            channel_kinds=("vibration",) * CHANNELS,
        )
        for i, length in enumerate(LENGTHS)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    write_store(recordings(), folder, Heading("bench", "test"))
    return folder


@pytest.fixture
def store(folder: Path, tmp_path: Path) -> Store:
    """A copy that a test may damage."""
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return Store(tmp_path)


@pytest.fixture
def through_hdf5(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """Every span that is read through `Store.read` from now on."""
    reads: list[tuple[str, int, int]] = []
    real = Store.read

    def counted(self: Store, name: str, start: int, stop: int) -> Any:
        reads.append((name, start, stop))
        return real(self, name, start, stop)

    monkeypatch.setattr(Store, "read", counted)
    return reads


def reads_of(store: Store) -> ChunkReader:
    shapes = [(length, CHANNELS) for length in LENGTHS]
    return ChunkReader(store, [f"r{i}" for i in range(len(LENGTHS))], shapes)


def span(reads: ChunkReader, recording: int, start: int, stop: int) -> np.ndarray:
    out = np.full((stop - start, CHANNELS), np.nan, np.float32)
    reads.read(recording, start, out)
    return out


@given(data=st.data())
def test_any_span_in_any_order_is_that_of_the_store(folder: Path, data: st.DataObject) -> None:
    signals = [made.signal for made in recordings()]
    reads = reads_of(Store(folder))
    for _ in range(data.draw(st.integers(1, 12))):
        recording = data.draw(st.integers(0, len(LENGTHS) - 1))
        start = data.draw(st.integers(0, LENGTHS[recording] - 1))
        stop = data.draw(st.integers(start + 1, LENGTHS[recording]))
        expected = signals[recording][start:stop]
        assert span(reads, recording, start, stop).tobytes() == expected.tobytes()
    reads.close()


def spans(reads: ChunkReader, recordings: list[int], starts: list[int], size: int) -> np.ndarray:
    """Read in one call, into every second place."""
    out = np.full((2 * len(starts), size, CHANNELS), np.nan, np.float32)
    places = np.arange(0, len(out), 2)
    reads.read_spans(np.array(recordings), np.array(starts), out, places)
    assert np.isnan(out[1::2]).all()
    return out[places]


@given(data=st.data())
def test_spans_in_one_call_are_those_of_the_store(folder: Path, data: st.DataObject) -> None:
    signals = [made.signal for made in recordings()]
    reads = reads_of(Store(folder))
    for _ in range(data.draw(st.integers(1, 4))):  # some chunks are verified, others not yet
        size = data.draw(st.sampled_from([1, 100, 4192, 8192, 9000, 20_000]))
        fitting = [i for i, length in enumerate(LENGTHS) if length >= size]
        which = data.draw(st.lists(st.sampled_from(fitting), min_size=1, max_size=8))
        starts = [data.draw(st.integers(0, LENGTHS[i] - size)) for i in which]
        expected = [
            signals[i][start : start + size] for i, start in zip(which, starts, strict=True)
        ]
        assert spans(reads, which, starts, size).tobytes() == np.stack(expected).tobytes()
    reads.close()


def test_what_was_verified_is_not_looked_at_one_by_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, looked = reads_of(store), []
    for recording, length in enumerate(LENGTHS):
        span(reads, recording, 0, length)
    real = ChunkReader.read
    monkeypatch.setattr(ChunkReader, "read", lambda *a: looked.append(a[1:3]) or real(*a))
    spans(reads, [0, 0, 1, 2, 0], [0, 8000, 8191, 8000, 15_808], 192)
    assert looked == []
    spans(reads, [0, 0], [1, 8191], 8195)  # the second touches three chunks
    assert looked == [(0, 8191)]


@pytest.mark.parametrize("start", [-1, LENGTHS[0] - 99])
def test_a_span_among_others_outside_of_its_recording_is_refused(store: Store, start: int) -> None:
    reads = reads_of(store)
    span(reads, 0, 0, LENGTHS[0])
    with pytest.raises(ValueError, match="outside"):
        spans(reads, [0, 0], [100, start], 100)


def test_each_chunk_is_verified_once_a_process(
    store: Store, through_hdf5: list[tuple[str, int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    real = checksum.is_whole
    monkeypatch.setattr(checksum, "is_whole", lambda c: sizes.append(len(c)) or real(c))
    reads, chunks = reads_of(store), sum(math.ceil(length / 8192) for length in LENGTHS)
    for _ in range(3):
        for recording, length in enumerate(LENGTHS):
            span(reads, recording, 0, length)
    span(reads, 0, 5000, 9000)  # over the border of two chunks
    assert len(sizes) == chunks
    other = pickle.loads(pickle.dumps(reads))  # another process verifies for itself
    span(other, 0, 0, 100)
    assert len(sizes) == chunks + 1
    assert through_hdf5 == []


@given(data=st.binary(min_size=2, max_size=3000).map(lambda b: b[: len(b) // 2 * 2]))
def test_the_checksum_is_that_of_hdf5(data: bytes) -> None:
    """Also of zeros, whose sums are 0, and of what adds up to a multiple of 65535."""
    for content in (data, bytes(len(data)), b"\xff" * len(data)):
        with h5py.File(io.BytesIO(), "w") as file:
            made = file.create_dataset(
                "x", data=np.frombuffer(content, "u1"), chunks=(len(content),), fletcher32=True
            )
            file.flush()
            _, stored = made.id.read_direct_chunk((0,))
        assert checksum.is_whole(stored)
        for place in (0, len(content) - 1, len(stored) - 1):
            damaged = bytearray(stored)
            damaged[place] ^= 0x10
            assert not checksum.is_whole(damaged)


def test_a_span_outside_of_its_recording_is_refused(store: Store) -> None:
    reads = reads_of(store)
    span(reads, 0, 0, LENGTHS[0])
    for start in (-1, LENGTHS[0] - 5):
        with pytest.raises(ValueError, match="outside"):
            span(reads, 0, start, start + 10)


def test_damage_is_found_before_the_first_use(store: Store) -> None:
    with h5py.File(store.folder / SIGNALS) as file:
        at = file["recordings/r0"].id.get_chunk_info_by_coord((8192, 0)).byte_offset
    with (store.folder / SIGNALS).open("r+b") as damaged:
        damaged.seek(at + 1000)
        damaged.write(b"\x00\x01\x02\x03")
    reads = reads_of(store)
    span(reads, 0, 0, 8192)
    for _ in range(2):
        with pytest.raises(BadData, match="damaged"):
            span(reads, 0, 8000, 8400)


def test_a_file_that_was_cut_short_is_bad_data(store: Store) -> None:
    reads = reads_of(store)
    span(reads, 1, 0, LENGTHS[1])
    os.truncate(store.folder / SIGNALS, 4096)
    with pytest.raises(BadData, match="cut short"):
        span(reads, 1, 0, LENGTHS[1])
    for start in (0, 8000):  # within a chunk, over its border
        with pytest.raises(BadData, match="cut short"):
            spans(reads, [1], [start], 1000)


def _replaced(store: Store, made: Callable[[h5py.Group, np.ndarray], object]) -> None:
    """The first recording as another program may have written it."""
    with h5py.File(store.folder / SIGNALS, "r+") as file:
        signal = file["recordings/r0"][:]
        del file["recordings/r0"]
        made(file["recordings"], signal)


FOREIGN: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "without a checksum": {"chunks": (1000, CHANNELS)},
    "compressed": {"chunks": (1000, CHANNELS), "compression": "gzip", "fletcher32": True},
    "half rows": {"chunks": (1000, 1), "fletcher32": True},
    "other bytes": {"chunks": (1000, CHANNELS), "fletcher32": True, "dtype": ">f4"},
    "double": {"chunks": (1000, CHANNELS), "fletcher32": True, "dtype": "f8"},
}


@pytest.mark.parametrize("how", FOREIGN)
def test_what_is_not_laid_as_ours_goes_through_hdf5(
    store: Store, how: str, through_hdf5: list[tuple[str, int, int]]
) -> None:
    _replaced(store, lambda group, x: group.create_dataset("r0", data=x, **FOREIGN[how]))
    _same_through_hdf5(store, through_hdf5)


def test_a_link_to_another_file_goes_through_hdf5(
    store: Store, tmp_path: Path, through_hdf5: list[tuple[str, int, int]]
) -> None:
    def link(group: h5py.Group, signal: np.ndarray) -> None:
        with h5py.File(tmp_path / "theirs.h5", "w") as file:
            file.create_dataset("x", data=signal, chunks=(8192, CHANNELS), fletcher32=True)
        group["r0"] = h5py.ExternalLink("theirs.h5", "/x")

    _replaced(store, link)
    _same_through_hdf5(store, through_hdf5)


def _same_through_hdf5(store: Store, through_hdf5: list[tuple[str, int, int]]) -> None:
    reads, expected = reads_of(store), recordings()[0].signal
    for _ in range(3):
        assert span(reads, 0, 8000, 9500).tobytes() == expected[8000:9500].tobytes()
    assert through_hdf5 == [("r0", 8000, 9500)] * 3


def test_a_read_of_more_chunks_than_one_call_takes(tmp_path: Path) -> None:
    """Where no index of HDF5 lies between the chunks, as in its newer layouts."""
    count = os.sysconf("SC_IOV_MAX")  # buffers; a chunk and its checksum are two
    signal = np.arange(8 * count, dtype=np.float32)[:, None]
    made = Recording(
        recording_id="r0",
        unit_id="u",
        condition="c",
        run_id="r0",
        signal=signal,
        channel_kinds=("vibration",),
    )
    write_store([made], tmp_path, Heading("bench", "test"))
    with h5py.File(tmp_path / SIGNALS, "w", libver="latest") as file:
        group = file.create_group("recordings")
        group.create_dataset("r0", data=signal, chunks=(8, 1), fletcher32=True)
    reads = ChunkReader(Store(tmp_path), ["r0"], [signal.shape])
    out = np.empty_like(signal)
    reads.read(0, 0, out)
    np.testing.assert_array_equal(out, signal)
