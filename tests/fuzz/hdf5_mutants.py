"""HDF5 whose samples lie elsewhere, or nowhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .array_mutants import NOTHING, keys_for
from .draw import Draw
from .single import UNIT
from .verdict import Case, Held, Reading, Verdict


def _place(draw: Draw, root: Path) -> tuple[Path, Path, bool]:
    """The recording, the file that its samples lie in, and whether that is below the data root."""
    path = root / f"data_root/rig/{UNIT}.h5"
    path.parent.mkdir(parents=True)
    below = draw.random() < 0.5
    other = (root / "data_root/parts" if below else root / "elsewhere") / "samples.bin"
    other.parent.mkdir()
    return path, other, below


def _held(signal: Any, other: Path, below: bool) -> tuple[Reading, ...]:
    """Below the data root the samples may be read, if their file is recorded; else they may not."""
    if not below:
        return ()
    return (Reading({f"{UNIT}.h5": Held(signal, 10000.0)}, sums=(other.name,)),)


def external_link(draw: Draw, root: Path) -> Case:
    path, other, below = _place(draw, root)
    signal = draw.signal(300, 2)
    with h5py.File(other, "w") as file:
        file["x"] = signal
    with h5py.File(path, "w") as file:
        file["x"] = h5py.ExternalLink(str(other), "/x")
    named = draw.one({}, {"array": "x"})
    about = f"an external link, {'below' if below else 'outside of'} the data root"
    return Case(keys_for(".h5", **named), _held(signal, other, below), names=(UNIT,), about=about)


def external_storage(draw: Draw, root: Path) -> Case:
    path, other, below = _place(draw, root)
    signal = draw.signal(300, 2)
    other.write_bytes(signal.tobytes())
    with h5py.File(path, "w") as file:
        file.create_dataset("x", signal.shape, "f8", external=[(str(other), 0, h5py.h5f.UNLIMITED)])
    about = f"external storage, {'below' if below else 'outside of'} the data root"
    return Case(keys_for(".h5"), _held(signal, other, below), names=(UNIT,), about=about)


def any_file(draw: Draw, root: Path) -> Case:
    """External storage that is a file of the machine."""
    path, _, _ = _place(draw, root)
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (200,), "u1", external=[("/etc/passwd", 0, 200)])
    return Case(keys_for(".h5"), (), names=(UNIT,), about="a recording that is /etc/passwd")


def virtual(draw: Draw, root: Path) -> Case:
    path, other, below = _place(draw, root)
    signal = draw.signal(300, 2)
    with h5py.File(other, "w") as file:
        file["x"] = signal
    _write_virtual(path, other, signal.shape)
    about = f"a virtual data set, {'below' if below else 'outside of'} the data root"
    return Case(keys_for(".h5"), _held(signal, other, below), names=(UNIT,), about=about)


def virtual_of_nothing(draw: Draw, root: Path) -> Case:
    """The source of a virtual data set is missing: HDF5 gives zeros."""
    path, other, _ = _place(draw, root)
    _write_virtual(path, other, (300, 2))
    about = "a virtual data set whose source is missing"
    return Case(keys_for(".h5"), (), names=(UNIT,), about=about)


def virtual_in_part(draw: Draw, root: Path) -> Case:
    """Half of a virtual data set is there."""
    path, other, _ = _place(draw, root)
    with h5py.File(other, "w") as file:
        file["x"] = draw.signal(150, 2)
    layout = h5py.VirtualLayout((300, 2), "f8")
    layout[:150] = h5py.VirtualSource(str(other), "x", (150, 2))
    layout[150:] = h5py.VirtualSource(str(other) + ".2", "x", (150, 2))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("x", layout)
    return Case(keys_for(".h5"), (), names=(UNIT,), about="half of a virtual data set is missing")


def _write_virtual(path: Path, other: Path, shape: tuple[int, ...]) -> None:
    layout = h5py.VirtualLayout(shape, "f8")
    layout[:] = h5py.VirtualSource(str(other), "x", shape)
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("x", layout)


def inside(draw: Draw, root: Path) -> Case:
    """Soft and hard links within one file."""
    path = root / f"data_root/rig/{UNIT}.h5"
    path.parent.mkdir(parents=True)
    signal = draw.signal(300, 2)
    with h5py.File(path, "w") as file:
        file["run/x"] = signal
        file["link"] = draw.one(h5py.SoftLink("/run/x"), file["run/x"])
        file["gone"] = h5py.SoftLink("/nowhere")
    keys = keys_for(".h5", array=draw.one("run/x", "link"))
    reading = Reading({path.name: Held(signal, 10000.0)})
    return Case(keys, (reading,), names=(UNIT,), about="links within a file")


def never_written(draw: Draw, root: Path) -> Case:
    """A data set of which a part was never written: HDF5 gives its fill value."""
    path = root / f"data_root/rig/{UNIT}.h5"
    path.parent.mkdir(parents=True)
    fill = draw.one(0.0, 0.0, -999.0)
    signal = np.full((2000, 2), fill)
    signal[:500] = draw.signal(500, 2)
    with h5py.File(path, "w") as file:
        data = file.create_dataset("x", signal.shape, "f8", fillvalue=fill, chunks=(500, 2))
        data[:500] = signal[:500]
    reading = Reading({path.name: Held(signal, 10000.0)}, said=NOTHING)
    about = "three of four chunks were never written"
    return Case(keys_for(".h5"), (reading,), names=(UNIT,), about=about)


def much_of_nothing(draw: Draw, root: Path) -> Case:
    """A file of some kB that promises 320 MB of its fill value."""
    path = root / f"data_root/rig/{UNIT}.h5"
    path.parent.mkdir(parents=True)
    with h5py.File(path, "w") as file:
        data = file.create_dataset("x", (80_000_000,), "f4", chunks=(1_000_000,))
        data[:1000] = draw.signal(1000, 1)[:, 0]
    keys = keys_for(".h5")
    return Case(keys, (), names=(UNIT,), otherwise=Verdict.EQUAL, about="320 MB of nothing")


def scaled(draw: Draw, root: Path) -> Case:
    """`scale_factor` beside integers: as stored, with a word, or scaled."""
    path = root / f"data_root/rig/{UNIT}.h5"
    path.parent.mkdir(parents=True)
    signal = np.round(draw.signal(300, 2, 1000.0))
    with h5py.File(path, "w") as file:
        file["x"] = signal.astype("i2")
        file["x"].attrs["scale_factor"] = 0.01
    stored = Reading({path.name: Held(signal, 10000.0)})
    done = Reading({path.name: Held(signal.astype("i2") * 0.01, 10000.0)})
    about = "integers with a scale_factor"
    return Case(keys_for(".h5"), (stored, done), names=(UNIT,), about=about)


KINDS: dict[str, Callable[[Draw, Path], Case]] = {
    "external link": external_link,
    "external storage": external_storage,
    "any file of the machine": any_file,
    "virtual data set": virtual,
    "virtual data set of nothing": virtual_of_nothing,
    "virtual data set in part": virtual_in_part,
    "links within a file": inside,
    "chunks never written": never_written,
    "much of nothing": much_of_nothing,
    "scale factor": scaled,
}
