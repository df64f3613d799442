"""Columns and channels: .parquet, .xlsx, .wav and .tdms."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
from nptdms import ChannelObject, GroupObject, RootObject, TdmsWriter
from numpy.typing import NDArray
from scipy.io import wavfile

from .array_forms import ARRAYS, RATE_NAMES
from .draw import Draw
from .forms import Form, Text, typed
from .verdict import Held


class Parquet(Form):
    ending = ".parquet"

    def __init__(self, draw: Draw, channels: int | None = None) -> None:
        super().__init__(draw, channels)
        self.kind = draw.one("f4", "f8", "i2", "i4")
        self.packing = draw.one("snappy", "gzip", "none")
        self.names = [f"acc_{n}" for n in range(self.channels)]
        self.has_clock = draw.random() < 0.3
        self.rate_name = None if self.has_clock else draw.one(None, *RATE_NAMES)
        self.states_rate = self.has_clock or self.rate_name is not None
        if self.has_clock:
            self.options["time_column"] = draw.one("t", len(self.names))
        if draw.random() < 0.3:
            self.options["channels"] = list(self.names)

    def write_signal(self, path: Path, signal: NDArray[Any]) -> Held:
        samples = typed(self.draw, signal, (self.kind,))
        table = {name: samples[:, n] for n, name in enumerate(self.names)}
        if self.has_clock:
            table["t"] = np.arange(len(samples)) / self.rate_hz
        held = pa.table(table)
        if self.rate_name:
            held = held.replace_schema_metadata({self.rate_name: str(self.rate_hz)})
        pq.write_table(held, path, compression=self.packing, row_group_size=self.draw.one(50, 1000))
        return Held(samples.astype(np.float64), self.rate_hz, 1e-3 if self.has_clock else 1e-6)


class Sheet(Form):
    ending = ".xlsx"

    def __init__(self, draw: Draw, channels: int | None = None, *, header: bool | None = None):
        super().__init__(draw, channels)
        self.names: list[str] | None = [f"acc {n}" for n in range(self.channels)]
        if not (draw.random() < 0.6 if header is None else header):
            self.names = None
        self.title = draw.one("Sheet", "Messung 1")
        self.several = draw.random() < 0.3
        if self.several:
            self.options["array"] = self.title
        self.whole = draw.random() < 0.3

    def write_signal(self, path: Path, signal: NDArray[Any]) -> Held:
        scaled = np.round(signal / np.abs(signal).max() * 3000) if self.whole else signal
        rows: list[list[Any]] = [
            [int(x) if self.whole else x for x in row] for row in scaled.tolist()
        ]
        self.write_rows(path, ([list(self.names)] if self.names else []) + rows)
        return Held(scaled, self.rate_hz)

    def write_rows(self, path: Path, rows: list[list[Any]]) -> None:
        """Write rows of cells as they are."""
        path.parent.mkdir(parents=True, exist_ok=True)
        book = openpyxl.Workbook(write_only=True)
        sheet = book.create_sheet(self.title)
        for row in rows:
            sheet.append(row)
        if self.several:
            book.create_sheet("notes").append(["made on a Monday"])
        book.save(path)


class Wav(Form):
    ending = ".wav"

    def __init__(self, draw: Draw, channels: int | None = None) -> None:
        super().__init__(draw, channels)
        self.states_rate = True
        self.kind = draw.one("i2", "i4", "u1", "f4", "24 bits")

    def write_signal(self, path: Path, signal: NDArray[Any]) -> Held:
        rate = int(self.rate_hz)
        if self.kind == "24 bits":
            whole = np.round(signal / np.abs(signal).max() * (2**23 - 1)).astype("<i4")
            with wave.open(str(path), "wb") as file:
                file.setparams((self.channels, 3, rate, 0, "NONE", ""))
                file.writeframes(whole.view("u1").reshape(-1, 4)[:, :3].tobytes())
            return Held(whole.astype(np.float64), self.rate_hz)
        samples = typed(self.draw, signal, (self.kind,))
        wavfile.write(path, rate, samples)
        zero = 128.0 if self.kind == "u1" else 0.0
        return Held(samples.astype(np.float64) - zero, self.rate_hz)


class Tdms(Form):
    ending = ".tdms"

    def __init__(self, draw: Draw, channels: int | None = None) -> None:
        super().__init__(draw, channels)
        self.kind = draw.one("f4", "f8", "i2", "i4")
        self.place = draw.one("wf_increment", "group", "file", "nowhere")
        self.rate_name = draw.choice(RATE_NAMES)
        self.states_rate = self.place != "nowhere"
        self.segments = draw.one(1, 2)

    def write_signal(self, path: Path, signal: NDArray[Any]) -> Held:
        samples = typed(self.draw, signal, (self.kind,))
        own: dict[str, Any] = {self.rate_name: self.rate_hz}
        clock: dict[str, Any] = {"wf_increment": 1.0 / self.rate_hz, "wf_start_offset": 0.0}
        with TdmsWriter(path) as writer:
            for part in np.array_split(samples, self.segments):
                root = RootObject(own if self.place == "file" else {})
                group = GroupObject("Measurement", own if self.place == "group" else {})
                stated = clock if self.place == "wf_increment" else {}
                found = [
                    ChannelObject("Measurement", f"ch{n}", np.ascontiguousarray(part[:, n]), stated)
                    for n in range(self.channels)
                ]
                writer.write_segment([root, group, *found])
        return Held(samples.astype(np.float64), self.rate_hz)


FORMS: dict[str, Callable[..., Form]] = {
    "text": Text,
    **ARRAYS,
    "parquet": Parquet,
    "xlsx": Sheet,
    "wav": Wav,
    "tdms": Tdms,
}
