"""Reads spans of a store from the bytes of its file, past HDF5, each chunk verified once."""

from __future__ import annotations

import math
import os
from array import array
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from workflow_src.data import checksum
from workflow_src.data.store import SIGNALS, Store
from workflow_src.errors import BadData

Whole = NDArray[np.int32 | np.int64]
_MOST_PIECES = 1022  # with two more within the 1024 that Linux takes in one call (IOV_MAX)
_GENERAL = -1  # in place of the samples of a chunk: left to HDF5
_METADATA_BYTES = 1 << 18


class ChunkReader:
    """Spans of the recordings of a store, numbered as in `names`.

    Where the chunks of a recording lie in the file is looked up once and kept, 8 bytes a chunk of
    64 KiB. The first time that a chunk is read in this process its checksum is compared; a chunk
    that differs is left to HDF5, which says so. The file is read, never mapped: mapped pages would
    count as this process's memory.

    What ``write_store`` does not write is left to `Store.read`: other types, shapes, filters or
    layouts, and recordings that lie in another file.

    Args:
        store: what to read.
        names: of the recordings.
        shapes: (length, channels) of each.
    """

    def __init__(
        self, store: Store, names: Sequence[str], shapes: Sequence[tuple[int, int]]
    ) -> None:
        self._store = store
        self._names = names
        self._shapes = shapes
        self._forget()

    def __getstate__(self) -> dict[str, Any]:
        return {"_store": self._store, "_names": self._names, "_shapes": self._shapes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def _forget(self) -> None:
        self._file: h5py.File | None = None
        self._opened_by = 0
        self._descriptor = -1
        self._lengths = np.array([length for length, _ in self._shapes], np.int64)
        self._rows = array("q", bytes(8 * len(self._names)))  # samples of a chunk; 0: unknown yet
        self._first = array("q", bytes(8 * len(self._names)))  # place of its first chunk below
        self._offsets = array("q")  # of chunks, bytes in the file; below 0: not verified yet

    def close(self) -> None:
        """Close the file; a later read opens and verifies it again."""
        if self._file is not None and self._opened_by == os.getpid():
            self._file.close()
        self._forget()

    def read(self, recording: int, start: int, out: NDArray[np.float32]) -> None:
        """Samples from `start` on into `out` (n, all channels), C-contiguous.

        Raises what `Store.read` raises, and ``BadData`` where the file has become shorter.
        """
        stop = start + len(out)
        if self._opened_by != os.getpid():
            self._open()
        if self._rows[recording] == 0:
            self._locate(recording)
        whole = start >= 0 and stop <= self._shapes[recording][0]
        if whole and self._rows[recording] > 0 and self._copied(recording, start, out):
            return
        out[:] = self._store.read(self._names[recording], start, stop)

    def read_spans(
        self, recordings: Whole, starts: Whole, out: NDArray[np.float32], places: Whole
    ) -> None:
        """As `read`: `recordings` (n,) from `starts` (n,) on into `places` (n,) of `out` (B, S, C).

        Most spans are one piece of the file that was verified before, or two with a checksum in
        between. Which ones, and where they lie, is told for all at once: a call of `read` costs as
        much as the system's copy of 32 KB.
        """
        if self._opened_by != os.getpid():
            self._open()
        plain, begins, cuts = self._pieces(recordings, starts, *out.shape[1:])
        for i in np.flatnonzero(~plain).tolist():
            self.read(int(recordings[i]), int(starts[i]), out[places[i]])
        target, size = out.data.cast("B"), 4 * out.shape[1] * out.shape[2]
        ends, begins, cuts = (places[plain] + 1) * size, begins[plain], cuts[plain]
        for end, begin, cut in zip(ends.tolist(), begins.tolist(), cuts.tolist(), strict=True):
            if cut >= size:
                pieces: tuple[memoryview | bytearray, ...] = (target[end - size : end],)
                asked = size
            else:
                pieces = (target[end - size : end - size + cut], self._nowhere)
                pieces += (target[end - size + cut : end],)
                asked = size + checksum.BYTES
            if os.preadv(self._descriptor, pieces, begin) != asked:
                raise self._cut_short()

    def _pieces(
        self, recordings: Whole, starts: Whole, samples: int, channels: int
    ) -> tuple[NDArray[np.bool_], Whole, Whole]:
        """Whether spans lie in one or two verified chunks that follow each other; where each
        begins in the file, and the bytes from there to the end of its first chunk, (n,) each."""
        rows, first, offsets = (
            np.frombuffer(numbers, np.int64) if numbers else np.zeros(1, np.int64)
            for numbers in (self._rows, self._first, self._offsets)
        )
        rows = rows[recordings]
        plain = (rows > 0) & (starts >= 0) & (starts + samples <= self._lengths[recordings])
        rows = np.where(plain, rows, 1)
        place = np.where(plain, first[recordings] + starts // rows, 0)
        here, after = offsets[place], offsets[np.minimum(place + 1, len(offsets) - 1)]
        skipped = starts % rows
        one = rows - skipped >= samples
        follows = after == here + 4 * channels * rows + checksum.BYTES
        plain &= (here > 0) & (one | (follows & (2 * rows - skipped >= samples)))
        return plain, here + 4 * channels * skipped, 4 * channels * (rows - skipped)

    def _copied(self, recording: int, start: int, out: NDArray[np.float32]) -> bool:
        """Copy `out` (n, C) from chunks; False where one is not what its checksum says.

        Chunks that follow each other in the file take one call; their checksums go nowhere.
        """
        offsets, rows = self._offsets, self._rows[recording]
        place, skipped = divmod(start, rows)
        place += self._first[recording]
        target, width = out.data.cast("B"), 4 * out.shape[1]
        done, end, skipped, chunk = 0, len(target), width * skipped, width * rows
        while done < end:
            if not self._verified(place, chunk):
                return False
            offset, size = offsets[place], min(end - done, chunk - skipped)
            pieces: list[memoryview | bytearray] = [target[done : done + size]]
            asked, begin = size, offset + skipped
            done, place, skipped = done + size, place + 1, 0
            while (
                done < end
                and len(pieces) < _MOST_PIECES
                and abs(offsets[place]) == offset + chunk + checksum.BYTES
            ):
                if not self._verified(place, chunk):
                    return False
                offset, size = offsets[place], min(end - done, chunk)
                pieces += self._nowhere, target[done : done + size]
                asked += checksum.BYTES + size
                done, place = done + size, place + 1
            if os.preadv(self._descriptor, pieces, begin) != asked:
                raise self._cut_short()  # HDF5 would give zeros
        return True

    _nowhere = bytearray(checksum.BYTES)

    def _verified(self, place: int, size: int) -> bool:
        """Whether the chunk of `size` bytes at `place` is what was written; looked at once."""
        offset = self._offsets[place]
        if offset > 0:
            return True
        chunk = bytearray(size + checksum.BYTES)
        if os.preadv(self._descriptor, (chunk,), -offset) != len(chunk):
            raise self._cut_short()
        if not checksum.is_whole(chunk):
            return False
        self._offsets[place] = -offset
        return True

    def _locate(self, recording: int) -> None:
        """Look up where the chunks of a recording lie, if they lie as ours do."""
        self._rows[recording] = _GENERAL
        assert self._file is not None
        try:
            dataset = self._file["recordings"][self._names[recording]]
            if not self._is_plain(dataset, recording):
                return
            rows, channels = dataset.chunks
            offsets = array("q", bytes(8 * math.ceil(dataset.shape[0] / rows)))
            size = 4 * rows * channels + checksum.BYTES

            def note(chunk: h5py.h5d.StoreInfo) -> None:
                if chunk.filter_mask == 0 and chunk.size == size:
                    offsets[chunk.chunk_offset[0] // rows] = -chunk.byte_offset

            dataset.id.chunk_iter(note)
        except (OSError, KeyError, RuntimeError):
            return  # Store.read, which is asked next, says what is wrong
        if all(offsets):
            self._first[recording] = len(self._offsets)
            self._offsets.extend(offsets)
            self._rows[recording] = rows

    def _open(self) -> None:
        self._forget()
        try:
            file = h5py.File(self._store.folder / SIGNALS, "r", locking=False)
        except OSError:  # Store.read, which is asked next, says what is wrong
            self._opened_by = os.getpid()
            self._rows = array("q", [_GENERAL]) * len(self._names)
            return
        self._store.require_manifest(file)
        self._file, self._opened_by = file, os.getpid()
        self._descriptor = self._file.id.get_vfd_handle()
        # What describes recordings, of which each is asked once: HDF5 would keep up to 32 MB of it,
        # which take more than ten times as much in memory.
        metadata = self._file.id.get_mdc_config()
        metadata.set_initial_size = True
        metadata.initial_size = metadata.min_size = metadata.max_size = _METADATA_BYTES
        self._file.id.set_mdc_config(metadata)

    def _is_plain(self, dataset: h5py.Dataset, recording: int) -> bool:
        """Whether it lies as ``write_store`` lays it: float32 in whole rows, with a checksum."""
        plist = dataset.id.get_create_plist()
        filters = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
        return bool(
            dataset.file == self._file
            and dataset.dtype == np.float32
            and dataset.shape == self._shapes[recording]
            and dataset.chunks is not None
            and dataset.chunks[1] == dataset.shape[1]
            and filters == [h5py.h5z.FILTER_FLETCHER32]
        )

    def _cut_short(self) -> BadData:
        return BadData(
            "A file of a rig's store was cut short while it was in use.",
            where=str(self._store.folder / SIGNALS),
            remedy=self._store.remedy(),
        )
