"""`features.h5`: what was measured on each span of a dataset, by its row in the split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from workflow_src.errors import BadData

Values = NDArray[np.float64]

# A column or more a channel: the log amplitude that a network is given, the shape, the log shares
# of power by octave, the log energies, the fault lines. The age has one in all.
KINDS = ("age", "log_amplitude", "shape", "shares", "energies", "fault_lines")


def write_rows(file: h5py.File, start: int, count: int, features: Mapping[str, Values]) -> None:
    """Put `features` (m, columns) of the rows from `start` on into a table of `count` rows."""
    for kind, values in features.items():
        if kind not in file:
            file.create_dataset(kind, (count, values.shape[1]), np.float64, fletcher32=True)
        file[kind][start : start + len(values)] = values


@dataclass(frozen=True)
class FeatureTable:
    """The features of the spans of one split.

    Attributes:
        path: of the file.
        split: SHA-256 of the rows of that split; None where it is not known.
    """

    path: Path
    split: str | None = None

    def columns(self, rows: NDArray[np.int64], kinds: Sequence[str]) -> Values:
        """(n, columns) of the spans of `rows` (n,), kind after kind.

        Raises BadData for a file that is missing, damaged or of another split.
        """
        try:
            with h5py.File(self.path, "r", locking=False) as file:
                if self.split not in (None, file.attrs["split"]):
                    raise ValueError("it was made of another split")
                return np.concatenate([file[kind][()][rows] for kind in kinds], 1)
        except (OSError, KeyError, ValueError) as error:
            raise BadData(
                "The features of a dataset cannot be read.",
                where=str(self.path),
                found=str(error),
                remedy=f"rm {self.path}   # the next run makes it again",
            ) from error
