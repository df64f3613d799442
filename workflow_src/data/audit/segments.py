"""What the parts of a split use of each recording, and how it is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workflow_src.data.selection import channel_indexes
from workflow_src.data.split_files import SplitTable
from workflow_src.data.store import Store

ORDER = ("train", "val", "test")  # a later part may share nothing with an earlier one


class Segment(NamedTuple):
    """Samples begin..end-1 of a recording, which spans of one part cover without a hole."""

    recording_id: str
    part: str
    begin: int
    end: int


def segments(split: SplitTable) -> list[Segment]:
    """What each part covers of each recording, by part in ``ORDER``, then as in the split."""
    span = split.summary.span
    rows = split.rows[["recording_id", "part", "start"]]
    found = []
    for part in ORDER:
        for name, starts in rows[rows["part"] == part].groupby("recording_id", sort=False)["start"]:
            for begin, end in merged(starts, span):
                found.append(Segment(str(name), part, begin, end))
    return found


def merged(starts: Iterable[int], span: int) -> Iterator[tuple[int, int]]:
    """Begin and end of what spans of one length that begin at `starts` cover."""
    ordered = np.unique(np.fromiter(starts, np.int64))
    new = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - span - 1) > span)
    for first, last in zip(new, [*(new[1:] - 1), len(ordered) - 1], strict=True):
        yield int(ordered[first]), int(ordered[last]) + span


class Reader:
    """Stretches of a store, channels of the `kinds` in use; two recordings are in memory."""

    def __init__(self, store: Store, kinds: Iterable[str]) -> None:
        self._store = store
        wanted = sorted(set(kinds))
        table = store.table.set_index("recording_id")
        self._channels = {
            str(name): channel_indexes(kinds, wanted)
            for name, kinds in table["channel_kinds"].items()
        }
        self._lengths = table["length"]
        self._kept: dict[str, NDArray[np.float32]] = {}

    def channels(self, recording_id: str) -> list[int]:
        """The channels in use of a recording, by their place in the store."""
        return self._channels[recording_id]

    def read(self, segment: Segment) -> NDArray[np.float32]:
        """The samples of `segment`, (C, end - begin): each channel lies in one piece."""
        name = segment.recording_id
        whole = self._kept.pop(name, None)
        if whole is None:
            whole = self._store.read(name, 0, int(self._lengths[name]))
            whole = np.ascontiguousarray(whole[:, self._channels[name]].T)  # (C, L)
        self._kept = {**dict(list(self._kept.items())[-1:]), name: whole}
        return whole[:, segment.begin : segment.end]
