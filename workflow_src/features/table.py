"""`features.h5`: what was measured on each span of a dataset.

Spans stand in the order train, validation, test; `row` is that in the split.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from workflow_src.errors import BadData, UserError

Values = NDArray[np.float64]
Columns = NDArray[np.int64 | np.float64]

# A column or more a channel: the log amplitude that a network is given, the shape, the log shares
# of power by octave, the log energies, the fault lines. The age has one in all.
KINDS = ("age", "log_amplitude", "shape", "shares", "energies", "fault_lines")


def write_spans(file: h5py.File, start: int, count: int, columns: Mapping[str, Columns]) -> None:
    """Put `columns` (m, ...) of the spans from `start` on into a table of `count` spans."""
    for name, values in columns.items():
        if name not in file:
            shape = (count, *values.shape[1:])
            file.create_dataset(name, shape, values.dtype, fletcher32=True)
        file[name][start : start + len(values)] = values


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

        Raises BadData for a file that is missing, damaged or of another split, UserError for an
        unknown kind.
        """
        _require_known(kinds)
        with self._open() as file:
            place = np.empty(len(file["row"]), np.int64)
            place[file["row"][()]] = np.arange(len(place))
            return np.concatenate([file[kind][()][place[rows]] for kind in kinds], 1)

    def of_held(self, name: str, starts: Values) -> Values | None:
        """(n,) of the spans of validation and test, which begin at `starts` (n,).

        None where the file holds no such column. Raises BadData as `columns` does.
        """
        with self._open() as file:
            if name not in file:
                return None
            if not np.array_equal(file["start"][-len(starts) :], starts):
                raise ValueError("its spans are others than those that were predicted")
            return np.asarray(file[name][-len(starts) :])

    @contextmanager
    def _open(self) -> Iterator[h5py.File]:
        try:
            with h5py.File(self.path, "r", locking=False) as file:
                if self.split not in (None, file.attrs["split"]):
                    raise ValueError("it was made of another split")
                yield file
        except (OSError, KeyError, ValueError) as error:
            raise BadData(
                "The features of a dataset cannot be read.",
                where=str(self.path),
                found=str(error),
                remedy=f"rm {self.path}   # the next run makes it again",
            ) from error


def _require_known(kinds: Sequence[str]) -> None:
    if not (unknown := [kind for kind in kinds if kind not in KINDS]):
        return
    near = {one: difflib.get_close_matches(one, KINDS, n=1, cutoff=0.0)[0] for one in unknown}
    mended = list(dict.fromkeys(near.get(kind, kind) for kind in kinds))
    raise UserError(
        f"There are no features `{unknown[0]}`; the nearest are `{near[unknown[0]]}`.",
        found=", ".join(kinds),
        expected=f"some of {', '.join(KINDS)}",
        remedy=f"problem.described(rows, {json.dumps(mended)})",
    )
