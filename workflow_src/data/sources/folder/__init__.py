"""Recordings from files of many formats, found by a pattern or named in a table."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path

from workflow_src.configuration.folder import OWN_FIELDS, FolderOptions
from workflow_src.data.recordings import Recording
from workflow_src.data.sources.folder.content import Content
from workflow_src.data.sources.folder.readers import read_content
from workflow_src.data.sources.folder.table import Entry, list_entries, number_of
from workflow_src.errors import BadData, UserError

__all__ = ["FolderOptions", "FolderSource"]

RATE_TOLERANCE = 1e-3  # a rate is often rounded; the nearest that are mixed up differ by far more


class FolderSource:
    """The recordings of a folder, one in memory at a time.

    ``files`` (name below the folder -> sha256) and ``notes`` grow while ``recordings`` is read.
    ``data_root`` is None where none is set; ``config_folder`` holds the rig's YAML and table.
    """

    def __init__(self, options: FolderOptions, data_root: Path | None, config_folder: Path) -> None:
        self._options = options
        self._folder = _resolve(options.path, data_root)
        self._config_folder = config_folder
        self.files: dict[str, str] = {}
        self.notes: list[str] = []
        self._stated_rates: set[float] = set()  # of files whose rate the rig does not know

    def recordings(self) -> Iterator[Recording]:
        """The recordings by run, time in life and number of the file.

        Raises ``UserError`` or ``BadData`` naming the file or the line of the rig's table.
        """
        self.files.clear()
        entries, self.notes[:] = list_entries(self._options, self._folder, self._config_folder)
        self._stated_rates.clear()
        for entry in entries:
            yield self._read(entry)  # held by no name here while the next one is read
        if self._stated_rates:
            stated = ", ".join(f"{rate:g} Hz" for rate in sorted(self._stated_rates))
            self.notes.append(f"rate_hz is `unknown`, but files state it and it was used: {stated}")

    def _read(self, entry: Entry) -> Recording:
        path = self._folder / entry.file
        if entry.file not in self.files:
            with path.open("rb") as file:
                self.files[entry.file] = hashlib.file_digest(file, "sha256").hexdigest()
        content = read_content(path, entry.array, self._options)
        return self._recording(entry, content, self._rate(entry, content))

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


def _resolve(path: str, data_root: Path | None) -> Path:
    if Path(path).is_absolute():
        return Path(path)
    if data_root is None:
        raise UserError(
            "The folder of the data is not set.",
            found=f"`path: {path}`, which lies below it",
            remedy="set `data_root: /path/to/data` in the config,\n"
            "or the environment variable: export PHM_DATA_ROOT=/path/to/data",
        )
    return data_root / path
