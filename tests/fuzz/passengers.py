"""What lies beside the samples, in a file or a folder, and changes nothing of them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.io
from nptdms import ChannelObject, TdmsWriter
from openpyxl.styles import Font
from scipy.io import wavfile

from .array_mutants import keys_for
from .column_forms import FORMS
from .draw import Draw
from .forms import Text
from .single import UNIT
from .verdict import Case, Held, Reading

RATE = 10000.0


def _file(root: Path, ending: str) -> Path:
    path = root / f"data_root/rig/{UNIT}{ending}"
    path.parent.mkdir(parents=True)
    return path


def _case(path: Path, held: Held, about: str, **keys: Any) -> Case:
    options = keys_for(path.suffix, **keys)
    return Case(options, (Reading({path.name: held}),), names=(UNIT,), about=about)


def files_beside(draw: Draw, root: Path) -> Case:
    """A note, a picture and a table beside recordings: left out, and counted."""
    form = FORMS[draw.choice(list(FORMS))](draw)
    path = _file(root, form.ending)
    held = form.write(path)
    names = ("README.md", "setup.jpg", "Thumbs.db", "notes.docx", "desktop.ini", "a/b/info.json")
    for name in draw.sample(names, 3):
        (path.parent / name).parent.mkdir(parents=True, exist_ok=True)
        (path.parent / name).write_bytes(b"1,2\n3,4\n")
    reading = Reading({path.name: held}, said="match|left out")
    return Case(form.keys(), (reading,), refusable=False, about="other files beside a recording")


def in_mat(draw: Draw, root: Path) -> Case:
    """Words, cells of words, and other arrays beside the one that is named."""
    path, signal = _file(root, ".mat"), draw.signal(draw.length(), draw.randint(1, 3))
    beside: dict[str, Any] = {
        "note": "made on a Monday",
        "names": np.array(["a", "bb"], dtype=object),
    }
    beside |= {"rpm": 1797.0, "other": np.arange(12.0)}
    some = {name: beside[name] for name in draw.sample(list(beside), draw.randint(1, 4))}
    scipy.io.savemat(path, {"x": signal, **some})
    return _case(path, Held(signal, RATE), f"{', '.join(some)} beside an array", array="x")


def in_npz(draw: Draw, root: Path) -> Case:
    path, signal = _file(root, ".npz"), draw.signal(draw.length(), draw.randint(1, 3))
    np.savez(path, x=signal, y=np.zeros(12, int), label="inner", when=np.datetime64("2024-05-01"))
    return _case(path, Held(signal, RATE), "labels beside an array", array="x")


def in_hdf5(draw: Draw, root: Path) -> Case:
    path, signal = _file(root, ".h5"), draw.signal(draw.length(), draw.randint(1, 3))
    with h5py.File(path, "w") as file:
        file["run/x"] = signal
        file["run/note"] = "made on a Monday"
        file["meta/table"] = np.zeros(9, dtype=[("a", "i4"), ("b", "S5")])
        file.create_group("empty").attrs["rpm"] = 1797.0
        file["nothing"] = h5py.Empty("f4")
        file.attrs["operator"] = "N. N."
    return _case(path, Held(signal, RATE), "words and groups beside an array", array="run/x")


def in_parquet(draw: Draw, root: Path) -> Case:
    path, signal = _file(root, ".parquet"), draw.signal(draw.length(), 2)
    rows = len(signal)
    table = {
        "label": ["inner"] * rows,
        "b": signal[:, 1],
        "n": list(range(rows)),
        "a": signal[:, 0],
    }
    pq.write_table(pa.table(table).replace_schema_metadata({"operator": "N. N."}), path)
    return _case(path, Held(signal, RATE), "columns of words between channels", channels=["a", "b"])


def in_sheet(draw: Draw, root: Path) -> Case:
    """Bold names, formats of numbers, a filter, frozen panes and a comment."""
    path, signal = _file(root, ".xlsx"), draw.signal(draw.length(70, 150), draw.randint(1, 3))
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append([f"acc {n}" for n in range(signal.shape[1])])
    for row in signal.tolist():
        sheet.append(row)
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    for row in sheet.iter_rows(min_row=2):
        for cell in row:
            cell.number_format = draw.one("0.00", "0", "#,##0.000", "0%")
    sheet.freeze_panes = "A2"
    sheet.auto_filter.ref = sheet.dimensions
    book.save(path)
    return _case(path, Held(signal, RATE), "a sheet with formats")


def in_wav(draw: Draw, root: Path) -> Case:
    """Chunks of words before and behind the samples."""
    path = _file(root, ".wav")
    signal = np.round(draw.signal(2 * draw.length(), 2, 1000.0)).astype("i2")
    wavfile.write(path, int(RATE), signal)
    raw = path.read_bytes()
    words = b"INFOISFT" + struct.pack("<I", 6) + b"Lavf58"
    chunk = b"LIST" + struct.pack("<I", len(words)) + words
    raw = raw[:36] + chunk + raw[36:] if draw.random() < 0.5 else raw + chunk
    path.write_bytes(raw[:4] + struct.pack("<I", len(raw) - 8) + raw[8:])
    return _case(path, Held(signal.astype(float), RATE), "chunks of words in a .wav")


def in_tdms(draw: Draw, root: Path) -> Case:
    path, signal = _file(root, ".tdms"), draw.signal(draw.length(), 2)
    found = [
        ChannelObject("vibration", f"c{n}", column.copy()) for n, column in enumerate(signal.T)
    ]
    found.append(ChannelObject("slow", "temperature", np.full(9, 21.5)))
    found.append(ChannelObject("slow", "remark", ["warm"] * 9))
    with TdmsWriter(path) as writer:
        writer.write_segment(found)
    return _case(path, Held(signal, RATE), "another group in a .tdms", array="vibration")


def other_order(draw: Draw, root: Path) -> Case:
    """Channels in the order that the keys name, which is not that of the columns."""
    form = Text(draw, 3, header=True, clock=False)
    path = _file(root, form.ending)
    held = form.write(path)
    order = draw.sample(range(3), draw.randint(2, 3))
    names = [form.names[n] for n in order]
    keys = form.keys(channels=draw.one(names, order))
    reading = Reading({path.name: Held(held.signal[:, order], form.rate_hz)})
    return Case(keys, (reading,), names=(UNIT,), refusable=False, about="channels in another order")


def kinds_of_channel(draw: Draw, root: Path) -> Case:
    form = FORMS[draw.one("npy", "wav", "xlsx", "text")](draw, 3)
    path = _file(root, form.ending)
    held = form.write(path)
    kinds = draw.sample(("vibration", "current", "tacho", "load", "temperature"), 3)
    labels = {"channel_kinds": "|".join(kinds)}
    reading = Reading({path.name: Held(held.signal, held.rate_hz, held.rate_rtol, labels)})
    keys = form.keys(channel_kinds=kinds)
    return Case(keys, (reading,), refusable=False, about="kinds of channel")


def life(draw: Draw, root: Path) -> Case:
    """Snapshots of a run to failure, whose numbers are not all there: time counts by number."""
    form = FORMS[draw.one("npy", "mat 5", "h5")](draw, 1)
    numbers = sorted(draw.sample(range(1, 30), draw.randint(4, 8)))
    held = {}
    for number in numbers:
        one = form.write(root / f"data_root/rig/b1/{number}{form.ending}")
        labels = {"time_s": f"{(number - 1) * 10.0}", "life_s": f"{(numbers[-1] - 1) * 10.0}"}
        held[f"b1/{number}{form.ending}"] = Held(one.signal, one.rate_hz, labels=labels)
    keys = form.keys(
        files="{unit}/{number:d}" + form.ending,
        fields={"unit_id": "{unit}", "condition": "c", "run_id": "{unit}"},
        time={"from": "number", "first": 1, "step_s": 10.0},
        ends_in_failure=True,
    )
    return Case(keys, (Reading(held),), refusable=False, about="snapshots of a run to failure")


KINDS: dict[str, Callable[[Draw, Path], Case]] = {
    "files beside": files_beside,
    "beside: mat": in_mat,
    "beside: npz": in_npz,
    "beside: h5": in_hdf5,
    "beside: parquet": in_parquet,
    "beside: sheet": in_sheet,
    "beside: wav": in_wav,
    "beside: tdms": in_tdms,
    "channels in another order": other_order,
    "kinds of channel": kinds_of_channel,
    "snapshots of a life": life,
}
