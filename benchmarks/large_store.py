"""Stores of any size for the benchmarks of reading: one block of noise, numbered, over and over.

    .venv/bin/python benchmarks/large_store.py [--gib 1]

By itself it says how many MB a second `write_store` checks, hashes and writes, split included.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from workflow_src.configuration import Dataset
from workflow_src.data.recordings import Recording
from workflow_src.data.split_files import SplitTable, write_split
from workflow_src.data.splits import make_split
from workflow_src.data.store import Heading, Store, write_store
from workflow_src.limits import MB

RATE_HZ = 12_000.0
FAULTS = ("normal", "inner", "outer")


def recordings(count: int, samples: int, channels: int) -> Iterator[Recording]:
    """`count` recordings (samples, channels), each a specimen of its own."""
    block = np.random.default_rng(0).standard_normal((samples, channels)).astype(np.float32)
    for number in range(count):
        block[0] = number
        yield Recording(
            recording_id=f"r{number}",
            unit_id=f"u{number}",
            condition="c",
            run_id=f"r{number}",
            signal=block,
            channel_kinds=("vibration",) * channels,
            rate_hz=RATE_HZ,
            fault=FAULTS[number % len(FAULTS)],
        )


def dataset(window: int, horizon: int, amplitude: str = "none") -> dict[str, Any]:
    """Keys of a dataset that tests on one specimen in ten, so that most spans train."""
    split = {"strategy": "unit", "test_share": 0.1, "validation": {"strategy": "none"}}
    span = {"window": window, "horizon": horizon}
    return {"rig": "rig", "span": span, "amplitude": amplitude, "split": split}


def write(folder: Path, gib: float, samples: int, channels: int, keys: dict[str, Any]) -> int:
    """Write the store and the split; returns the number of recordings."""
    count = max(30, round(gib * 2**30 / (4 * samples * channels)))
    write_store(recordings(count, samples, channels), folder / "rig", Heading("rig", "made"))
    write_split(split_of(folder, keys), folder / "split")
    return count


def split_of(folder: Path, keys: dict[str, Any]) -> SplitTable:
    """The split of FOLDER/rig that `keys` describe."""
    with Store(folder / "rig") as store:
        return make_split(store.table, Dataset.model_validate(keys), "split")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=1.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        count = write(Path(folder), options.gib, 2**18, 2, dataset(4096, 96))
        seconds = time.perf_counter() - begun
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.*"))
    print(f"{count} recordings, {size / MB:,.0f} MB: {size / MB / seconds:,.0f} MB a second")


if __name__ == "__main__":
    main()
