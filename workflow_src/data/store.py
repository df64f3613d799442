"""The store of a rig's recordings: ``recordings.h5``, ``recordings.csv``, ``manifest.json``."""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow_src.artifacts.store_manifest import LinkedFile, StoreManifest
from workflow_src.data.external import (
    as_signal,
    external_channels,
    require_unchanged,
    state,
    write_link,
)
from workflow_src.data.recordings import Recording, check
from workflow_src.data.sink import Sink
from workflow_src.data.source import Provenance
from workflow_src.errors import BadData
from workflow_src.files import disk_full, is_disk_full

SIGNALS, TABLE, MANIFEST = "recordings.h5", "recordings.csv", "manifest.json"
Row = dict[str, Any]  # of the table: a text, a number or None, by column
_UNFINISHED = ".partial"  # the end of a temporary name
TEXT_COLUMNS = ("recording_id", "unit_id", "condition", "run_id", "fault")
NUMBER_COLUMNS = ("rate_hz", "length", "channels")
TIME_COLUMNS = ("time_s", "life_s", "onset_s")
COLUMNS = (*TEXT_COLUMNS, *NUMBER_COLUMNS, "channel_kinds", *TIME_COLUMNS)
CHUNK_BYTES = 1 << 16  # some windows long; a read touches at most two chunks more than it needs


@dataclass(frozen=True)
class Heading:
    """What the configuration says of a store: its rig, source, unit of amplitude and meaning."""

    rig: str
    source: str
    unit: str = "unknown"
    description: str = ""


def write_store(
    recordings: Iterable[Recording],
    folder: Path,
    heading: Heading,
    provenance: Callable[[], Provenance] = Provenance,
    before_landing: Callable[[], object] = lambda: None,
) -> StoreManifest:
    """Check the recordings, write the three files, complete or not at all; return the manifest.

    One recording is in memory at a time. Of one that has a place the samples are checked and
    hashed, but not copied: a link leads to them. ``provenance`` is asked after the last recording.
    ``before_landing`` is called when all is written and may raise: then what was there before
    stays.

    Raises ``BadData`` for a recording that fails ``check``, for two of one name and for none at
    all; ``UserError`` for a full disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = (SIGNALS, TABLE, MANIFEST)
    own = uuid.uuid4().hex  # another process may write the same store, of other settings
    temporary = {name: folder / f".{name}.{own}{_UNFINISHED}" for name in names}
    try:
        with _full_disk_named(folder):
            rows, table, sha256, links = _write_signals(recordings, temporary[SIGNALS])
            known = provenance()
            manifest = StoreManifest(
                rig=heading.rig,
                source=heading.source,
                unit=heading.unit,
                description=heading.description or known.description,
                versions=dict(known.versions),
                recordings=len(rows),
                bytes=sum(4 * row["length"] * row["channels"] for row in rows),
                sha256=sha256,
                table_sha256=hashlib.sha256(table.encode()).hexdigest(),
                files=dict(known.files),
                links=links,
                notes=list(known.notes),
            )
            _write_text(temporary[TABLE], table)
            _write_text(temporary[MANIFEST], manifest.to_json() + "\n")
            before_landing()
            # The manifest goes first and comes last: a store without it was never finished.
            (folder / MANIFEST).unlink(missing_ok=True)
            for name in names:
                temporary[name].rename(folder / name)
            _sync(folder)
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)
    return manifest


def remove_unfinished(folder: Path) -> None:
    """Remove what killed writers left in `folder`; nobody else may be writing there."""
    for name in (SIGNALS, TABLE, MANIFEST):
        for path in folder.glob(f".{name}.*{_UNFINISHED}"):
            path.unlink(missing_ok=True)


def _write_signals(
    recordings: Iterable[Recording], path: Path
) -> tuple[list[Row], str, str, dict[str, LinkedFile]]:
    """Write each signal (L, C) to ``/recordings/<id>``; return rows, table, digest and links.

    The file bears the digest too: Snakemake tells whether a small one has changed by its bytes,
    which hold neither labels nor, where samples are read in place, the samples.
    """
    rows: list[Row] = []
    links: dict[str, LinkedFile] = {}
    seen: set[str] = set()
    digest = hashlib.sha256()
    with closing(Sink(path)) as sink:
        with h5py.File(sink, "w") as file:
            group = file.create_group("recordings")
            for recording in recordings:
                check(recording)
                _refuse_second(recording.recording_id, seen)
                if recording.place is not None and str(recording.place.file) not in links:
                    links[str(recording.place.file)] = state(recording.place.file)
                _write_signal(group, recording, digest)
                rows.append(_row(recording))
                file.flush()
                sink.raise_failure()
                del recording  # before the source reads the next one
            table = _table_text(rows)
            digest.update(table.encode())
            file.attrs["sha256"] = digest.hexdigest()
        sink.raise_failure()
        sink.sync()
    if not rows:
        raise BadData("The source gave no recording.", where=str(path.parent))
    require_unchanged(links, "run the same command again, once nothing writes to it any more")
    return rows, table, digest.hexdigest(), links


def _refuse_second(recording_id: str, seen: set[str]) -> None:
    if recording_id in seen:
        raise BadData(
            "Two recordings have one recording_id.",
            found=f"{recording_id!r} twice",
            remedy="give each its own `recording_id` under `fields:` of the rig",
        )
    seen.add(recording_id)


def _write_signal(group: h5py.Group, recording: Recording, digest: hashlib._Hash) -> None:
    signal = np.ascontiguousarray(recording.signal)  # (L, C)
    length, channels = signal.shape
    if recording.place is not None:
        write_link(group, recording.recording_id, recording.place)
    else:
        group.create_dataset(
            recording.recording_id,
            data=signal,
            chunks=(min(length, max(1, CHUNK_BYTES // (4 * channels))), channels),
            fletcher32=True,  # damage on disk is an error when it is read, not a signal
        )
    digest.update(f"{recording.recording_id}\0{signal.shape}\0".encode())
    digest.update(signal.astype("<f4", copy=False).data)


def _row(recording: Recording) -> Row:
    reserved = set(COLUMNS) & set(recording.attributes)
    if reserved:
        raise BadData(
            "Attributes bear names of the table's own columns.",
            where=f"recording {recording.recording_id!r}",
            found=", ".join(sorted(reserved)),
        )
    length, channels = recording.signal.shape
    own = {name: getattr(recording, name) for name in (*TEXT_COLUMNS, "rate_hz", *TIME_COLUMNS)}
    return {
        **own,
        "length": length,
        "channels": channels,
        "channel_kinds": "|".join(recording.channel_kinds),
        **recording.attributes,
    }


def _table_text(rows: list[Row]) -> str:
    """One line a recording; the columns are ``COLUMNS``, then the union of the attributes."""
    names = dict.fromkeys((*COLUMNS, *(name for row in rows for name in row)))
    text = StringIO(newline="")
    writer = csv.DictWriter(
        text, fieldnames=list(names), lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC
    )
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _write_text(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _full_disk_named(folder: Path) -> Iterator[None]:
    free = shutil.disk_usage(folder).free
    try:
        yield
    except OSError as error:
        if not is_disk_full(error):
            raise
        found = f"{error.strerror}; {free} bytes were free, 4 a sample and channel are needed"
        raise disk_full(folder, found) from error


class Store:
    """A rig's recordings, read by span.

    The table, and the content that the file of the signals states, are compared with the manifest
    when they are first read; the signals have a checksum a chunk.

    HDF5 is opened without a lock at the first read, anew in each process, so that a store may be
    pickled or inherited by a worker.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: h5py.File | None = None
        self._opened_by = 0

    @cached_property
    def manifest(self) -> StoreManifest:
        """What ``write_store`` returned when the store was written."""
        return StoreManifest.read(self._existing(MANIFEST))

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a recording; text as str with "" for missing, numbers with NaN for missing."""
        path = self._existing(TABLE)
        raw = path.read_bytes()
        try:
            frame = pd.read_csv(BytesIO(raw), dtype=str, keep_default_na=False, encoding="utf-8")
            for name in (*NUMBER_COLUMNS, *TIME_COLUMNS):
                frame[name] = pd.to_numeric(frame[name]).astype("float64")
            frame = frame.astype({"length": "int64", "channels": "int64"})
        except (ValueError, KeyError) as error:
            raise self._damaged(path, str(error)) from error
        if len(frame) != self.manifest.recordings:
            found = f"{len(frame)} rows for {self.manifest.recordings} recordings"
            raise self._damaged(path, found)
        # Stores that were made before there were these sums are taken as they are.
        digest = hashlib.sha256(raw).hexdigest()
        if self.manifest.table_sha256 not in (None, digest):
            found = f"it was edited, or is another store's: its SHA-256 is not that of {MANIFEST}"
            raise self._damaged(path, found)
        return frame

    def read(self, recording_id: str, start: int, stop: int) -> NDArray[np.float32]:
        """Samples start..stop-1 of a recording, (stop - start, C).

        Raises ``BadData`` if the file is damaged or has no such recording, ``ValueError`` if the
        span does not lie within the recording.
        """
        path = self.folder / SIGNALS
        try:
            group = self._open()["recordings"]
            if recording_id not in group:
                raise self._damaged(path, f"no recording {recording_id!r}")
            dataset = group[recording_id]
            if not 0 <= start < stop <= dataset.shape[0]:
                raise ValueError(
                    f"span {start}..{stop} outside of {recording_id!r}, {dataset.shape[0]} samples"
                )
            if self.manifest.links:
                return as_signal(dataset[start:stop], external_channels(self._open(), recording_id))
            span: NDArray[np.float32] = dataset[start:stop]
        except (OSError, KeyError, RuntimeError) as error:
            raise self._damaged(path, str(error)) from error
        return span

    def require_manifest(self, signals: h5py.File) -> None:
        """Raise ``BadData`` unless the manifest is that of this file of signals."""
        if signals.attrs.get("sha256", self.manifest.sha256) != self.manifest.sha256:
            found = f"it is another store's: its content is not that of {MANIFEST}"
            raise self._damaged(self.folder / SIGNALS, found)

    def close(self) -> None:
        """Close HDF5; a later read opens it again."""
        if self._file is not None and self._opened_by == os.getpid():
            self._file.close()
        self._file = None

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "_file": None, "_opened_by": 0}

    def _open(self) -> h5py.File:
        if self._file is None or self._opened_by != os.getpid():
            self._existing(MANIFEST)
            require_unchanged(self.manifest.links, self.remedy())
            file = h5py.File(self._existing(SIGNALS), "r", locking=False)
            self.require_manifest(file)
            self._file, self._opened_by = file, os.getpid()
        return self._file

    def _existing(self, name: str) -> Path:
        path = self.folder / name
        if not path.is_file():
            raise BadData(
                "A file of a rig's store is missing.", where=str(path), remedy=self.remedy()
            )
        return path

    def _damaged(self, path: Path, found: str) -> BadData:
        return BadData(
            "A file of a rig's store is damaged or was cut short.",
            where=str(path),
            found=found,
            remedy=self.remedy(),
        )

    def remedy(self) -> str:
        """The command that makes the store anew."""
        return StoreManifest.remedy(self.folder / MANIFEST)
