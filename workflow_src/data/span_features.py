"""Features of all spans of a dataset, as a model sees them: test windows with their noise."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow_src.cells import features_file, rig_folder, split_folder
from workflow_src.configuration import Dataset
from workflow_src.configuration.geometry import Geometry
from workflow_src.data.sink import Sink
from workflow_src.data.split_files import read_split
from workflow_src.data.windows import SpanArrays, SpanReader
from workflow_src.features.autoregression import REFERENCE, ReferenceForecast
from workflow_src.features.energies import log_energies, log_shares
from workflow_src.features.fault_lines import ORDERS, lines_of_channels
from workflow_src.features.fault_orders import orders_by_recording, shaft_hz
from workflow_src.features.shape import shape_features
from workflow_src.features.table import Columns, FeatureTable, Values, write_spans
from workflow_src.files import remove, write_whole

_AT_ONCE = 64  # spans


def prepare_features(
    name: str, part: Mapping[str, Any], before_landing: Callable[[], object] = lambda: None
) -> None:
    """Write `data/<name>/features.h5`.

    ``part`` is what the configuration says decides it beside split and recordings
    (`Configuration.features_part`). No other process may be at it; ``before_landing`` raises if
    one is, after all.
    """
    dataset, path = Dataset.model_validate(part["dataset"]), features_file(name)
    geometry = {rig: Geometry.model_validate(known) for rig, known in part["geometry"].items()}
    split = read_split(split_folder(name))
    sums = split.summary.sha256
    for left in path.parent.glob(f".[0-9]*.{path.name}"):  # by one that was killed
        remove(left)
    with contextlib.closing(SpanReader(rig_folder(dataset.rig), split, dataset)) as reader:
        table = FeatureTable(path, sums.rows if sums else None)
        write_features(table, reader, geometry, before_landing)
    print(f"{len(split.rows)} spans")


def write_features(
    table: FeatureTable,
    reader: SpanReader,
    geometry: Mapping[str, Geometry],
    before_landing: Callable[[], object] = lambda: None,
) -> None:
    """Measure every span of `reader`, a few at a time, and write the file of `table`."""

    def write(temporary: Path) -> None:
        with contextlib.closing(Sink(temporary)) as sink:
            with h5py.File(sink, "w") as file:
                file.attrs["split"] = table.split or ""
                _measure_all(file, reader, geometry)
                sink.raise_failure()
            sink.raise_failure()
        before_landing()

    write_whole(table.path, write)


def _measure_all(file: h5py.File, reader: SpanReader, geometry: Mapping[str, Geometry]) -> None:
    """Training spans first: what is fitted on them forecasts the others."""
    train = reader.rows("train")
    rows = np.concatenate([train, reader.rows("val"), reader.rows("test")])
    lines_of, reference = _lines_of(reader, rows, geometry), ReferenceForecast()
    held = range(len(train), len(rows), _AT_ONCE)
    for start in (*range(0, len(train), _AT_ONCE), *held):
        end = min(start + _AT_ONCE, len(train) if start < len(train) else len(rows))
        spans = reader.read(rows[start:end])
        if start < len(train):
            reference.learn(spans.window)
        columns = _features(spans, lines_of(spans.window, start))
        columns |= {"row": spans.index, "start": reader.frame(spans.index)["start"].to_numpy(float)}
        known = reference.errors(spans.window, spans.horizon) if start >= len(train) else None
        if known is not None:
            columns |= {REFERENCE: known}
        write_spans(file, start, len(rows), columns)


def _lines_of(
    reader: SpanReader, rows: NDArray[np.int64], geometry: Mapping[str, Geometry]
) -> Callable[[NDArray[np.float32], int], Values]:
    """Measures (m, C 2 K) fault lines of windows (m, L, C), those of `rows` from a place on."""
    which, recordings = reader.recordings_of(rows)
    orders = _orders(recordings, geometry)
    rate, turns = recordings["rate_hz"].to_numpy(float), shaft_hz(recordings).to_numpy(float)

    def measure(windows: NDArray[np.float32], start: int) -> Values:
        here = which[start : start + len(windows)].tolist()
        found = [
            lines_of_channels(window, rate[at], turns[at], orders[at])
            for window, at in zip(windows, here, strict=True)
        ]
        return np.stack(found)

    return measure


def _features(spans: SpanArrays, lines: Values) -> dict[str, Columns]:
    """(n, columns) by kind, of n spans and their fault lines."""
    shape = shape_features(spans.window)
    return {
        "age": spans.age[:, None].astype(np.float64),
        "log_amplitude": spans.log_amplitude.astype(np.float64),
        "shape": shape,
        "shares": log_shares(shape),
        "energies": log_energies(spans.window, shape),
        "fault_lines": lines,
    }


def _orders(table: pd.DataFrame, geometry: Mapping[str, Geometry]) -> NDArray[np.float64]:
    """(recordings, ORDERS) of the table, by its own columns or the geometry of its rig."""
    if "rig" in table.columns:  # of a union
        parts = [
            orders_by_recording(part, geometry.get(str(rig))) for rig, part in table.groupby("rig")
        ]
    else:
        parts = [orders_by_recording(table, next(iter(geometry.values()), None))]
    every = pd.concat(parts).reindex(index=table.index, columns=list(ORDERS))
    return every.to_numpy(np.float64)
