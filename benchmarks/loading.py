"""Windows a second that the reader gives, against a memory-mapped file of the same samples.

    .venv/bin/python benchmarks/loading.py [--gib 1] [--spans 6400] [--rounds 7] [--folder DIR]

Spans in random order, in batches of 64, one thread; each way fills a fresh array a batch. Ways:

mmap      a flat float32 file, memory-mapped: no format, no check, no labels. The limit.
pread     the same file by `pread`: what a read without a mapping costs at least.
HDF5      `Store.read` for each span: what every read cost before chunks were read directly.
reader    `SpanReader.read` without a cache: labels and all, chunks verified in an earlier round.
kept      the same with a cache that holds every recording.
absolute  `reader` with the log amplitude of each window, as `amplitude: absolute` (the default)
          asks.

Rounds go through all ways in turns; rates are medians, shares are medians of those within a round.
`cold` is one pass with the files' pages dropped from the page cache before it; `first` is the first
pass of a fresh reader, which verifies each chunk, with the pages there.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import large_store
import numpy as np
from numpy.typing import NDArray

from workflow_src.configuration import Dataset
from workflow_src.data.split_files import SplitTable
from workflow_src.data.store import SIGNALS, Store
from workflow_src.data.windows import SpanReader

BATCH = 64
Way = Callable[[NDArray[np.int64]], object]


class Bench:
    """A store, the flat file of the same samples, and every way to read its spans."""

    def __init__(self, folder: Path, gib: float, samples: int, window: int, channels: int) -> None:
        keys = large_store.dataset(window, 96)
        self.folder, self.channels, self.span = folder, channels, window + 96
        self.count = large_store.write(folder, gib, samples, channels, keys)
        self.split = large_store.split_of(folder, keys)
        self.store = Store(folder / "rig")
        self.flat = folder / "flat.f32"
        with self.flat.open("wb") as file:
            for made in large_store.recordings(self.count, samples, channels):
                made.signal.tofile(file)
            os.fsync(file.fileno())
        rows = self.split.rows
        self.names, self.starts = rows["recording_id"].tolist(), rows["start"].to_numpy()
        number = rows["recording_id"].str[1:].astype(int).to_numpy()
        self.places = number * samples + self.starts  # of each span in the flat file, samples
        self.descriptor = os.open(self.flat, os.O_RDONLY)

    def close(self) -> None:
        self.store.close()
        os.close(self.descriptor)

    def reader(self, cache_mb: int, amplitude: str = "none") -> SpanReader:
        keys = large_store.dataset(self.span - 96, 96, amplitude)
        split = SplitTable(self.split.rows, self.split.summary)
        return SpanReader(
            self.folder / "rig", split, Dataset.model_validate(keys), cache_mb=cache_mb
        )

    def _empty(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.empty((len(rows), self.span, self.channels), np.float32)  # (n, L + H, C)

    def mapped(self) -> Way:
        whole = np.asarray(np.memmap(self.flat, np.float32, "r")).reshape(-1, self.channels)

        def read(rows: NDArray[np.int64]) -> None:
            out = self._empty(rows)
            for i, place in enumerate(self.places[rows].tolist()):
                out[i] = whole[place : place + self.span]

        return read

    def pread(self, rows: NDArray[np.int64]) -> None:
        out = self._empty(rows)
        for span, place in zip(out, (4 * self.channels * self.places[rows]).tolist(), strict=True):
            os.preadv(self.descriptor, (span,), place)

    def hdf5(self, rows: NDArray[np.int64]) -> None:
        out = self._empty(rows)
        for i, row in enumerate(rows):
            start = int(self.starts[row])
            out[i] = self.store.read(self.names[row], start, start + self.span)

    def dropped(self) -> None:
        """Drop the pages of both files, which are clean, from the page cache."""
        for path in (self.flat, self.folder / "rig" / SIGNALS):
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def rate(way: Way, rows: NDArray[np.int64]) -> float:
    """Spans a second."""
    begun = time.perf_counter()
    for first in range(0, len(rows), BATCH):
        way(rows[first : first + BATCH])
    return len(rows) / (time.perf_counter() - begun)


def measure(bench: Bench, options: argparse.Namespace) -> None:
    """Print a line a way."""
    count = len(bench.split.rows)
    rows = np.random.default_rng(1).permutation(count)[: options.spans]
    ways: dict[str, Callable[[], Way]] = {
        "mmap": bench.mapped,
        "pread": lambda: bench.pread,
        "HDF5": lambda: bench.hdf5,
        "reader": lambda: bench.reader(0).read,
        "kept": lambda: bench.reader(10**6).read,
        "absolute": lambda: bench.reader(0, "absolute").read,
    }
    cold, first = {}, {}
    for name, make in ways.items():
        bench.dropped()
        cold[name] = rate(make(), rows)  # which goes at once: pages that are mapped stay
    warm = {name: make() for name, make in ways.items()}
    for name, way in warm.items():
        first[name] = rate(way, rows)  # what is verified and kept, is so from here on
    rounds = [{name: rate(way, rows) for name, way in warm.items()} for _ in range(options.rounds)]
    for name in ways:
        rates = [cold[name], first[name], statistics.median(one[name] for one in rounds)]
        shares = [
            100 * statistics.median(one[name] / one[limit] for one in rounds)
            for limit in ("mmap", "pread")
        ]
        shown = [f"{rate:>10,.0f}" for rate in rates] + [f"{share:>8.0f} %" for share in shares]
        print(f"{bench.span - 96:>6} x {bench.channels} {name:<9}" + "".join(shown))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=1.0)
    parser.add_argument("--spans", type=int, default=6400)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--samples", type=int, default=2**18, help="of a recording")
    parser.add_argument("--folder", type=Path, help="for the files, which are removed afterwards")
    options = parser.parse_args()
    columns = ("cold /s", "first /s", "warm /s", "of mmap", "of pread")
    print(f"{'window':<19}" + "".join(f"{name:>10}" for name in columns))
    for window, channels in ((4096, 2), (2048, 1)):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            bench = Bench(Path(folder), options.gib, options.samples, window, channels)
            measure(bench, options)
            bench.close()


if __name__ == "__main__":
    main()
