"""Windows drawn at random into the parts, overlaps and all: what a split must not be."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow_src.artifacts.split_summary import LeakyWindows
from workflow_src.configuration.schema import Split

LEAKY = "leaky"  # stands where a strength would


def draw_windows(rows: pd.DataFrame, split: Split) -> pd.DataFrame:
    """`rows` (a row a span) with ``part`` drawn anew, the shares kept within each recording.

    The draw depends on the seed and the recording's name, not on the order of the rows.
    """
    validation = split.validation.share if split.validation.strategy != "none" else 0.0
    parts = np.full(len(rows), "train", dtype=object)
    for name, places in rows.groupby("recording_id", sort=False).indices.items():
        words = np.frombuffer(hashlib.sha256(str(name).encode()).digest(), np.uint32)
        order = np.random.default_rng([split.seed, *words.tolist()]).permutation(places)
        test = round(split.test_share * len(order))
        held = test + round(validation * (len(order) - test))
        parts[order[:test]] = "test"
        parts[order[test:held]] = "val"
    return rows.assign(part=parts)


def leak(rows: pd.DataFrame, span_length: int) -> LeakyWindows:
    """The test windows that share samples with training or validation."""
    is_test = (rows["part"] == "test").to_numpy()
    sharing = 0
    for places in rows.groupby("recording_id", sort=False).indices.values():
        starts, test = rows["start"].to_numpy(np.int64)[places], is_test[places]
        sharing += int((_distance(starts[test], np.sort(starts[~test])) < span_length).sum())
    return LeakyWindows(test_windows=int(is_test.sum()), sharing_samples=sharing)


def _distance(starts: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.float64]:
    """From each of `starts` (n,) to the nearest of the sorted `others` (m,), inf if m is 0."""
    framed = np.concatenate([[-np.inf], others, [np.inf]])  # (m + 2,)
    after = np.searchsorted(framed, starts)  # (n,), the first that is not smaller
    nearest: NDArray[np.float64] = np.minimum(framed[after] - starts, starts - framed[after - 1])
    return nearest
