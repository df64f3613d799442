"""Recordings from files of many formats, found by a pattern or named in a table."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workflow_src.configuration.folder import OWN_FIELDS, FolderOptions
from workflow_src.data.constancy import watched
from workflow_src.data.recordings import Recording
from workflow_src.data.report import DataReport
from workflow_src.data.sources.data_root import below_data_root
from workflow_src.data.sources.folder.content import Content
from workflow_src.data.sources.folder.readers import read_content
from workflow_src.data.sources.folder.stacks import parted
from workflow_src.data.sources.folder.table import Entry, list_entries, number_of
from workflow_src.errors import BadData, UserError

__all__ = ["FolderOptions", "FolderSource"]

_TIMED = 64  # places at which a channel is compared with a clock
RATE_TOLERANCE = 1e-3  # a rate is often rounded; the nearest that are mixed up differ by far more


class FolderSource:
    """The recordings of a folder, one in memory at a time.

    ``files`` (name below the folder -> sha256), ``notes`` and ``report`` grow while ``recordings``
    is read.
    ``data_root`` is None where none is set; ``config_folder`` holds the rig's YAML and table.
    """

    def __init__(self, options: FolderOptions, data_root: Path | None, config_folder: Path) -> None:
        self._options = options
        self._folder = below_data_root(options.path, data_root, f"`path: {options.path}`")
        self._config_folder = config_folder
        self.files: dict[str, str] = {}
        self.notes: list[str] = []
        self.report = DataReport()
        self._stated_rates: set[float] = set()  # of files whose rate the rig does not know

    def recordings(self) -> Iterator[Recording]:
        """The recordings by run, time in life and number of the file.

        Raises ``UserError`` or ``BadData`` naming the file or the line of the rig's table.
        """
        self.files.clear()
        entries, self.notes[:] = list_entries(self._options, self._folder, self._config_folder)
        self._stated_rates.clear()
        self.report.clear()
        for entry in entries:
            for recording in self._read(entry):
                yield watched(recording, self.report)
                del recording  # before the next one is read
        self.notes += self.report.told
        if self._stated_rates:
            stated = ", ".join(f"{rate:g} Hz" for rate in sorted(self._stated_rates))
            self.notes.append(f"rate_hz is `unknown`, but files state it and it was used: {stated}")

    def _read(self, entry: Entry) -> Iterator[Recording]:
        """The recording of a file, or those of the windows that it holds."""
        path = self._folder / entry.file
        if entry.file not in self.files:
            with path.open("rb") as file:
                self.files[entry.file] = hashlib.file_digest(file, "sha256").hexdigest()
        content = read_content(path, entry.array, self._options)
        if self._options.channels is None and self._options.channel_kinds is None:
            _refuse_time(path, content.signal)
        rate_hz = self._rate(entry, content)
        if self._options.stacked is None or self._options.stacked.gaps == "none":
            yield self._recording(entry, content, rate_hz)
            return
        digits = len(str(content.windows - 1))
        for window, own in enumerate(parted(content)):
            name = f"{entry.fields['recording_id']}.w{window:0{digits}d}"
            fields = {**entry.fields, "recording_id": name, "window": str(window)}
            yield self._recording(replace(entry, fields=fields), own, rate_hz)

    def _recording(self, entry: Entry, content: Content, rate_hz: float | None) -> Recording:
        fields = entry.fields
        kinds = self._options.channel_kinds or ("vibration",) * content.signal.shape[1]
        return Recording(
            recording_id=fields["recording_id"],
            unit_id=fields["unit_id"],
            condition=fields["condition"],
            run_id=fields["run_id"],
            signal=content.signal,
            channel_kinds=kinds,
            rate_hz=rate_hz,
            fault=fields.get("fault"),
            time_s=entry.time_s,
            life_s=entry.life_s,
            onset_s=number_of(entry, "onset_s"),
            attributes={
                **{name: text for name, text in fields.items() if name not in OWN_FIELDS},
                "file": entry.file,
            },
        )

    def _declared_rate(self, entry: Entry) -> float | None:
        """The rate that the rig declares, None for ``unknown``."""
        if entry.fields.get("rate_hz", self._options.rate_hz) == "unknown":
            return None
        own = number_of(entry, "rate_hz")
        if own is not None:
            return own
        if isinstance(self._options.rate_hz, float):
            return self._options.rate_hz
        raise UserError(
            "A recording has no sampling rate.",
            where=entry.where,
            remedy="under `folder:` of the rig: `rate_hz: NUMBER` or `rate_hz: unknown`,\n"
            "or a field or a column of the table `rate_hz`",
        )

    def _rate(self, entry: Entry, content: Content) -> float | None:
        declared = self._declared_rate(entry)
        if content.rate_hz is None:
            return declared
        if declared is None:
            self._stated_rates.add(content.rate_hz)
            return content.rate_hz
        if not math.isclose(declared, content.rate_hz, rel_tol=RATE_TOLERANCE):
            raise BadData(
                "The sampling rate contradicts the file.",
                where=str(self._folder / entry.file),
                found=f"{content.rate_hz:g} Hz ({content.rate_place})",
                expected=f"{declared:g} Hz (rate_hz of the rig, {entry.where})",
                remedy=f"if the file is right, under `folder:` of the rig: "
                f"`rate_hz: {content.rate_hz:g}`",
            )
        return declared


def _refuse_time(path: Path, signal: NDArray[np.float32]) -> None:
    """Raise ``BadData`` if a channel that nobody has named rises or falls as evenly as a clock."""
    if len(signal) < _TIMED:
        return
    places = np.linspace(0, len(signal) - 1, _TIMED).round().astype(np.int64)
    looked_at = signal[places].astype(np.float64)  # (_TIMED, C)
    first, last = looked_at[0], looked_at[-1]
    line = first + (last - first) * (places / places[-1])[:, None]  # (_TIMED, C)
    # float32 rounds a value by 6e-8 of it; noise is off by a share of its range.
    off = np.abs(looked_at - line).max(0) / np.maximum(np.abs(last - first), 1e-300)
    even = np.flatnonzero((off < 1e-4) & (np.ptp(looked_at, 0) > 0))
    if len(even):
        column = int(even[0])
        raise BadData(
            "A channel rises or falls evenly from the first sample to the last: the time?",
            where=f"{path}, column {column}",
            found=f"{first[column]:g} to {last[column]:g} in {len(signal)} samples",
            expected="a measured signal in each channel",
            remedy=f"folder:\n  time_column: {column}   # or its name; or, where it is one, say\n"
            f"  channels: {list(range(signal.shape[1]))}   # so",
        )
