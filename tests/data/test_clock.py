"""A clock gives the rate of what was sampled evenly, and refuses what was not, by row and count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.data.sources.folder import FolderOptions, FolderSource, _refuse_time
from workflow_src.data.sources.folder.clock import rate_of_clock
from workflow_src.data.sources.folder.content import Content
from workflow_src.errors import BadData

from ..examples import examples

RATES = [1000.0, 10_000.0, 12_800.0, 25_600.0, 48_000.0, 48_828.125, 51_200.0, 97_656.25, 1e6]


def even(rate: float, length: int, start: float = 0.0) -> np.ndarray:
    return start + np.arange(length) / rate


def refused(times: np.ndarray, *texts: str) -> None:
    with pytest.raises(BadData) as caught:
        rate_of_clock("u1.csv", times)
    for text in ("u1.csv", "remedy:", *texts):
        assert text in str(caught.value), caught.value


# -- even -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("length", [2, 3, 999, 20_000])
@pytest.mark.parametrize("start", [0.0, 12.5])
def test_an_even_clock_gives_its_rate_exactly(rate, length, start):
    assert rate_of_clock("f", even(rate, length, start))[0] == pytest.approx(rate, rel=1e-9)
    assert rate_of_clock("f", even(rate, 20_000))[0] == rate  # and two files of a rig the same


@pytest.mark.parametrize(("rate", "digits"), [(25_600, 6), (48_000, 6), (12_800, 5), (51_200, 7)])
@pytest.mark.parametrize("length", [5_000, 50_001])
def test_a_printed_clock_gives_the_rate_that_was_meant(rate, digits, length):
    assert rate_of_clock("f", even(rate, length, 3.0).round(digits))[0] == rate


@given(
    rate=st.sampled_from(RATES),
    length=st.integers(2, 3000),
    start=st.floats(-1e3, 1e3),
    jitter=st.floats(0, 0.24),
    seed=st.integers(0, 99),
)
@examples(300)
def test_any_jitter_below_the_tolerance_is_accepted_with_the_rate(
    rate, length, start, jitter, seed
):
    # Two samples may step by 1 - 2 * 0.24 to 1 + 2 * 0.24; the median of few is itself jittered.
    jitter = jitter if length > 50 else jitter / 4
    moved = np.random.default_rng(seed).uniform(-jitter, jitter, length) / rate
    made, place = rate_of_clock("f", even(rate, length, start) + moved)
    share = 2 * jitter / max(1, length - 1) + 1e-4
    assert abs(made / rate - 1) <= share * 1.3
    assert place == "time column"


# -- one sample of many ---------------------------------------------------------------------------


@given(
    rate=st.sampled_from(RATES),
    length=st.integers(20, 3000),
    jitter=st.floats(0, 0.1),
    seed=st.integers(0, 99),
    data=st.data(),
)
@examples(300)
def test_a_single_sample_lost_doubled_or_turned_is_refused(rate, length, jitter, seed, data):
    moved = np.random.default_rng(seed).uniform(-jitter, jitter, length) / rate
    times, at = even(rate, length) + moved, data.draw(st.integers(1, length - 3))
    turned = times.copy()
    turned[[at, at + 1]] = times[[at + 1, at]]
    stuck = times.copy()
    stuck[at] = times[at - 1]
    for broken in (np.delete(times, at), np.insert(times, at, times[at]), turned, stuck):
        with pytest.raises(BadData, match=r"does not rise evenly: [1-4] of") as caught:
            rate_of_clock("f", broken)
        assert any(f"rows {row} and {row + 1} " in str(caught.value) for row in (at - 1, at))
    backwards = times[::-1]
    with pytest.raises(BadData, match="does not rise"):
        rate_of_clock("f", backwards)


# -- kinds ----------------------------------------------------------------------------------------


def test_a_gap_is_named_with_what_it_lacks():
    times = even(10_000, 1000)
    times[500:] += 0.1
    refused(times, "1 of 999 steps", "rows 499 and 500", "0.0499 s to 0.15 s", "some 1000 samples")


def test_a_clock_that_starts_again_is_named():
    twice = np.r_[even(10_000, 1000), even(10_000, 1000)]
    refused(twice, "1 of 1999 steps", "rows 999 and 1000", "1 back", "a file each")


def test_lost_samples_are_counted():
    kept = np.random.default_rng(1).random(2000) > 0.05
    kept[[0, -1]] = True
    refused(even(10_000, 2000)[kept], f"some {(~kept).sum()} samples are missing")


def test_random_times_are_refused():
    refused(np.sort(np.random.default_rng(0).uniform(0, 0.1, 1000)), "does not rise evenly")


def test_a_rate_that_drifts_is_refused():
    """Each step is near the median one, as of a shaft that runs up, and the mean says nothing."""
    refused(np.cumsum(np.linspace(0.8, 1.2, 5000)) / 10_000, "does not rise at one rate", "row 2")
    two = np.r_[even(10_000, 5000), 0.5 + even(10_100, 5000)]
    refused(two, "does not rise at one rate", "row 5000")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_cell_without_a_time_is_refused(bad):
    times = even(10_000, 2000)
    times[[700, 1999]] = bad
    refused(times, "2 cells without a time", "row 700")


def test_stamps_coarser_than_samples_are_refused():
    refused(even(10_000, 2000).round(2), "1979 of 1999 steps are zero or negative", "`rate_hz:")
    refused(np.zeros(1), "does not rise")
    refused(np.zeros(0), "does not rise")


# -- clocks that nobody has named -----------------------------------------------------------------

LOST = even(10_000, 4000)[np.random.default_rng(1).random(4000) > 0.05]
BROKEN = {
    "gap": np.r_[even(10_000, 900), 36 + even(10_000, 700)],
    "starts again": np.r_[even(10_000, 900), even(10_000, 700)],
    "samples lost": LOST,
    "in milliseconds": np.r_[even(10, 900), even(10, 700)],
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_clock_is_not_taken_for_a_channel(tmp_path, kind):
    times = BROKEN[kind]
    signal = np.random.default_rng(0).standard_normal(len(times))
    np.savetxt(tmp_path / "u1.csv", np.c_[times, signal], delimiter=",")
    fields = {"unit_id": "{unit}", "condition": "c", "run_id": "{unit}"}
    given = {"path": ".", "files": "u{unit}.csv", "rate_hz": 10_000, "fields": fields}

    def read(**keys: object) -> int:
        options = FolderOptions.model_validate({**given, **keys})
        (recording,) = FolderSource(options, tmp_path, tmp_path).recordings()
        return recording.signal.shape[1]

    with pytest.raises(BadData, match=r"in even steps: the time\?[\s\S]*time_column: 0"):
        read()
    assert read(channels=[0, 1]) == 2
    assert read(channels=[1]) == 1


@given(seed=st.integers(0, 10_000), smooth=st.integers(1, 400))
@examples(100)
def test_no_vibration_is_taken_for_a_clock(seed, smooth):
    """Nor one that is sampled so fast that its samples rise and fall for a long time."""
    rng = np.random.default_rng(seed)
    noise = np.convolve(rng.standard_normal(20_000), np.ones(smooth) / smooth, "valid")
    turning = np.sin(np.arange(len(noise)) / (10 * smooth))
    signal = np.c_[noise, turning, noise.round(2)].astype(np.float32)
    _refuse_time(Path("x.csv"), Content(signal))
