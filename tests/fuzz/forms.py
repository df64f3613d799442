"""The formats that the README names, each in the ways that its own library or program writes it.

A form draws its settings once and then writes any number of recordings, so that the keys under
`folder:` that read one read all.
"""

from __future__ import annotations

import gzip
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .draw import Draw
from .verdict import Held

FIELDS = {"unit_id": "{unit}", "condition": "c", "run_id": "{unit}_{run}"}


class Form(ABC):
    """A format with its settings; `options` are the keys that read it."""

    ending = ""

    def __init__(self, draw: Draw, channels: int | None = None) -> None:
        self.draw = draw
        self.channels = channels or draw.channels()
        self.rate_hz = draw.rate()
        self.states_rate = False
        self.options: dict[str, Any] = {}

    def keys(self, **more: Any) -> dict[str, Any]:
        """The keys under `folder:` for files `unit_run.ending` below `rig`."""
        rate: Any = self.rate_hz
        if self.states_rate and self.draw.random() < 0.5:
            rate = "unknown"
        files = "{unit}-{run:d}" + self.ending
        base = {"path": "rig", "files": files, "fields": FIELDS, "rate_hz": rate}
        return {**base, **self.options, **more}

    def write(self, path: Path, length: int | None = None) -> Held:
        """Write one recording; what it holds."""
        signal = self.draw.signal(length or self.draw.length(), self.channels)
        path.parent.mkdir(parents=True, exist_ok=True)
        return self.write_signal(path, signal)

    @abstractmethod
    def write_signal(self, path: Path, signal: NDArray[Any]) -> Held:
        """Write a signal (L, C); what the file holds after its rounding."""


def typed(draw: Draw, signal: NDArray[Any], kinds: tuple[str, ...]) -> NDArray[Any]:
    """The signal in one of the kinds of number; integers fill the range they have."""
    kind = np.dtype(draw.choice(kinds))
    if kind.kind == "f":
        return signal.astype(kind)
    bounds = np.iinfo(kind)
    most = min(bounds.max, 2**24)
    peak = float(np.abs(signal).max())
    if kind.kind == "u":
        return np.round((signal / peak + 1.0) * (most / 2.0)).astype(kind)
    return np.round(signal / peak * most).astype(kind)


class Text(Form):
    """Columns of numbers as text.

    `cells` are what stands in the file, so that what was typed is known to the letter.
    """

    FORMATS = ("{:.6f}", "{:.9e}", "{!r}", "{:+.5f}", "{:12.7f}", "{:.4E}", "{:d}")

    def __init__(
        self,
        draw: Draw,
        channels: int | None = None,
        *,
        sep: str | None = None,
        header: bool | None = None,
        clock: bool | None = None,
        plain: bool = False,
    ) -> None:
        super().__init__(draw, channels)
        self.plain = plain
        self.sep = draw.one(",", ";", "\t", " ") if sep is None else sep
        self.has_header = draw.random() < 0.6 if header is None else header
        self.has_clock = draw.random() < 0.3 if clock is None else clock
        self.states_rate = self.has_clock
        self.format = draw.choice(self.FORMATS if not plain else self.FORMATS[:3])
        if self.format == "{:12.7f}" and self.sep != " ":
            self.format = "{:.7f}"
        endings = {",": ".csv", ";": ".csv", "\t": ".tsv", " ": ".txt"}
        self.ending = draw.one(endings[self.sep], ".txt") + (
            "" if plain else draw.one("", "", ".gz")
        )
        self.eol = "\n" if plain else draw.one("\n", "\r\n")
        self.encoding, self.mark = "utf-8", ""
        self.names = [f"{draw.one('acc', 'DE', 'Kanal', 'ch')}_{n}" for n in range(self.channels)]
        if self.has_clock:
            self.names.insert(0, draw.one("time", "t", "Time"))
            self.options["time_column"] = self.names[0] if self.has_header else 0
        if not plain:
            self._vary()

    def _vary(self) -> None:
        draw = self.draw
        self.mark = draw.one("", "", "\ufeff")
        if draw.random() < 0.2:
            self.encoding, self.mark = draw.one("latin-1", "gbk", "utf-16"), ""
            self.options["encoding"] = self.encoding
        if draw.random() < 0.3:
            self.options["header"] = "present" if self.has_header else "absent"
        if draw.random() < 0.3 and self.has_header and self.sep != " ":
            self.names = [f"{name} (g)" for name in self.names]
            if self.has_clock:
                self.options["time_column"] = self.names[0]

    def numbers(self, signal: NDArray[Any]) -> NDArray[np.float64]:
        """The signal in a range that the format of the numbers keeps."""
        if self.format == "{:d}":
            return np.round(signal / np.abs(signal).max() * 30000)
        if "e" in self.format.lower() or "r" in self.format:
            return np.asarray(signal)
        return np.asarray(signal / np.abs(signal).max() * 50)

    def cells(self, signal: NDArray[Any], times: NDArray[Any] | None = None) -> list[list[str]]:
        """The rows as text, with the clock before the channels where there is one."""
        whole = self.format == "{:d}"
        rows = [
            [self.format.format(int(x) if whole else float(x)) for x in row]
            for row in self.numbers(signal)
        ]
        if self.has_clock:
            clock = np.arange(len(rows)) / self.rate_hz if times is None else times
            rows = [[f"{t:.9f}", *row] for t, row in zip(clock, rows, strict=True)]
        return rows

    def lines(self, rows: list[list[str]]) -> list[str]:
        """The lines of a file, its header first."""
        head = [self.sep.join(self.names)] if self.has_header else []
        return head + [self.sep.join(row) for row in rows]

    def write_text(self, path: Path, text: str) -> None:
        """Write what stands in the file, packed where its ending says so."""
        raw = (self.mark + text).encode(self.encoding)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(raw, 1, mtime=0) if path.suffix == ".gz" else raw)

    def write_lines(self, path: Path, lines: list[str]) -> None:
        """Write lines, the last of them ended."""
        self.write_text(path, self.eol.join(lines) + self.eol)

    def held(self, rows: list[list[str]]) -> Held:
        """What rows of cells hold, by what is typed in them."""
        numbers = np.array([[float(cell) for cell in row] for row in rows])
        tolerance = 1e-3 if self.has_clock else 1e-6
        return Held(numbers[:, int(self.has_clock) :], self.rate_hz, tolerance)

    def write_signal(self, path: Path, signal: NDArray[Any]) -> Held:
        rows = self.cells(signal)
        self.write_lines(path, self.lines(rows))
        return self.held(rows)
