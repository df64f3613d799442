"""What is known of a recording without looking at its shape: rate, length, level, offset."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow_src.data.audit.segments import Reader, segments
from workflow_src.data.split_files import SplitTable
from workflow_src.data.store import Store

PIECE_COLUMNS = ("recording_id", "part", "unit_id", "run_id", "fault", "time_s", "life_s")


def pieces(store: Store, split: SplitTable) -> pd.DataFrame:
    """A row for each recording in each part, with its labels and trivial features.

    Columns PIECE_COLUMNS, then ``sampling rate`` (Hz, NaN: unknown), ``length`` (samples of the
    recording) and, for each channel in use, ``RMS``, the log of the deviation of what the part
    uses, and ``offset``, its mean in the rig's unit. One recording is in memory at a time.
    """
    reader = Reader(store, split.summary.channel_kinds)
    table = store.table.set_index("recording_id", drop=False)
    sums: dict[tuple[str, str], list[NDArray[np.float64]]] = {}
    for segment in sorted(segments(split)):
        samples = reader.read(segment).astype(np.float64)  # (C, n)
        sizes = np.full(len(samples), samples.shape[1])
        total, square = samples.sum(1), np.einsum("cn,cn->c", samples, samples)
        sums.setdefault(segment[:2], []).append(np.stack([sizes, total, square]))  # (3, C)
    rows = []
    for (name, part), found in sums.items():
        row: dict[Hashable, str | float] = table.loc[name].to_dict()
        labels = {column: row[column] for column in PIECE_COLUMNS if column != "part"}
        features = {"sampling rate": float(row["rate_hz"]), "length": float(row["length"])}
        rows.append({**labels, "part": part, **features, **_levels(np.sum(found, 0))})
    return pd.DataFrame(rows)


def _levels(sums: NDArray[np.float64]) -> dict[str, float]:
    """RMS and offset by channel of the count, sum and sum of squares (3, C)."""
    count, total, square = sums
    mean = total / count
    power = np.maximum(square / count - mean**2, np.finfo(np.float32).tiny)
    several = len(mean) > 1
    return {
        name + (f" of channel {c}" if several else ""): float(value)
        for name, values in (("RMS", 0.5 * np.log(power)), ("offset", mean))
        for c, value in enumerate(values)
    }
