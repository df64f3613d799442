"""Reads spans of a store from the bytes of its file, past HDF5, once HDF5 has verified them."""

from __future__ import annotations

import math
import os
from array import array
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from workflow_src.data.store import SIGNALS, Store
from workflow_src.errors import BadData

_UNKNOWN, _DIRECT, _GENERAL = range(3)
_CHECKSUM_BYTES = 4


class DirectReads:
    """Spans of the recordings of a store, numbered as in `names`.

    The first read of a chunk goes through `Store.read`, where HDF5 verifies its checksum; where it
    lies in the file is kept (8 bytes a chunk of 64 KiB), and from then on its samples are read from
    there. So each process verifies each chunk once. HDF5 takes some 150 us a span, this a few.

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

    def close(self) -> None:
        """Close the file; a later read opens and verifies it again."""
        if self._file is not None and self._opened_by == os.getpid():
            self._file.close()
        self._forget()

    def read(self, recording: int, start: int, out: NDArray[np.float32]) -> None:
        """Samples from `start` on into `out` (n, all channels), C-contiguous.

        Raises what `Store.read` raises, and ``BadData`` where the file has become shorter.
        """
        if self._copied(recording, start, out):
            return
        stop = start + len(out)
        out[:] = self._store.read(self._names[recording], start, stop)
        if self._how[recording] != _GENERAL:
            self._learn(recording, start, stop)

    def _forget(self) -> None:
        self._file: h5py.File | None = None
        self._opened_by = 0
        self._descriptor = -1
        self._nowhere = bytearray(_CHECKSUM_BYTES)
        self._how = bytearray(len(self._names))
        self._rows = array("q", bytes(8 * len(self._names)))  # samples of a chunk; 0: not direct
        self._first = array("q", bytes(8 * len(self._names)))  # place of its first chunk below
        self._offsets = array("q")  # of chunks that are verified, bytes in the file; 0: not yet

    def _copied(self, recording: int, start: int, out: NDArray[np.float32]) -> bool:
        """Copy `out` (n, C) from chunks; False where one is not verified yet.

        Chunks that follow each other in the file take one call; their checksums go nowhere.
        """
        rows, offsets = self._rows[recording], self._offsets
        if not rows or not 0 <= start <= self._shapes[recording][0] - len(out):
            return False
        if self._opened_by != os.getpid():
            self.close()
            return False
        place, skipped = divmod(start, rows)
        place += self._first[recording]
        target, width = out.data.cast("B"), 4 * out.shape[1]
        done, end, skipped, chunk = 0, len(target), width * skipped, width * rows
        while done < end and (offset := offsets[place]):
            size = min(end - done, chunk - skipped)
            pieces: list[memoryview | bytearray] = [target[done : done + size]]
            asked, begin = size, offset + skipped
            done, place, skipped = done + size, place + 1, 0
            while done < end and offsets[place] == offset + chunk + _CHECKSUM_BYTES:
                offset, size = offsets[place], min(end - done, chunk)
                pieces += self._nowhere, target[done : done + size]
                asked += _CHECKSUM_BYTES + size
                done, place = done + size, place + 1
            if os.preadv(self._descriptor, pieces, begin) != asked:
                raise self._cut_short()  # HDF5 would give zeros
        return done == end

    def _learn(self, recording: int, start: int, stop: int) -> None:
        """Keep where the chunks of start..stop-1 lie, which were verified just now."""
        dataset = self._opened()["recordings"][self._names[recording]]
        if self._how[recording] == _UNKNOWN:
            self._how[recording] = _DIRECT if self._is_plain(dataset, recording) else _GENERAL
            if self._how[recording] == _GENERAL:
                return
            self._rows[recording] = dataset.chunks[0]
            self._first[recording] = len(self._offsets)
            self._offsets.frombytes(bytes(8 * math.ceil(dataset.shape[0] / dataset.chunks[0])))
        rows = self._rows[recording]
        for chunk in range(start // rows, (stop - 1) // rows + 1):
            stored = dataset.id.get_chunk_info_by_coord((chunk * rows, 0))
            whole = 4 * rows * dataset.shape[1] + _CHECKSUM_BYTES
            if stored.filter_mask == 0 and stored.size == whole and stored.byte_offset:
                self._offsets[self._first[recording] + chunk] = stored.byte_offset

    def _cut_short(self) -> BadData:
        path = self._store.folder / SIGNALS
        return BadData(
            "A file of a rig's store was cut short while it was in use.",
            where=str(path),
            remedy=f"build it again: snakemake --cores 1 --force {path}",
        )

    def _opened(self) -> h5py.File:
        if self._file is None:
            self._file = h5py.File(self._store.folder / SIGNALS, "r", locking=False)
            self._opened_by = os.getpid()
            self._descriptor = self._file.id.get_vfd_handle()
        return self._file

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
