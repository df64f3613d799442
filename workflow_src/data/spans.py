"""Where the spans of each recording begin: blocks, gaps between them, strides and caps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow_src.configuration.schema import Dataset
from workflow_src.configuration.validation_errors import as_yaml
from workflow_src.data.disjointness import along_runs
from workflow_src.errors import BadData

Block = tuple[int, int, str]  # begin, end (samples, the end not included) and part


def place_spans(
    used: pd.DataFrame,
    dataset: Dataset,
    parts: Mapping[str, str],
    laid: Mapping[str, list[Block]],
    strategies: tuple[str, str],
    where: str,
) -> pd.DataFrame:
    """A row a span, by recording and start.

    `strategies` are those of test and validation; `laid` holds the blocks of recordings that are
    laid out already. Raises ``BadData`` for a recording too short for its blocks.
    """
    span = dataset.span.window + dataset.span.horizon
    last = along_runs(used)["last"]
    starts, names, recordings = [], [], []
    for i, (recording, length) in enumerate(zip(used["recording_id"], used["length"], strict=True)):
        if recording in laid and length < span:
            raise _too_short(recording, length, span, 0, dataset, [], where)
        cuts = _cuts(parts[recording], dataset, strategies)
        blocks = laid.get(recording) or _blocks(
            recording, length, parts[recording], cuts, last[recording], dataset, where
        )
        for part, first in _starts(blocks, span, dataset).items():
            starts.append(first)
            names += [part] * len(first)
            recordings += [i] * len(first)
    rows = used[["recording_id", "unit_id", "run_id", "condition"]].iloc[recordings]
    rows = rows.assign(start=np.concatenate(starts), part=names).reset_index(drop=True)
    rows.insert(0, "span", np.arange(len(rows)))
    return rows


def _starts(blocks: list[Block], span: int, dataset: Dataset) -> dict[str, NDArray[np.int64]]:
    """Of each part the starts of its spans, a stride apart within a block, capped in all."""
    stride, most = dataset.span.stride or span, dataset.span.per_recording
    by_part: dict[str, list[NDArray[np.int64]]] = {}
    for begin, end, part in blocks:
        by_part.setdefault(part, []).append(np.arange(begin, end - span + 1, stride))
    found = {}
    for part, pieces in by_part.items():
        first = np.concatenate(pieces)
        if most is not None and len(first) > most:
            first = first[np.linspace(0, len(first) - 1, most).round().astype(np.int64)]
        found[part] = first
    return found


def _cuts(part: str, dataset: Dataset, strategies: tuple[str, str]) -> list[tuple[str, float]]:
    """The blocks to cut from the end of a recording of `part`, last first, and their shares."""
    split = dataset.split
    cuts = [("test", split.test_share)] if strategies[0] == "time_block" else []
    if strategies[1] == "time_block" and part == "train":
        cuts.append(("val", split.validation.share))
    return cuts


def _blocks(
    recording: str,
    length: int,
    part: str,
    cuts: list[tuple[str, float]],
    last: bool,
    dataset: Dataset,
    where: str,
) -> list[Block]:
    """Begin, end and part of a recording's blocks: `part`, then, where time is cut, val and test.

    Between two lie span + `gap` samples, and as many after the last one unless the recording is
    the `last` of its run: the next may go on where it ends. Each block holds at least one span.
    """
    span = dataset.span.window + dataset.span.horizon
    gap = span + dataset.split.gap
    left_out = gap if cuts and not last else 0
    least = span + len(cuts) * (span + gap)
    if length < least + left_out:
        names = [cut for cut, _ in cuts]
        raise _too_short(recording, length, least, left_out, dataset, names, where)
    blocks, end = [], length - left_out
    for cut, share in cuts:
        least -= span + gap  # what the blocks before this one need
        size = min(max(round(share * (end - gap)), span), end - gap - least)
        blocks.append((end - size, end, cut))
        end -= size + gap
    return [(0, end, part), *reversed(blocks)]


def _too_short(
    recording: str,
    length: int,
    least: int,
    left_out: int,
    dataset: Dataset,
    cuts: list[str],
    where: str,
) -> BadData:
    window, horizon = dataset.span.window, dataset.span.horizon
    if length < window + horizon:
        shorter = min(horizon, max(1, length // 8))
        remedy = as_yaml(("span",), {"window": max(length - shorter, 2), "horizon": shorter})
        what, needed = "is shorter than a span", f"window {window} + horizon {horizon}"
        least, left_out = window + horizon, 0
    else:
        whole = {"validation": {"strategy": "run"}} if "val" in cuts else {}
        keys = {"strategy": "run"} | whole if "test" in cuts else whole
        remedy = as_yaml(("split",), keys) + "\nor a shorter window under `span:`"
        what, gap = "is too short to be cut into time blocks", window + horizon + dataset.split.gap
        needed = f"a span in train, {' and '.join(cuts)}, and {gap} samples between two blocks"
        needed += " and before the next recording of the run" if left_out else ""
    return BadData(
        f"A recording {what}.",
        where=f"{where}, recording {recording!r}",
        found=f"{length} samples",
        expected=f"at least {least + left_out}: {needed}",
        remedy=remedy + "\nor leave it out by `select:`",
    )
