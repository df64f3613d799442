"""Recordings from files of many formats, found by a pattern or named in a table."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workflow_src.configuration.folder import OWN_FIELDS, FolderOptions, Lookup
from workflow_src.configuration.patterns import template_names
from workflow_src.configuration.validation_errors import as_yaml
from workflow_src.data.constancy import watched
from workflow_src.data.recordings import Recording
from workflow_src.data.report import DataReport
from workflow_src.data.source import Context, Provenance
from workflow_src.data.sources.data_root import below_data_root
from workflow_src.data.sources.folder.clock import STEP_TOLERANCE
from workflow_src.data.sources.folder.content import Content
from workflow_src.data.sources.folder.misread import Misread
from workflow_src.data.sources.folder.rates import Declared, rate_of_recording
from workflow_src.data.sources.folder.readers import read_content
from workflow_src.data.sources.folder.stacks import parted
from workflow_src.data.sources.folder.table import ListedFile, list_entries, number_of
from workflow_src.data.sources.plausible import plausible
from workflow_src.data.stacked import STACKED_IN
from workflow_src.errors import UserError

_TIMED = 64  # places at which a channel is compared with a clock


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
        self._guessed: dict[str, list[str]] = {}  # files by what was guessed of them

    def recordings(self) -> Iterator[Recording]:
        """The recordings by run, time in life and number of the file.

        Raises ``UserError`` or ``BadData`` naming the file or the line of the rig's table.
        """
        self.files.clear()
        entries, self.notes[:] = list_entries(self._options, self._folder, self._config_folder)
        self._stated_rates.clear()
        if isinstance(self._options.rate_hz, float) and not plausible(self._options.rate_hz):
            self.notes.append(f"rate_hz is {self._options.rate_hz:g} Hz, by the rig: not in kHz?")
        self._guessed.clear()
        self.report.clear()
        for entry in entries:
            for recording in self._read(entry):
                yield watched(recording, self.report)
                del recording  # before the next one is read
        self.notes += self.report.told
        if self._stated_rates:
            stated = ", ".join(f"{rate:g} Hz" for rate in sorted(self._stated_rates))
            self.notes.append(f"rate_hz is `unknown`, but files state it and it was used: {stated}")
        self.notes += [
            f"guessed in {len(files)} files, first {files[0]}: {guess}"
            for guess, files in self._guessed.items()
        ]

    def provenance(self) -> Provenance:
        """The files that were read, and what is said of them."""
        return Provenance(files=self.files, notes=self.notes, report=self.report)

    def _read(self, entry: ListedFile) -> Iterator[Recording]:
        """The recording of a file, or those of the windows that it holds."""
        path = self._folder / entry.file
        if entry.file not in self.files:
            self.files[entry.file] = _sha256(path)
        content = read_content(path, entry.array, self._options)
        for guess in content.notes:
            self._guessed.setdefault(guess, []).append(entry.file)
        if self._options.channels is None and self._options.channel_kinds is None:
            _refuse_time(path, content)
        rate_hz = self._rate(entry, content)
        if self._options.stacked is None or self._options.stacked.gaps == "none":
            yield self._recording(entry, content, rate_hz)
            return
        for taken in {STACKED_IN, "window"} & set(entry.fields):
            raise UserError(
                "A recording has a field that stacked windows are given.",
                where=entry.where,
                found=taken,
                remedy="name it otherwise under `fields:` of the rig, or in its table",
            )
        digits = len(str(content.windows - 1))
        for window, own in enumerate(parted(content)):
            name = f"{entry.fields['recording_id']}.w{window:0{digits}d}"
            given = {STACKED_IN: entry.fields["recording_id"], "window": str(window)}
            fields = {**entry.fields, "recording_id": name, **given}
            yield self._recording(replace(entry, fields=fields), own, rate_hz)

    def _recording(self, entry: ListedFile, content: Content, rate_hz: float | None) -> Recording:
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

    def _declared_rate(self, entry: ListedFile) -> Declared:
        """The rate that the rig declares, and whether it is typed in its YAML."""
        rule, text = self._options.fields.get("rate_hz"), entry.fields.get("rate_hz")
        if (text or self._options.rate_hz) == "unknown":
            return Declared(None, entry.where)
        own = number_of(entry, "rate_hz")
        if own is not None and text is not None:
            typed = isinstance(rule, Lookup) or (rule is not None and not template_names(rule))
            group = template_names(rule)[0] if isinstance(rule, str) and not typed else "rate_hz"
            vouched = as_yaml(("fields", "rate_hz"), {"from": group, "values": {text: text}})
            remedy = f"let it be in Hz, or say that it is right by\n{vouched}"
            return Declared(own, entry.where, typed, remedy)
        if isinstance(self._options.rate_hz, float):
            return Declared(self._options.rate_hz, entry.where)
        raise UserError(
            "A recording has no sampling rate.",
            where=entry.where,
            remedy="under `folder:` of the rig: `rate_hz: NUMBER` or `rate_hz: unknown`,\n"
            "or a field or a column of the table `rate_hz`",
        )

    def _rate(self, entry: ListedFile, content: Content) -> float | None:
        declared, stated = self._declared_rate(entry), (content.rate_hz, content.rate_place)
        path = self._folder / entry.file
        rate = rate_of_recording(self._options, declared, path, stated)
        if declared.rate_hz is None and rate is not None:
            self._stated_rates.add(rate)
        return rate


def open_folder(options: FolderOptions, context: Context) -> FolderSource:
    """The source of a folder."""
    return FolderSource(options, context.data_root, context.config_folder)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(
            "A file cannot be read.",
            where=str(path),
            found=str(error.strerror),
            remedy=f"give yourself the right to read it: chmod u+r {path}",
        ) from error


def _refuse_time(path: Path, content: Content) -> None:
    """Raise ``BadData`` if a channel that nobody has named rises or falls as evenly as a clock."""
    signal = content.signal
    if len(signal) < _TIMED:
        return
    places = np.linspace(0, len(signal) - 1, _TIMED).round().astype(np.int64)
    looked_at = signal[places].astype(np.float64)  # (_TIMED, C)
    first, last = looked_at[0], looked_at[-1]
    line = first + (last - first) * (places / places[-1])[:, None]  # (_TIMED, C)
    # float32 rounds a value by 6e-8 of it; noise is off by a share of its range.
    off = np.abs(looked_at - line).max(0) / np.maximum(np.abs(last - first), 1e-300)
    # A clock with gaps, or that starts again, leaves the line, and has equal steps all the same.
    steps = signal[places[:-1] + 1] - looked_at[:-1]  # (_TIMED - 1, C)
    step = np.median(steps, 0)
    alike = (np.abs(steps - step) <= STEP_TOLERANCE * np.abs(step)).mean(0)
    rises = ((off < 1e-4) & (np.ptp(looked_at, 0) > 0)) | ((alike > 0.9) & (step != 0))
    # Rows of which some were left out bear numbers that rise, though not evenly.
    numbers = (np.diff(looked_at, axis=0) > 0).all(0) & (looked_at == np.floor(looked_at)).all(0)
    even = np.flatnonzero(rises | numbers)
    if len(even):
        raise _rising(path, content, int(even[0]), step == np.floor(step))


def _rising(path: Path, content: Content, at: int, whole: NDArray[np.bool_]) -> Misread:
    """The question what the channel ``at``, which rises or falls as a clock, is."""
    columns = list(content.columns) or list(range(content.signal.shape[1]))
    column, others = columns[at], columns[:at] + columns[at + 1 :]
    signal = f"`channels: {columns}`, if it is a signal"
    clock = f"`time_column: {column}` (or its name), if it is the time"
    neither = [f"`channels: {others}`, if it is neither"] if others else []
    put: dict[str, int | list[int]] = {"time_column": column}
    ways = [signal, *neither]
    if whole[at]:  # a number of the sample, sooner than seconds
        put, ways = {"channels": others or columns}, [clock, signal]
    return Misread(
        "A channel rises or falls in even steps: the time?",
        where=f"{path}, column {column} (from 0)",
        found=f"{content.signal[0, at]:g} to {content.signal[-1, at]:g} in "
        f"{len(content.signal)} samples",
        expected="a measured signal in each channel",
        put=put,
        other="or " + "\nor ".join(ways),
    )
