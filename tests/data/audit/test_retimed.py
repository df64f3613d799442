"""Copies played backwards or at another rate are found; what merely looks alike is none."""

from __future__ import annotations

import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import decimate, resample, resample_poly

from workflow_src.data.audit.leaks import Search, search
from workflow_src.data.audit.report import as_text, report_of
from workflow_src.data.audit.retimed import RATIOS
from workflow_src.data.splits import make_split

from ...examples import examples
from .benches import Signals, bench, dataset_of, noise, stored, whole

Array = NDArray[np.float32]


def found_in(signals: Signals) -> Search:
    with tempfile.TemporaryDirectory() as folder:
        store, split = bench(Path(folder), signals)
        with store:
            return search(store, split)


def retimed(signal: NDArray, ratio: Fraction) -> Array:
    """`signal` (n,) with one sample for `ratio` of its own, backwards if negative."""
    played = signal[::-1] if ratio < 0 else signal
    made = resample_poly(played.astype(np.float64), ratio.denominator, abs(ratio.numerator))
    return np.asarray(made, np.float32)


def pair(original: NDArray, copy: NDArray) -> Signals:
    return {
        "a": ("train", np.asarray(original, np.float32).reshape(-1, 1)),
        "b": ("test", np.asarray(copy, np.float32).reshape(-1, 1)),
    }


# ------------------------------------------------------------------------- copies are found


@examples(25)
@given(
    length=st.integers(384, 2000),
    begin=st.integers(0, 3000),
    at=st.integers(0, 1000),
    gain=st.sampled_from([1.0, 3.0, -0.02]),
    seed=st.integers(0, 10**6),
)
def test_a_stretch_played_backwards_is_found_to_the_sample(
    length: int, begin: int, at: int, gain: float, seed: int
) -> None:
    original, other = noise(5000, seed), noise(3000, seed + 1)
    other[at : at + length] = np.float32(gain) * original[begin : begin + length][::-1]
    (one,) = found_in({"a": ("train", original), "b": ("test", other)}).found
    assert one.ratio == -1
    assert one.gain == pytest.approx(gain, rel=1e-3)
    slack = 0 if gain == 1 else 3  # a sample or two more may agree by chance
    assert abs(one.earlier_begin - begin) <= slack
    assert abs(one.held_begin - at) <= slack
    assert abs(one.length - length) <= 2 * slack


@pytest.mark.fast_cases("2", "-1", "3/4", "16/25")
@pytest.mark.parametrize("ratio", [r for r in RATIOS if r != 1], ids=str)
def test_a_copy_at_each_trial_ratio_is_found(ratio: Fraction) -> None:
    size = 12_000
    signed = ratio * (-1) ** (ratio.numerator + ratio.denominator)
    original = noise(size, hash(ratio) % 1000)[:, 0]
    copy = -2.5 * retimed(original[37:], signed) + 4
    found = found_in(pair(original, copy)).found
    (one,) = found
    assert one.ratio == pytest.approx(float(signed), rel=1e-3)
    assert one.gain < 0
    assert one.length > 0.8 * len(copy)
    assert -3 <= one.earlier_begin <= one.earlier_end <= size + 3
    spread = one.earlier_end - one.earlier_begin
    assert spread == pytest.approx(one.length * ratio, rel=1e-3)


@pytest.mark.fast_cases("1.28-1.0015")
@pytest.mark.parametrize("drift", [0.9985, 0.9995, 1.0005, 1.0015])
@pytest.mark.parametrize("ratio", [2.0, 1.28, -0.75])
def test_a_ratio_near_one_on_trial_is_measured(ratio: float, drift: float) -> None:
    original = noise(40_000, 5)[:, 0]
    exact = Fraction(ratio * drift).limit_denominator(2000)
    (one,) = found_in(pair(original, retimed(original[100:], exact))).found
    assert one.ratio == pytest.approx(float(exact), rel=1e-4)


@pytest.mark.fast_cases("chebyshev")
@pytest.mark.parametrize(
    "resampled",
    [
        lambda x: resample(x, len(x) // 2),
        lambda x: decimate(x, 2),
        lambda x: decimate(x, 4),
        lambda x: np.interp(np.arange(0, len(x) - 1, 0.5), np.arange(len(x)), x),
    ],
    ids=["spectrum", "chebyshev", "chebyshev 4", "linear"],
)
def test_it_does_not_matter_by_what_filter_it_was_resampled(resampled) -> None:
    original = noise(30_000, 6)[:, 0].astype(np.float64)
    (one,) = found_in(pair(original, resampled(original))).found
    assert one.length > 10_000 * 0.6


@pytest.mark.fast_cases("-1")
@pytest.mark.parametrize("ratio", [Fraction(-1), Fraction(2), Fraction(-3, 4)], ids=str)
def test_noise_of_a_tenth_and_eight_bits_hide_no_long_copy(ratio: Fraction) -> None:
    original = noise(100_000, 7)[:, 0]
    copy = retimed(original, ratio)
    copy = copy + 0.1 * copy.std() * noise(len(copy), 8)[:, 0]
    step = 10 * copy.std() / 256
    found = found_in(pair(original, np.round(copy / step) * step)).found
    assert {round(one.ratio, 3) for one in found} == {float(ratio)}
    assert max(one.length for one in found) > 0.8 * len(copy)


def test_the_report_says_how_a_copy_is_played(tmp_path: Path) -> None:
    original = noise(20_000, 9)[:, 0]
    signals = pair(original, retimed(original, Fraction(-2)))
    signals = {**signals, "c": ("test", original[::-1, None])}
    store, split = bench(tmp_path, signals)
    with store:
        text = as_text(report_of("bench", split, search(store, split), []))
    assert "'c' 0..20000 is train 'a' 0..20000: 20000 samples, backwards\n" in text
    assert "backwards, at 0.5 of its rate, times" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rig", "name", "keys"),
    [
        ("cwru", "cwru_ir028", {}),
        ("uestc", "uestc_speed", {"test": {"speed_rpm": [1000]}}),
        ("hit_sm", "hit_speed", {"test": {"speed_rpm": [600]}}),
        ("bearing_sim", "bearing_sim", {}),
    ],
)
def test_copies_of_real_and_simulated_recordings_are_found_and_nothing_else(
    tmp_path: Path, rig: str, name: str, keys: dict
) -> None:
    with stored(tmp_path / "clean", rig) as store:
        split = make_split(store.table, dataset_of(name, **keys), name)
        assert search(store, split).found == []
        parts = split.rows.drop_duplicates("recording_id").set_index("recording_id")["part"]
        lengths = store.table.set_index("recording_id")["length"]
        train = [str(n) for n in parts.index[parts == "train"]][:6]
        test = [str(n) for n in parts.index[parts == "test"]][:2]
        read = {n: store.read(n, 0, min(int(lengths[n]), 60_000))[:, :1] for n in train + test}
    source = read[train[0]][:, 0]
    signals = {n: ("train" if n in train else "test", read[n]) for n in read}
    for ratio in (Fraction(-1), Fraction(4), Fraction(-32, 25), Fraction(2, 3)):
        copy = -3 * retimed(source[29:], ratio)
        noisy = copy + 0.01 * copy.std() * noise(len(copy), 1)[:, 0]
        signals[f"copy{float(ratio):.2f}"] = ("test", noisy[:, None])
    found = found_in(signals).found
    assert {one.earlier.recording_id for one in found} == {train[0]}
    assert {one.held.recording_id for one in found} == {n for n in signals if "copy" in n}
    for one in found:
        assert one.held.recording_id == f"copy{one.ratio:.2f}"


# --------------------------------------------------------------------------- no false alarms

T = np.arange(40_000, dtype=np.float64)


def harmonics(speed: float, count: int, seed: int) -> NDArray:
    """Many lines of a shaft with phases of their own, without noise."""
    rng = np.random.default_rng(seed)
    return sum(
        a * np.sin(k * speed * T + p)
        for k, a, p in zip(
            range(1, count + 1), rng.uniform(0.2, 1, count), rng.uniform(0, 6, count), strict=True
        )
    )


def pulses(period: float, decay: float) -> NDArray:
    """A symmetric pulse that returns, without noise."""
    phase = (T + period / 2) % period - period / 2
    return np.exp(-np.abs(phase) / decay)


def click(at: int, seed: int, level: float) -> NDArray:
    signal = level * np.random.default_rng(seed).standard_normal(len(T))
    signal[at] += 1000
    return signal


@pytest.mark.slow
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.sin(0.05 * T), np.sin(0.1 * T + 1)),
        (np.sin(0.3 * T) + np.sin(0.117 * T), np.sin(0.4 * T + 1) + np.sin(0.156 * T + 2)),
        (harmonics(0.0123, 60, 1), harmonics(0.0246, 60, 1)),
        (harmonics(0.0123, 12, 1), harmonics(0.0164, 12, 1)),
        (harmonics(0.0137, 40, 1), harmonics(0.0137, 40, 2)),
        (pulses(123.4, 3), pulses(246.8, 6)),
        (pulses(123.4, 3), pulses(164.5, 4)),
        (np.sign(np.sin(0.05 * T)), np.sign(np.sin(0.1 * T + 1))),
        (np.round(100 * np.sin(0.05 * T)), np.round(100 * np.sin(0.1 * T + 1))),
        (click(9000, 1, 0), click(20_000, 2, 0)),
        (click(9000, 1, 1), click(20_000, 2, 1)),
        (
            harmonics(0.0123, 60, 1) + 0.05 * noise(40_000, 1)[:, 0],
            harmonics(0.0246, 60, 1) + 0.05 * noise(40_000, 2)[:, 0],
        ),
    ],
    ids=[
        "tone at twice its frequency",
        "two tones at 4/3",
        "60 harmonics at twice the speed",
        "12 harmonics at 4/3 of the speed",
        "harmonics with other phases",
        "pulses at half the rate",
        "pulses at 3/4 of the rate",
        "square waves",
        "tone of 8 bits",
        "clicks in silence",
        "clicks in noise",
        "harmonics in noise at twice the speed",
    ],
)
def test_periodic_signals_at_another_speed_are_no_copies(one: NDArray, other: NDArray) -> None:
    assert [m for m in found_in(pair(one, other)).found if m.ratio != 1] == []


@pytest.mark.fast_cases("tone")
@pytest.mark.parametrize(
    "signal",
    [
        harmonics(0.0137, 40, 1) + 0.01 * noise(40_000, 1)[:, 0],
        np.sin(0.71 * T) + 0.5 * np.sin(0.2 * T + 1) + 1e-3 * noise(40_000, 1)[:, 0],
        np.cos(0.71 * T),
        pulses(123.4, 3),
    ],
    ids=["harmonics in noise", "tones in noise", "tone", "symmetric pulses"],
)
def test_a_machine_that_turns_on_is_no_copy_of_itself_backwards(signal: NDArray) -> None:
    found = found_in(pair(signal[:18_000], signal[20_000:])).found
    assert [m for m in found if m.ratio != 1] == []


@pytest.mark.slow
@examples(10)
@given(seed=st.integers(0, 10**6), smooth=st.integers(1, 9))
def test_independent_noise_of_any_colour_is_no_copy(seed: int, smooth: int) -> None:
    kernel = np.ones(smooth)
    one, other = (np.convolve(noise(30_000, seed + i)[:, 0], kernel, "same") for i in (0, 1))
    assert found_in(pair(one, other)).found == []


@pytest.mark.slow
def test_halves_of_every_simulated_gearbox_recording_are_no_copies(tmp_path: Path) -> None:
    """Order-locked lines, short recordings: much that resembles itself."""
    with stored(tmp_path, "gearbox_sim") as store:
        names = [str(n) for n in store.table["recording_id"]][:40]
        parts = {n: "train" if i % 2 else "test" for i, n in enumerate(names)}
        assert search(store, whole(store.table, parts, ["vibration"])).found == []


@pytest.mark.slow
@pytest.mark.parametrize(("rig", "name"), [("uestc", "I_1200_5"), ("hit_sm", "IR2_1200")])
def test_an_even_machine_measured_again_at_another_rate_is_no_copy(
    tmp_path: Path, rig: str, name: str
) -> None:
    """Stretches of one recording, apart: their phases agree up to 0.92 (at -1, -2 and 4/3)."""
    with stored(tmp_path, rig) as store:
        length = int(store.table.set_index("recording_id")["length"][name])
        signal = store.read(name, 0, length)[:, 0]
    before, behind = signal[: int(0.55 * length)][:60_000], signal[int(0.6 * length) :][:60_000]
    for ratio in (Fraction(-1), Fraction(-2), Fraction(2), Fraction(4, 3)):
        assert found_in(pair(before, retimed(behind, ratio))).found == [], ratio
