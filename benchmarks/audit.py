"""What the search for shared content takes: seconds, memory, and what it must read at least.

    python benchmarks/audit.py [--megabytes 200] [--share 0.3]

Noise in recordings of 4 MB, a share of them held out; two copies are planted. The floor is the time
to read every sample once from the store: no search for content can do with less. Nothing is
asserted.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

from workflow_src.artifacts.split_summary import SplitSummary  # noqa: E402
from workflow_src.data.audit.leaks import search  # noqa: E402
from workflow_src.data.recordings import Recording  # noqa: E402
from workflow_src.data.split_files import SplitTable  # noqa: E402
from workflow_src.data.store import Heading, Store, write_store  # noqa: E402

LENGTH, SPAN = 1_000_000, 2144


def recordings(count: int) -> Iterator[Recording]:
    """`count` recordings; the last two are the first, backwards and 17 samples later."""
    first = None
    for i in range(count):
        signal = np.random.default_rng(i).standard_normal((LENGTH, 1)).astype(np.float32)
        first = signal if first is None else first
        if i == count - 2:
            signal = first[::-1].copy()
        if i == count - 1:
            signal = np.concatenate([signal[:17], first[:-17]])
        yield Recording(f"r{i}", f"u{i}", "c", f"r{i}", signal, ("vibration",), 1000.0, "normal")


def split(count: int, share: float) -> SplitTable:
    """The last `share` of the recordings is held out; spans lie side by side."""
    starts = np.arange(0, LENGTH - SPAN + 1, SPAN)
    parts = ["test" if i >= count * (1 - share) else "train" for i in range(count)]
    rows = pd.DataFrame(
        {
            "recording_id": np.repeat([f"r{i}" for i in range(count)], len(starts)),
            "start": np.tile(starts, count),
            "part": np.repeat(parts, len(starts)),
        }
    )
    return SplitTable(rows, SplitSummary.model_construct(span=SPAN, channel_kinds=("vibration",)))


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--share", type=float, default=0.3)
    options = parser.parse_args()
    count = max(2, round(options.megabytes * 1e6 / 4 / LENGTH))
    table = split(count, options.share)
    with tempfile.TemporaryDirectory() as folder:
        write_store(recordings(count), Path(folder), Heading("noise", "noise"))
        with Store(Path(folder)) as store:
            begun = time.perf_counter()
            for name in store.table["recording_id"]:
                store.read(name, 0, LENGTH)
            reading, before = time.perf_counter() - begun, peak_mb()
            begun, worked = time.perf_counter(), time.process_time()
            found = search(store, table).found
            taken, after = time.perf_counter() - begun, peak_mb()
            worked = time.process_time() - worked
    samples = count * LENGTH
    print(f"{samples / 1e6:g} million samples, {100 * options.share:g} % held out")
    print(
        f"  reading alone     {reading:6.2f} s   {samples / reading / 1e6:6.0f} million samples/s"
    )
    print(f"  reading, hashing  {taken:6.2f} s   {samples / taken / 1e6:6.0f} million samples/s")
    print(f"  of these, at work {worked:6.2f} s   {1e9 * worked / samples:6.0f} ns a sample")
    print(f"  memory beyond that of reading   {after - before:6.0f} MB")
    for one in found:
        names = f"{one.earlier.recording_id} in {one.held.recording_id}"
        print(f"  found {one.length} samples of {names}, {one.shift:+d}, ratio {one.ratio:g}")


if __name__ == "__main__":
    main()
