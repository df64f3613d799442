"""Arrays: .npy, .npz, .h5 and .mat of both kinds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
from numpy.typing import NDArray

from .draw import Draw
from .forms import Form, typed
from .verdict import Held

MATLAB_CLASSES = {"f4": "single", "f8": "double", "i2": "int16", "i4": "int32", "u1": "uint8"}
RATE_NAMES = ("fs", "sr", "rate_hz", "sampling_rate", "SampleFrequency")


class ArrayForm(Form):
    """An array whose time runs along its rows or, by a key, along its columns."""

    kinds: tuple[str, ...] = ("f4", "f8", "i2", "i4", "u1", ">f4")

    def __init__(self, draw: Draw, channels: int | None = None) -> None:
        super().__init__(draw, channels)
        self.turned = self.channels > 1 and draw.random() < 0.3
        if self.turned:
            self.options["samples_along"] = "columns"
        self.kind = draw.choice(self.kinds)
        self.name = draw.one("x", "Data", "DE_time", "vibration")
        self.rate_name = draw.one(None, *RATE_NAMES)

    def laid_out(self, samples: NDArray[Any]) -> NDArray[Any]:
        """(L, C) as the file has it: (L, C), (C, L), or (L,) or (1, L) of one channel."""
        if self.channels == 1:
            return np.asarray(self.draw.one(samples, samples[:, 0], samples.T, samples[None]))
        if self.turned:
            return samples.T
        return np.asarray(self.draw.one(samples, np.asfortranarray(samples)))

    def write_signal(self, path: Path, signal: NDArray[Any]) -> Held:
        samples = typed(self.draw, signal, (self.kind,))
        self.write_array(path, self.laid_out(samples))
        return Held(samples.astype(np.float64), self.rate_hz)

    def write_array(self, path: Path, array: NDArray[Any]) -> None:
        """Write an array as it lies."""
        raise NotImplementedError


class Npy(ArrayForm):
    ending = ".npy"
    kinds = ("f4", "f8", "f2", "i2", "i4", "u1", ">f4", ">i2")

    def write_array(self, path: Path, array: NDArray[Any]) -> None:
        np.save(path, array)


class Npz(ArrayForm):
    ending = ".npz"

    def __init__(self, draw: Draw, channels: int | None = None) -> None:
        super().__init__(draw, channels)
        self.packed = draw.random() < 0.5
        self.states_rate = self.rate_name is not None

    def write_array(self, path: Path, array: NDArray[Any]) -> None:
        held: dict[str, Any] = {self.name: array}
        if self.rate_name:
            held[self.rate_name] = self.draw.one(self.rate_hz, np.array([self.rate_hz]))
        (np.savez_compressed if self.packed else np.savez)(path, **held)


class Hdf5(ArrayForm):
    ending = ".h5"

    def __init__(self, draw: Draw, channels: int | None = None) -> None:
        super().__init__(draw, channels)
        self.ending = draw.one(".h5", ".hdf5")
        self.place = draw.one("array", "file", "data set", "nowhere")
        self.states_rate = self.rate_name is not None and self.place != "nowhere"
        self.group = draw.one("", "run/", "a/b/")
        self.several = draw.random() < 0.3
        if self.several:
            self.options["array"] = draw.one(self.group + self.name, "*" + self.name)
        self.layout = draw.one({}, {"chunks": True}, {"compression": "gzip", "shuffle": True})

    def write_array(self, path: Path, array: NDArray[Any]) -> None:
        with h5py.File(path, "w") as file:
            data = file.create_dataset(self.group + self.name, data=array, **self.layout)
            if self.several:
                file["other"] = np.arange(9.0)
            if self.rate_name and self.place != "nowhere":
                if self.place == "data set":
                    file[self.rate_name] = self.rate_hz
                else:
                    owner = data if self.place == "array" else file
                    owner.attrs[self.rate_name] = self.rate_hz


class Mat(ArrayForm):
    """Version 5, as scipy writes it."""

    ending = ".mat"
    kinds = ("f4", "f8", "i2", "i4", "u1")

    def __init__(self, draw: Draw, channels: int | None = None) -> None:
        super().__init__(draw, channels)
        self.packed = draw.random() < 0.5
        self.nest = draw.one("", "", "struct", "cell")
        self.states_rate = self.rate_name is not None
        self.several = draw.random() < 0.3
        if self.several:
            names = {"": self.name, "struct": f"s.{self.name}", "cell": "c{1}"}
            self.options["array"] = names[self.nest]

    def laid_out(self, samples: NDArray[Any]) -> NDArray[Any]:
        laid = super().laid_out(samples)
        return laid if laid.ndim < 3 else laid[0]

    def contents(self, array: NDArray[Any]) -> dict[str, Any]:
        """The variables of a file."""
        held: dict[str, Any] = {self.name: array}
        if self.nest == "struct":
            held = {"s": {self.name: array}}
        elif self.nest == "cell":
            cell = np.empty((1, 1), object)
            cell[0, 0] = array
            held = {"c": cell}
        if self.rate_name:
            held[self.rate_name] = self.rate_hz
        if self.several:
            held["other"] = np.arange(9.0)
        return held

    def write_array(self, path: Path, array: NDArray[Any]) -> None:
        scipy.io.savemat(path, self.contents(array), do_compression=self.packed)


class Mat73(ArrayForm):
    """Version 7.3 as its layout is documented: HDF5 behind 512 bytes, axes reversed."""

    ending = ".mat"
    kinds = ("f4", "f8", "i2", "i4", "u1")

    def __init__(self, draw: Draw, channels: int | None = None) -> None:
        super().__init__(draw, channels)
        self.nested = draw.random() < 0.3
        self.states_rate = self.rate_name is not None

    def laid_out(self, samples: NDArray[Any]) -> NDArray[Any]:
        turned = self.turned or (self.channels == 1 and self.draw.random() < 0.5)
        return samples.T if turned else samples

    def write_array(self, path: Path, array: NDArray[Any]) -> None:
        with h5py.File(path, "w", userblock_size=512) as file:
            owner = file
            if self.nested:
                owner = file.create_group("s")
                owner.attrs["MATLAB_class"] = np.bytes_("struct")
            kind = MATLAB_CLASSES[array.dtype.str[1:]]
            self._add(owner, self.name, array, kind)
            if self.rate_name:
                self._add(file, self.rate_name, np.array([[self.rate_hz]]), "double")
        head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
        with path.open("r+b") as raw:
            raw.write(head)

    @staticmethod
    def _add(owner: Any, name: str, array: NDArray[Any], kind: str) -> None:
        data = owner.create_dataset(name, data=array.T)
        data.attrs["MATLAB_class"] = np.bytes_(kind)


ARRAYS: dict[str, Callable[..., ArrayForm]] = {
    "npy": Npy,
    "npz": Npz,
    "h5": Hdf5,
    "mat 5": Mat,
    "mat 7.3": Mat73,
}
