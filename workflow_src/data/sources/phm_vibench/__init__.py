"""Recordings that lie in the files of PHM-Vibench, read in place or copied."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow_src.configuration.patterns import natural_key
from workflow_src.configuration.phm_vibench import OWN_FIELDS, PhmVibenchOptions
from workflow_src.data.constancy import watched
from workflow_src.data.external import ExternalSamples
from workflow_src.data.recordings import NORMAL, Recording
from workflow_src.data.report import DataReport
from workflow_src.data.source import Context, Provenance
from workflow_src.data.sources.data_root import below_data_root
from workflow_src.data.sources.phm_vibench.arrays import Record, compare_keys, opened, read_record
from workflow_src.data.sources.phm_vibench.fields import compare_domains, fields_of, texts_of
from workflow_src.data.sources.phm_vibench.labels import PROXY, faults
from workflow_src.data.sources.phm_vibench.lives import KnownLife, lives
from workflow_src.data.sources.phm_vibench.table import MetadataRow, read_table, select_rows, whole
from workflow_src.data.sources.phm_vibench.views import View, require_channels, views_of
from workflow_src.data.sources.plausible import plausible
from workflow_src.errors import UserError

ATTRIBUTES = {  # of each recording, from these columns
    "dataset_id": "Dataset_id",
    "label": "Label",
    "label_description": "Label_Description",
    "fault_level": "Fault_level",
    "domain_id": "Domain_id",
    "domain_description": "Domain_description",
    "file": "File",
}


@dataclass(frozen=True)
class _Entry:
    """A row with what it means."""

    row: MetadataRow
    texts: dict[str, str]
    fields: dict[str, str]
    fault: str | None
    life: KnownLife
    views: tuple[View, ...]


class PhmVibenchSource:
    """The recordings of one file, one record in memory at a time.

    ``report``, ``notes`` and ``files`` (the table's sha256) grow while ``recordings`` is read.
    ``data_root`` is None where none is set.
    """

    def __init__(self, options: PhmVibenchOptions, data_root: Path | None) -> None:
        self._options = options
        # Absolute, as the store's links to it are read from any folder.
        said = f"`path: {options.path}`"
        self._file = below_data_root(options.path, data_root, said).absolute()
        said = f"`metadata: {options.metadata}`"
        self._metadata = below_data_root(options.metadata, data_root, said).absolute()
        self.report = DataReport()
        self.notes: list[str] = []
        self.files: dict[str, str] = {}

    def recordings(self) -> Iterator[Recording]:
        """The recordings in the order of their Ids.

        Raises ``UserError`` or ``BadData`` naming the file, the row or the key of the rig; what
        can be passed over or decided is reported instead.
        """
        table = read_table(self._metadata)
        self.files[self._metadata.name] = hashlib.sha256(self._metadata.read_bytes()).hexdigest()
        entries = self._entries(table)
        known = {str(key) for cell in table["Id"] if (key := whole(cell)) is not None}
        with opened(self._file) as file:
            rows = [entry.row for entry in entries.values()]
            for row in compare_keys(set(file), known, rows, self.report):
                record = read_record(file, row, self.report)
                if record is not None:
                    for recording in self._recordings(entries[row.id], record):
                        yield watched(recording, self.report)
                        del recording
                del record  # before the next one is read
        if self._options.labels == "unit":
            self.notes.append(PROXY)
        self.notes += self.report.lines

    def provenance(self) -> Provenance:
        """The metadata table, and what is said of it."""
        return Provenance(files=self.files, notes=self.notes, report=self.report)

    def _entries(self, table: pd.DataFrame) -> dict[str, _Entry]:
        options, report = self._options, self.report
        rows = select_rows(table, options.dataset_ids, self._metadata, report)
        for absent in sorted(set(options.rates_hz) - {row.id for row in rows}, key=natural_key):
            report.add("a rate under `rates_hz` without its row", "of no effect", f"Id {absent}")
        rows = _visible(rows, report)
        compare_domains(rows, report)
        texts = texts_of(rows, options)
        fields = {row.id: fields_of(row, texts[row.id], options) for row in rows}
        given = {key: of.get("fault", "") for key, of in fields.items()}
        classes = faults(rows, given, options, report)
        runs = {key: of["run_id"] for key, of in fields.items()}
        times = lives(rows, runs, texts, options, report)
        views = views_of(set(runs.values()), options)
        return {
            row.id: _Entry(
                row,
                texts[row.id],
                fields[row.id],
                classes[row.id],
                times[row.id],
                views.get(runs[row.id], ()),
            )
            for row in rows
        }

    def _recordings(self, entry: _Entry, record: Record) -> Iterator[Recording]:
        """The recordings that a record holds: itself, or one a bearing."""
        rate_hz = self._rate(entry)
        for view in entry.views:
            signal = record.signal
            require_channels(view, signal.shape[1], entry.row)
            own = signal if view.channels is None else signal[:, list(view.channels)]
            place = (
                None if record.turned else ExternalSamples(self._file, entry.row.id, view.channels)
            )
            yield self._recording(entry, view, own, rate_hz, place)
        if not entry.views:
            self.report.add(
                "a record of a run of which `bearings` names none", "left out", f"Id {entry.row.id}"
            )

    def _recording(
        self,
        entry: _Entry,
        view: View,
        signal: NDArray[np.float32],
        rate_hz: float | None,
        place: ExternalSamples | None,
    ) -> Recording:
        """One recording; a bearing that does not fail has no life, and no class but normal."""
        fields, end = entry.fields, f"_{view.name}" if view.name else ""
        fault = entry.fault if view.fails or entry.fault == NORMAL else None
        texts = {name: entry.texts[column] for name, column in ATTRIBUTES.items()}
        return Recording(
            recording_id=entry.row.id + end,
            unit_id=fields["unit_id"] + end,
            condition=fields["condition"],
            run_id=fields["run_id"] + end,
            signal=signal,
            channel_kinds=self._options.channel_kinds or ("vibration",) * signal.shape[1],
            rate_hz=rate_hz,
            fault=fault,
            time_s=entry.life.time_s,
            life_s=entry.life.life_s if view.fails else None,
            attributes=texts
            | {name: text for name, text in fields.items() if name not in OWN_FIELDS},
            place=None if self._options.copy_samples else place,
        )

    def _rate(self, entry: _Entry) -> float | None:
        """That of the rig for this Id, that of its field, or that of the table."""
        row, said = entry.row, entry.row.rate_hz
        given = self._options.rates_hz.get(row.id)
        if given is None and "rate_hz" in entry.fields:
            given = _field_rate(entry.fields["rate_hz"], row)
        where, found = f"Id {row.id}", row.cells.get("Sample_rate", "") or "empty"
        if given is not None:
            if given != said:
                detail = f"table {found}, rig {given:g} Hz"
                self.report.add("a Sample_rate that the rig corrects", "the rig", where, detail)
            return given
        if said is None or said <= 0:
            done = "unknown; give `rates_hz:` or the field `rate_hz`"
            self.report.add("a Sample_rate that is no rate", done, where, f"table {found}")
            return None
        if not plausible(said):
            done = "used; `rates_hz:` corrects it, where it is in kilohertz"
            self.report.add("a Sample_rate that is not plausible", done, where, f"table {found}")
        return said


def open_phm_vibench(options: PhmVibenchOptions, context: Context) -> PhmVibenchSource:
    """The source of a file of PHM-Vibench."""
    return PhmVibenchSource(options, context.data_root)


def _visible(rows: list[MetadataRow], report: DataReport) -> list[MetadataRow]:
    """The rows without those whose Visiable is 0; an empty one hides nothing."""
    for row in rows:
        if row.flags["Visiable"] is False:
            report.add("a row that is not visible (Visiable 0)", "left out", f"Id {row.id}")
    return [row for row in rows if row.flags["Visiable"] is not False]


def _field_rate(text: str, row: MetadataRow) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UserError(
            "The field rate_hz is no number.",
            where=f"metadata table, Id {row.id}",
            found=f"rate_hz = {text!r}",
            remedy="mend `rate_hz:` under `fields:` of the rig",
        ) from error
