"""Reads the spans of a split as arrays, with their labels, in bounded memory."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from workflow_src.configuration.schema import Dataset
from workflow_src.data.augmentation import Augmenter
from workflow_src.data.chunk_reader import ChunkReader, Whole
from workflow_src.data.label_support import PARTS
from workflow_src.data.noise import add_noise, deviation
from workflow_src.data.recordings import NORMAL
from workflow_src.data.selection import channel_indexes
from workflow_src.data.split_files import SplitTable
from workflow_src.data.store import Store
from workflow_src.errors import BadData, UserError
from workflow_src.predictions import SPAN_COLUMNS

Floats = NDArray[np.float32]
_REFERENCE_SPANS = 2048  # evenly spaced training spans behind the `absolute` statistics
_FIRST_RECORDINGS = 3  # snapshots behind the `relative` amplitude
_SILENCE = 1e-4  # 80 dB below the usual deviation: what a constant window is taken for


@dataclass(frozen=True)
class SpanLabels:
    """What n spans bear, masked where a span bears none; the field names are those of a batch."""

    fault: NDArray[np.int64]  # (n,), index into the classes, -1: none
    anomaly: Floats  # (n,), 0 healthy, 1 not, NaN: none
    rul: Floats  # (n,), fraction of life left, NaN: none
    age: Floats  # (n,), time in life over the mean training life, NaN: unknown
    time_s: NDArray[np.float64]  # (n,), time in life at the span's first sample, NaN: unknown


@dataclass(frozen=True)
class SpanArrays(SpanLabels):
    """The signals of n spans beside their labels."""

    window: Floats  # (n, L, C), in the rig's unit
    horizon: Floats  # (n, H, C)
    log_amplitude: Floats  # (n, C), log of the window's deviation, as the dataset's `amplitude`
    index: NDArray[np.int64]  # (n,), row of the span in the split


class SpanReader:
    """Reads spans of the store in `store_folder` by their row in `split`.

    What a row holds depends on nothing but the store, the split and the keys ``channel_kinds``,
    ``amplitude`` and ``test_noise_db`` of `dataset`: not on the order of reading, on other rows
    or on the process. May be pickled; a copy opens the store anew and starts with an empty cache.

    At most `cache_mb` of recordings are kept, those that came first: kept ones never make room
    for others. With spans in random order this hits as often as any other rule and, unlike the
    least recently used, never reads a whole recording for one span of it over and over.
    """

    def __init__(
        self, store_folder: Path, split: SplitTable, dataset: Dataset, cache_mb: int = 256
    ) -> None:
        self._store = Store(store_folder)
        self._noise_db = dataset.test_noise_db
        self._amplitude = dataset.amplitude
        self._rig, self._mean_life_s = split.summary.rig, split.summary.mean_training_life_s
        self._length, self._span = split.summary.window, split.summary.span
        # Nine bytes a span, (spans,) each: of a large rig there are millions.
        self._starts = compact(split.rows["start"].to_numpy(np.int64))
        self._parts = pd.Categorical(split.rows["part"], categories=PARTS).codes  # int8
        self._which, self._recordings = self._recordings_of(split, store_folder)
        names = [str(name) for name in self._recordings["recording_id"]]
        shapes = self._recordings[["length", "channels"]].to_numpy(np.int64).tolist()
        self._names, self._shapes = names, [(length, channels) for length, channels in shapes]
        self._signals = ChunkReader(self._store, names, self._shapes)
        self._channels = [
            _all_or(channel_indexes(kinds, dataset.channel_kinds), kinds.count("|") + 1)
            for kinds in self._recordings["channel_kinds"]
        ]
        self._whole = np.array([chosen is None for chosen in self._channels])
        self.channels = split.summary.channels
        self._bytes = 4 * self.channels * self._recordings["length"].to_numpy(np.int64)
        self.classes = split.summary.classes
        self._label()
        self._capacity = cache_mb * 2**20
        self._cache: dict[int, Floats] = {}
        self._cached_bytes = 0
        self._references: dict[tuple[str, int], NDArray[np.float64]] = {}
        self._floor: NDArray[np.float64] = np.zeros(self.channels)
        self._scale: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
        if self._amplitude != "none":
            self._measure_amplitude()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cache": {}, "_cached_bytes": 0}

    def close(self) -> None:
        """Close the store and let go of the cache; a later read opens it again."""
        self._signals.close()
        self._store.close()
        self._cache, self._cached_bytes = {}, 0

    @property
    def kept_bytes(self) -> int:
        """Bytes of recordings that are kept now."""
        return self._cached_bytes

    def shrink_cache(self) -> None:
        """Let go of the cache, and keep no recording from now on."""
        self._cache, self._cached_bytes, self._capacity = {}, 0, 0

    def rows(self, part: str) -> NDArray[np.int64]:
        """The rows of the spans of a part (train, val, test), in the order of the split."""
        return np.flatnonzero(self._parts == PARTS.index(part))

    def read(
        self,
        rows: ArrayLike,
        augmentation: Augmenter | None = None,
        times: Sequence[int] | Whole = (),
    ) -> SpanArrays:
        """The spans of `rows` (n,), in that order.

        With an `augmentation` each is changed, as its row and the number in `times` (n,) say; a
        span that starts earlier or later bears the labels of where it starts.
        """
        index = np.asarray(rows, dtype=np.int64)
        which, starts = self._which[index], self._starts[index].astype(np.int64)
        if augmentation is not None and augmentation.shift:
            starts += augmentation.moves(index, times, *self.room(index))
        spans = self._read_spans(index, starts)  # (n, L + H, C)
        if augmentation is not None:
            for row, time, span in zip(index.tolist(), times, spans, strict=True):
                augmentation.change(row, int(time), span, self._length)
        window = spans[:, : self._length]  # (n, L, C)
        return SpanArrays(
            **vars(self._labels(which, starts)),
            window=window,
            horizon=spans[:, self._length :],  # (n, H, C)
            log_amplitude=self._log_amplitude(index, window),
            index=index,
        )

    def labels(self, rows: ArrayLike) -> SpanLabels:
        """What the spans of `rows` (n,) bear, in that order; no signal is read."""
        index = np.asarray(rows, dtype=np.int64)
        return self._labels(self._which[index], self._starts[index].astype(np.int64))

    def frame(self, rows: ArrayLike) -> pd.DataFrame:
        """What a predictions file says of the spans of `rows`: the columns SPAN_COLUMNS."""
        index = np.asarray(rows, dtype=np.int64)
        which, starts = self._which[index], self._starts[index].astype(np.int64)
        kept = self._recordings.columns.intersection(list(SPAN_COLUMNS))
        frame = self._recordings[kept].iloc[which].reset_index(drop=True)
        frame = frame.assign(
            rig=frame.get("rig", self._rig),  # of a union: where it comes from
            part=np.array(PARTS)[self._parts[index]],
            start=starts,
            time_s=self._time_s(which, starts),
        )
        return frame[list(SPAN_COLUMNS)]

    def recordings_of(self, rows: ArrayLike) -> tuple[NDArray[np.int32], pd.DataFrame]:
        """For each span of `rows` (n,) the place of its recording in the store's table, and that
        table of the recordings in use."""
        return self._which[np.asarray(rows, dtype=np.int64)], self._recordings

    def room(self, rows: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """How many samples earlier, how many later the spans of `rows` may start, (n,) each.

        There they still lie between the first and the last sample that spans of the same part have
        in the same recording. Raises ``UserError`` where another part has samples in between.
        """
        index = np.asarray(rows, dtype=np.int64)
        first, last = self._hulls
        which, part, starts = self._which[index], self._parts[index], self._starts[index]
        return starts - first[which, part], last[which, part] - starts

    @cached_property
    def _hulls(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The first and the last start of each part in each recording, (recordings, 3) each."""
        shape = len(self._names), len(PARTS)
        first, last = np.full(shape, np.iinfo(np.int64).max), np.full(shape, -1)
        np.minimum.at(first, (self._which, self._parts), self._starts)
        np.maximum.at(last, (self._which, self._parts), self._starts)
        for one, two in combinations(range(len(PARTS)), 2):
            apart = (last[:, one] + self._span <= first[:, two]) | (
                last[:, two] + self._span <= first[:, one]
            )
            meet = np.flatnonzero(~apart & (last[:, one] >= 0) & (last[:, two] >= 0))
            if len(meet):
                raise UserError(
                    "Spans cannot be shifted: parts of a recording lie between one another.",
                    where=f"recording {self._names[meet[0]]!r}, {len(meet)} in all",
                    found=f"{PARTS[one]} and {PARTS[two]}",
                    remedy="training:\n  augmentation: {shift: 0}",
                )
        return first, last

    # --------------------------------------------------------------------------- labels

    def _recordings_of(
        self, split: SplitTable, folder: Path
    ) -> tuple[NDArray[np.int32], pd.DataFrame]:
        """For each row the place of its recording in the table of those in use, and that table."""
        which, names = pd.factorize(split.rows["recording_id"])
        # Of another store, which is let go: ours would keep the whole table.
        table = Store(folder).table.set_index("recording_id", drop=False)
        ends = split.rows["start"].groupby(which).max() + self._span  # in the order of `names`
        lengths = table["length"].reindex(list(names), fill_value=0).to_numpy()
        for name, end, length in zip(names, ends, lengths, strict=True):
            if end > length:
                raise BadData(
                    "A split does not fit the store.",
                    where=f"{folder}, recording {name!r}",
                    found=f"{length} samples" if length else "no such recording",
                    expected=f"at least {end} samples",
                    remedy="make the split again: remove split.csv and split.json of the dataset",
                )
        return which.astype(np.int32), table.loc[list(names)].reset_index(drop=True)

    def _label(self) -> None:
        """Class, anomaly and times of each recording, (recordings,) each."""
        faults = self._recordings["fault"]
        codes = {name: i for i, name in enumerate(self.classes)}
        self._fault = np.array([codes.get(fault, -1) for fault in faults], np.int64)
        self._anomaly = np.array(
            [float(fault != NORMAL) if fault else np.nan for fault in faults], np.float32
        )
        rate, time, life = (
            self._recordings[name].to_numpy(np.float64) for name in ("rate_hz", "time_s", "life_s")
        )
        self._period_s = np.where(np.isfinite(rate), 1 / rate, 0.0)  # unknown rate: its start
        self._begins, self._lives = time, life

    def _labels(self, which: NDArray[np.int32], starts: NDArray[np.int64]) -> SpanLabels:
        time_s = self._time_s(which, starts)
        return SpanLabels(
            fault=self._fault[which],
            anomaly=self._anomaly[which],
            rul=np.clip(1 - time_s / self._lives[which], 0, 1).astype(np.float32),
            age=(time_s / (self._mean_life_s or np.nan)).astype(np.float32),
            time_s=time_s,
        )

    def _time_s(self, which: NDArray[np.int32], starts: NDArray[np.int64]) -> NDArray[np.float64]:
        time: NDArray[np.float64] = self._begins[which] + starts * self._period_s[which]
        return time

    # --------------------------------------------------------------------------- signals

    def _read_spans(
        self, index: NDArray[np.int64], moved: NDArray[np.int64] | None = None
    ) -> Floats:
        """Spans (n, L + H, C) of `index` (n,), or from `moved` on; in the test part with noise."""
        starts = self._starts[index].astype(np.int64) if moved is None else moved
        which, kept, left = self._which[index], self._cache, []
        spans = np.empty((len(index), self._span, self.channels), np.float32)
        for i, (number, start) in enumerate(zip(which.tolist(), starts.tolist(), strict=True)):
            if number in kept:
                spans[i] = kept[number][start : start + self._span]
            else:
                left.append(i)
        if left:
            self._read_left(np.array(left), which, starts, spans)
        if self._noise_db is not None:
            for test in np.flatnonzero(self._parts[index] == PARTS.index("test")):
                self._add_noise(which[test], int(starts[test]), spans[test, : self._length])
        return spans

    def _read_left(
        self,
        left: NDArray[np.int64],
        which: NDArray[np.int32],
        starts: NDArray[np.int64],
        spans: Floats,
    ) -> None:
        """Those of `spans` (n, L + H, C) that no kept recording holds; what fits is kept now."""
        fits = self._bytes[which[left]] <= self._capacity - self._cached_bytes
        by_itself = fits | ~self._whole[which[left]]
        for i in left[by_itself].tolist():
            number, start = int(which[i]), int(starts[i])
            recording = self._cached(number)
            if recording is not None:
                spans[i] = recording[start : start + self._span]
            else:
                self._copy(number, start, spans[i])
        left = left[~by_itself]
        self._signals.read_spans(which[left], starts[left], spans, left)

    def _copy(self, which: int, start: int, out: Floats) -> None:
        """Samples of the channels in use from `start` on into `out` (n, C)."""
        chosen = self._channels[which]
        if chosen is None:
            self._signals.read(which, start, out)
            return
        samples = np.empty((len(out), self._shapes[which][1]), np.float32)  # (n, all channels)
        self._signals.read(which, start, samples)
        out[:] = samples[:, chosen]

    def _cached(self, which: int) -> Floats | None:
        """A recording (length, C), kept while there is room; else None."""
        if which in self._cache:
            return self._cache[which]
        length = self._shapes[which][0]
        used = int(self._bytes[which])
        if self._cached_bytes + used > self._capacity:
            return None
        samples = np.empty((length, self.channels), np.float32)
        self._copy(which, 0, samples)
        self._cache[which] = samples
        self._cached_bytes += used
        return samples

    def _add_noise(self, which: int, start: int, window: Floats) -> None:
        """White noise on `window` (L, C), a share of each channel's deviation, drawn by name."""
        assert self._noise_db is not None
        words = np.frombuffer(hashlib.sha256(self._names[which].encode()).digest(), np.uint32)
        add_noise(window, self._noise_db, np.random.default_rng([*words.tolist(), start]))

    # --------------------------------------------------------------------------- amplitude

    def _measure_amplitude(self) -> None:
        """Floor, mean and deviation of the log amplitude over training spans, (C,) each."""
        train = self.rows("train")
        count = min(len(train), _REFERENCE_SPANS)
        chosen = train[np.linspace(0, len(train) - 1, count).round().astype(np.int64)]
        deviations = np.empty((count, self.channels))
        for i in range(count):
            deviations[i] = deviation(self._read_spans(chosen[i : i + 1])[:, : self._length])[0]
        heard = [channel[channel > 0] for channel in deviations.T]
        self._floor = np.array([_SILENCE * (np.median(c) if len(c) else 1.0) for c in heard])
        logs = self._log(deviations)  # (count, C)
        spread = logs.std(0)
        self._scale = logs.mean(0), np.where(spread > 1e-6, spread, 1.0)

    def _log(self, deviation: NDArray[np.float64]) -> NDArray[np.float64]:
        logs: NDArray[np.float64] = np.log(np.maximum(deviation, self._floor))
        return logs

    def _log_amplitude(self, index: NDArray[np.int64], window: Floats) -> Floats:
        """(n, C) of windows (n, L, C): zeros, standardised, or less the unit's first ones."""
        if self._scale is None:
            return np.zeros((len(index), self.channels), np.float32)
        logs = self._log(deviation(window))  # (n, C)
        if self._amplitude == "absolute":
            mean, spread = self._scale
            logs -= mean
            logs /= spread
            return logs.astype(np.float32)
        units = self._recordings["unit_id"].to_numpy()[self._which[index]]
        keys = zip(units, self._parts[index].tolist(), strict=True)
        for i, (unit, part) in enumerate(keys):
            logs[i] -= self._reference(unit, part)
        return logs.astype(np.float32)

    def _reference(self, unit: str, part: int) -> NDArray[np.float64]:
        """Mean log amplitude (C,) of the first span of a unit's first recordings in a part.

        Within the part, so that no statistic of a test span is in training.
        """
        key = (str(unit), part)
        if key not in self._references:
            rows = np.flatnonzero(
                (self._recordings["unit_id"].to_numpy()[self._which] == unit)
                & (self._parts == part)
            )
            order = np.lexsort((rows, self._begins[self._which[rows]]))  # NaN last: by row
            _, places = np.unique(self._which[rows[order]], return_index=True)
            first = rows[order][np.sort(places)[:_FIRST_RECORDINGS]]
            windows = self._read_spans(first)[:, : self._length]
            self._references[key] = self._log(deviation(windows)).mean(0)
        return self._references[key]


def compact(numbers: Whole) -> Whole:
    """The same whole numbers (n,), in four bytes each where they fit."""
    fits = numbers.max(initial=0) <= np.iinfo(np.int32).max
    return numbers.astype(np.int32) if fits else numbers


def _all_or(chosen: list[int], count: int) -> list[int] | None:
    """None where `chosen` is all of `count` channels in their order."""
    return None if chosen == list(range(count)) else chosen
