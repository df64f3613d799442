"""Which axis of a record of PHM-Vibench is time: its shape, or the table, or nobody knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workflow_src.configuration.phm_vibench import COLUMNS
from workflow_src.data.recordings import Recording, check
from workflow_src.data.sources.phm_vibench import PhmVibenchOptions, PhmVibenchSource
from workflow_src.data.store import Heading, Store, write_store

from .. import phm_vibench_files as files

RNG = np.random.default_rng(0)
SWAPPED = "1 x a record (C, L), as the table says: its samples are copied, (L, C)"
UNTOLD = "1 x a record of which neither shape nor table says which axis is time: left out"


def read(
    root: Path, array: Any, length: Any, width: Any, **options: Any
) -> tuple[list[Recording], PhmVibenchSource]:
    cells = {"Id": 1, "Dataset_id": 9, "Label": 0, "Fault_Diagnosis": 1, "Sample_rate": 1000}
    said = {"Sample_lenth": length, "Channel": width}
    row = {**dict.fromkeys(COLUMNS, ""), **cells, **said}
    written = files.write_rows(root, [row], {"1": array}, name="RM")
    given = {"path": written.path.name, "metadata": written.metadata.name, "dataset_ids": [9]}
    source = PhmVibenchSource(PhmVibenchOptions.model_validate({**given, **options}), root)
    made = list(source.recordings())
    for one in made:
        check(one)
    return made, source


@pytest.mark.parametrize(
    ("shape", "length", "channels"),
    [
        ((1, 300, 1), 300, 1),
        ((1, 300), 300, ""),
        ((2, 300, 1), 300, 2),
        ((2, 300), "", 2),
        ((1, 300, 1), 300, 2),  # the length alone is right
    ],
)
def test_the_table_says_that_time_is_the_second_axis(
    tmp_path: Path, shape: tuple[int, ...], length: Any, channels: Any
) -> None:
    array = RNG.standard_normal(shape)
    (made,), source = read(tmp_path, array, length, channels)
    expected = array.reshape(shape[:2]).T.astype(np.float32)  # (C, L) -> (L, C)
    np.testing.assert_array_equal(made.signal, expected)
    assert SWAPPED in source.report.lines
    manifest = write_store([made], tmp_path / "store", Heading("r", "s"))
    assert manifest.links == {}  # what lies the other way round cannot be read in place
    with Store(tmp_path / "store") as store:
        np.testing.assert_array_equal(store.read("1", 7, 200), expected[7:200])


@pytest.mark.parametrize(
    ("shape", "length", "channels"),
    [
        ((2, 300, 1), "", ""),
        ((1, 300, 1), 77, 9),
        ((1, 300), 1, ""),
        ((300, 200, 1), "", ""),  # windows that are stacked
        ((300, 200, 1), 200, 1),
        ((200, 300, 1), 300, 200),  # 200 channels, says the table alone
        ((60, 300), 300, 1),
    ],
)
def test_what_nobody_says_is_left_out(
    tmp_path: Path, shape: tuple[int, ...], length: Any, channels: Any
) -> None:
    made, source = read(tmp_path, np.zeros(shape), length, channels)
    assert made == []
    assert source.report.lines == [UNTOLD]


@pytest.mark.parametrize(
    ("shape", "length", "channels"),
    [((300, 2, 1), 300, 2), ((300, 2, 1), 2, 300), ((300, 1, 1), "", ""), ((300, 40), 300, 40)],
)
def test_a_usual_shape_and_a_declared_one_are_read_as_they_are(
    tmp_path: Path, shape: tuple[int, ...], length: Any, channels: Any
) -> None:
    array = RNG.standard_normal(shape)
    (made,), source = read(tmp_path, array, length, channels)
    np.testing.assert_array_equal(made.signal, array.reshape(shape[:2]).astype(np.float32))
    assert made.place is not None
    assert not {SWAPPED, UNTOLD} & set(source.report.lines)


def test_channels_of_a_swapped_record_are_chosen_after_it_is_turned(tmp_path: Path) -> None:
    array = RNG.standard_normal((3, 300))
    (made,), _ = read(tmp_path, array, 300, 3, channels=[2, 0])
    np.testing.assert_array_equal(made.signal, array[[2, 0]].T.astype(np.float32))


def test_a_dead_channel_is_in_the_report(tmp_path: Path) -> None:
    array = RNG.standard_normal((300, 2, 1))
    array[:, 1] = 0
    _, source = read(tmp_path, array, 300, 2)
    assert source.report.kinds == {"channel 1 (vibration) that never changes": [("1", "0")]}
    assert source.notes == source.report.lines
