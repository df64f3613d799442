"""What of a recording does not change is told, and nothing else is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.data.constancy import longest_constant, watched
from workflow_src.data.prepare import prepare_rig
from workflow_src.data.recordings import Recording
from workflow_src.data.report import DataReport
from workflow_src.data.sources.folder import FolderOptions, FolderSource

from ..examples import examples

NOISE = np.random.default_rng(0).standard_normal((6000, 2)).astype(np.float32)


def told(signal: Any, kinds: tuple[str, ...] = ("vibration", "vibration")) -> list[str]:
    report = DataReport()
    recording = Recording("a", "u", "c", "r", np.asarray(signal, np.float32), kinds)
    assert watched(recording, report) is recording
    return report.told


def changed(**parts: Any) -> Any:
    signal = NOISE.copy()
    for where, value in parts.items():
        begin, end, channel = (int(n) for n in where[1:].split("_"))
        signal[begin:end, channel] = value
    return signal


def test_noise_says_nothing() -> None:
    assert told(NOISE) == []
    assert told(np.round(NOISE)) == []  # a coarse recorder repeats values, but not for long


def test_what_does_not_change_is_told() -> None:
    assert told(np.zeros_like(NOISE)) == [
        "1 x a recording of zeros alone: kept; leave it out, or mend its file (a)"
    ]
    assert told(np.full_like(NOISE, 3)) == [
        "1 x a recording of one value a channel: kept; leave it out, or mend its file (a)"
    ]
    assert told(changed(_0_6000_1=0)) == [
        "1 x channel 1 (vibration) that never changes: kept; `channels:` can leave it out (a: 0)"
    ]
    assert told(changed(_2000_6000_0=0)) == [
        "1 x a channel with a long constant stretch: kept "
        "(a: channel 0 is 0 from sample 2000 to the end, of 6000)"
    ]
    assert told(changed(_0_150_1=-2.5)) == [
        "1 x a channel with a long constant stretch: kept "
        "(a: channel 1 is -2.5 from sample 0 to sample 150, of 6000)"
    ]


def test_slow_channels_may_stand_still_for_a_while() -> None:
    kinds = ("vibration", "temperature")
    assert told(changed(_1000_6000_1=20), kinds) == []
    assert "channel 1 (temperature) that never changes" in told(changed(_0_6000_1=20), kinds)[0]


def brute_force(values: list[float], least: int) -> tuple[int, int]:
    best, start = (0, 0), 0
    for stop in range(1, len(values) + 1):
        if stop == len(values) or values[stop] != values[start]:
            if stop - start >= max(least, best[1] - best[0] + 1):
                best = (start, stop)
            start = stop
    return best


@examples(300)
@given(
    runs=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 260)), min_size=1, max_size=30),
    most=st.integers(2, 3000),
)
def test_the_longest_stretch_is_that_of_looking_at_each_sample(
    runs: list[tuple[int, int]], most: int
) -> None:
    values = [float(value) for value, count in runs for _ in range(count)][:most]
    least = min(max(100, int(0.01 * len(values))), len(values))
    found = longest_constant(np.asarray(values, np.float32))
    assert found == brute_force(values, least)


def write_files(folder: Path) -> None:
    for unit in range(1, 9):
        signal = NOISE.copy()
        signal[:, 1] = 0
        if unit in (4, 5):
            signal[2000 * (unit - 4) :] = 0
        with h5py.File(folder / f"{unit}.h5", "w") as file:
            file["x"] = signal


OPTIONS = {
    "path": ".",
    "files": "{unit}.h5",
    "rate_hz": 1000.0,
    "fields": {"unit_id": "{unit}", "condition": "c", "run_id": "{unit}"},
}
NOTES = [
    "7 x channel 1 (vibration) that never changes: kept; `channels:` can leave it out "
    "(1: 0; 2: 0; 3: 0; ...)",
    "1 x a recording of zeros alone: kept; leave it out, or mend its file (4)",
    "1 x a channel with a long constant stretch: kept "
    "(5: channel 0 is 0 from sample 2000 to the end, of 6000)",
]


def test_the_notes_of_a_folder_name_each(tmp_path: Path) -> None:
    write_files(tmp_path)
    source = FolderSource(FolderOptions(**OPTIONS), tmp_path, tmp_path)
    for _ in range(2):  # what an earlier reading noted is not told again
        assert len(list(source.recordings())) == 8
        assert source.notes == NOTES


def test_the_report_of_a_rig_lists_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    write_files(raw)
    monkeypatch.chdir(tmp_path)
    rig = {"source": "folder", "unit": "g", "amplitude_comparable": True, "folder": OPTIONS}
    part = {"rig": rig, "table": None}
    prepare_rig("a", part, description="", data_root=raw, config_folder=tmp_path)
    text = (tmp_path / "data/a/data-report.md").read_text(encoding="utf-8")
    assert "| channel 1 (vibration) that never changes | 7 | kept" in text
    assert "- 5: channel 0 is 0 from sample 2000 to the end, of 6000" in text
    assert "Notes:" not in text
