"""Stores and splits that tests of the audit plant copies in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from numpy.typing import NDArray

from workflow_src.configuration.schema import Dataset, Rig
from workflow_src.data.recordings import Recording
from workflow_src.data.sources.folder import FolderSource
from workflow_src.data.sources.simulated import simulate
from workflow_src.data.split_files import SplitTable
from workflow_src.data.store import Heading, Store, write_store

from ...recordings import RECORDINGS
from ...split_summaries import split_summary

REPOSITORY = Path(__file__).parents[3]
CONFIG = REPOSITORY / "config"
SPAN = 512
Signals = Mapping[str, tuple[str, NDArray[np.float32]]]


def noise(length: int, seed: int, channels: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((length, channels)).astype(np.float32)


def recording(name: str, signal: NDArray[np.float32], **labels: Any) -> Recording:
    return Recording(
        **{
            "recording_id": name,
            "unit_id": name,
            "condition": "c",
            "run_id": name,
            "signal": np.ascontiguousarray(signal, np.float32),
            "channel_kinds": ("vibration",) * signal.shape[1],
            "rate_hz": 1000.0,
            "fault": "normal",
            **labels,
        }
    )


def bench(folder: Path, signals: Signals) -> tuple[Store, SplitTable]:
    """A store of recordings name -> (part, signal (L, C)), and a split that uses them whole."""
    recordings = [recording(name, signal) for name, (_, signal) in signals.items()]
    write_store(recordings, folder, Heading("bench", "test"))
    store = Store(folder)
    channels = next(iter(signals.values()))[1].shape[1]
    parts = {name: part for name, (part, _) in signals.items()}
    return store, whole(store.table, parts, ["vibration"] * channels)


def whole(
    table: pd.DataFrame, parts: Mapping[str, str], kinds: Sequence[str], span: int = SPAN
) -> SplitTable:
    """Spans without a gap over the recordings of `parts`, the last one flush with the end."""
    rows = []
    for row in table[table["recording_id"].isin(list(parts))].itertuples():
        starts = sorted({*range(0, row.length - span + 1, span), row.length - span})
        rows += [(row, start, parts[row.recording_id]) for start in starts]
    return by_hand(rows, kinds, span)


def by_hand(
    rows: Sequence[tuple[Any, int, str]], kinds: Sequence[str], span: int = SPAN
) -> SplitTable:
    """A split of (row of the store's table, start, part) that nothing has proven."""
    names = ["recording_id", "unit_id", "run_id", "condition"]
    made = [{n: getattr(row, n) for n in names} | {"start": s, "part": p} for row, s, p in rows]
    frame = pd.DataFrame(made)
    frame.insert(0, "span", np.arange(len(frame)))
    counts = frame["part"].value_counts()
    spans = {part: int(counts.get(part, 0)) for part in ("train", "val", "test")}
    summary = split_summary(
        dataset="bench", rig="bench", span=span, channel_kinds=list(kinds), spans=spans
    )
    return SplitTable(frame, summary)


def stored(folder: Path, rig: str) -> Store:
    """The store of a shipped rig."""
    keys = yaml.safe_load((CONFIG / "rigs" / f"{rig}.yaml").read_text())
    checked = Rig.model_validate(keys)
    if checked.folder is not None and not (RECORDINGS / checked.folder.path).is_dir():
        pytest.skip("no recordings: set PHM_DATA_ROOT to their folder")
    if checked.simulated is not None:
        write_store(simulate(checked.simulated), folder, Heading(rig, "simulated"))
    else:
        source = FolderSource(checked.folder, RECORDINGS, CONFIG / "rigs")
        write_store(source.recordings(), folder, Heading(rig, "folder"))
    return Store(folder)


def dataset_of(name: str, **split: Any) -> Dataset:
    keys = yaml.safe_load((CONFIG / "datasets" / f"{name}.yaml").read_text())
    keys["split"] = {k: v for k, v in keys["split"].items() if k != "folds"} | split
    return Dataset.model_validate(keys)
