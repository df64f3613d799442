"""The simulated rigs: labels, determinism, and the physics that the labels stand for."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.signal import butter, hilbert, sosfiltfilt

from workflow_src.data.recordings import NORMAL, Recording
from workflow_src.data.sources.simulated import SimulatedOptions, simulate
from workflow_src.data.sources.simulated.bearing import DEFECT_ORDERS, FAULTS, ORDERS
from workflow_src.data.sources.simulated.gearbox import PINION_TEETH
from workflow_src.data.sources.simulated.run_to_failure import ONSETS, SNAPSHOT_EVERY_S, DrawnLife
from workflow_src.data.sources.simulated.structure import STEPS_PER_G, Mode, impacts, ring
from workflow_src.errors import UserError

from ..examples import examples

KINDS = ("bearing", "gearbox", "run_to_failure")


def recordings(**options: object) -> list[Recording]:
    return list(simulate(SimulatedOptions.model_validate(options)))


def digest(rig: list[Recording]) -> str:
    return hashlib.sha256(b"".join(r.signal.tobytes() for r in rig)).hexdigest()


def envelope_lines(recording: Recording, orders: list[float]) -> np.ndarray:
    """Envelope line near each order over the median line, band above 2 kHz, first channel."""
    rate = recording.rate_hz
    assert rate is not None
    band = butter(4, [2000 / (rate / 2), 0.9], "band", output="sos")
    envelope = np.abs(hilbert(sosfiltfilt(band, recording.signal[:, 0]))) ** 2
    spectrum = np.abs(np.fft.rfft(envelope - envelope.mean()))
    order = np.fft.rfftfreq(len(envelope), 1 / rate) * 60 / float(recording.attributes["speed_rpm"])
    near = [spectrum[np.abs(order / wanted - 1) < 0.02].max() for wanted in orders]
    return np.asarray(near) / np.median(spectrum[order < 20])


# --- contracts ---------------------------------------------------------------------------------


@examples(15)
@given(
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 2**40),
    units=st.integers(3, 5),
    speeds=st.lists(st.integers(300, 4000), min_size=1, max_size=3, unique=True),
    samples=st.integers(256, 600),
)
def test_any_options_give_well_formed_recordings(kind, seed, units, speeds, samples):
    rig = recordings(
        kind=kind, seed=seed, units_per_class=units, speeds_rpm=speeds, samples=samples
    )
    channels = {"bearing": 1, "gearbox": 2, "run_to_failure": 1}[kind]
    assert len({r.recording_id for r in rig}) == len(rig)
    units_of_fault = defaultdict(set)
    for r in rig:
        assert re.fullmatch(r"[A-Za-z0-9_.-]+", r.recording_id)
        assert r.signal.shape == (samples, channels)
        assert r.signal.dtype == np.float32
        assert np.isfinite(r.signal).all()
        assert r.signal.std() > 0
        assert r.channel_kinds == ("vibration",) * channels
        assert float(r.attributes["speed_rpm"]) in speeds
        units_of_fault[r.fault].add(r.unit_id)
    assert min(len(ids) for ids in units_of_fault.values()) >= 3
    if kind != "run_to_failure":  # a unit has one class and every condition
        assert {len(ids) for ids in units_of_fault.values()} == {units}
        assert len(set.union(*units_of_fault.values())) == units * len(units_of_fault)
        assert all(r.run_id == r.recording_id for r in rig)


@pytest.mark.fast_cases("bearing")
@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_bytes_other_seed_other_bytes(kind):
    first, again = recordings(kind=kind, samples=512), recordings(kind=kind, samples=512)
    assert first[0].recording_id == again[0].recording_id
    assert digest(first) == digest(again)
    assert digest(first) != digest(recordings(kind=kind, samples=512, seed=2))


@pytest.mark.fast_cases("bearing")
@pytest.mark.parametrize("kind", ["bearing", "gearbox"])
def test_another_speed_leaves_the_other_recordings_as_they_were(kind):
    few = {r.recording_id: r for r in recordings(kind=kind, speeds_rpm=[1500], samples=512)}
    more = {r.recording_id: r for r in recordings(kind=kind, speeds_rpm=[900, 1500], samples=512)}
    assert len(more) == 2 * len(few)
    for name, recording in few.items():
        np.testing.assert_array_equal(recording.signal, more[name].signal)


def test_bytes_do_not_hang_on_the_last_digit():
    signal = recordings(kind="bearing", samples=512)[0].signal
    np.testing.assert_array_equal(signal * STEPS_PER_G, np.round(signal * STEPS_PER_G))


@pytest.mark.slow
def test_all_three_rigs_are_small():
    assert sum(r.signal.nbytes for kind in KINDS for r in recordings(kind=kind)) < 30e6


@pytest.mark.parametrize("kind", KINDS)
def test_rate_too_low_names_the_key_that_mends_it(kind):
    with pytest.raises(UserError, match="rate_hz: "):
        recordings(kind=kind, rate_hz=4000.0)


@pytest.mark.parametrize(
    "wrong", [{"units_per_class": 2}, {"speeds_rpm": [1500, 1500]}, {"speeds_rpm": []}, {"snr": 3}]
)
def test_wrong_options_are_refused(wrong):
    with pytest.raises(ValidationError):
        SimulatedOptions.model_validate({"kind": "bearing"} | wrong)


@pytest.mark.fast_cases("*-bearing")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "key", [{"seed": 5}, {"speeds_rpm": (1000.0,)}, {"rate_hz": 16000.0}, {"snr_db": 20.0}]
)
def test_every_key_is_read(kind, key):
    assert digest(recordings(kind=kind, samples=512, **key)) != digest(
        recordings(kind=kind, samples=512)
    )


# --- physics -----------------------------------------------------------------------------------


def test_kinematics_of_a_6205():
    """Multiples of the shaft frequency that the manufacturer gives for this bearing."""
    assert DEFECT_ORDERS["inner"] == pytest.approx(5.4152, abs=2e-4)
    assert DEFECT_ORDERS["outer"] == pytest.approx(3.5848, abs=2e-4)
    assert DEFECT_ORDERS["ball"] == pytest.approx(4.7135, abs=1e-3)
    assert ORDERS["FTF"] == pytest.approx(0.39828, abs=2e-4)
    assert DEFECT_ORDERS["outer"] == pytest.approx(9 * ORDERS["FTF"])


def test_ringing_is_the_impulse_response_of_a_damped_oscillator():
    rate, mode = 20000.0, Mode(frequency_hz=1000.0, damping=0.05, gain=2.0)
    axis = np.arange(400) / rate
    response = ring(impacts(np.zeros(1), np.ones(1), axis), [mode], rate)
    omega = 2 * np.pi * mode.frequency_hz
    expected = 2 * np.exp(-0.05 * omega * axis) * np.sin(omega * np.sqrt(1 - 0.05**2) * axis)
    np.testing.assert_allclose(response, expected, atol=1e-9)


def test_impacts_keep_their_time_between_samples():
    axis = np.arange(100) / 1000.0
    train = impacts(np.array([0.0402, 5.0]), np.array([3.0, 1.0]), axis)
    assert train.sum() == pytest.approx(3.0)  # the one outside the axis is left out
    assert train @ axis / train.sum() == pytest.approx(0.0402)


def test_defect_orders_stand_out_of_the_envelope_spectrum():
    orders = [DEFECT_ORDERS[fault] for fault in FAULTS]
    rig = recordings(kind="bearing", snr_db=30.0, units_per_class=4, samples=25600)
    for r in rig:
        lines = envelope_lines(r, orders)
        if r.fault in FAULTS:
            own = FAULTS.index(r.fault)
            assert lines[own] > 6, r.recording_id
            assert np.argmax(lines) == own, r.recording_id
        else:
            assert lines.max() < 6, r.recording_id


@pytest.mark.slow
def test_mesh_frequency_dominates_and_a_broken_tooth_hits_once_a_turn():
    rig = recordings(kind="gearbox", snr_db=30.0, units_per_class=4)
    turn = defaultdict(list)
    for r in rig:
        x = r.signal[:, 0]
        spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x)))) ** 2
        mesh = np.fft.rfftfreq(len(x), 1 / r.rate_hz) / (PINION_TEETH * 25)
        near = np.abs(mesh - 1) < 0.2  # the line and its first sidebands
        assert spectrum[near].sum() > 10 * spectrum[mesh < 0.8].sum(), r.recording_id
        turn[r.fault].append(envelope_lines(r, [1.0, 2.0, 3.0]).min())
    median = {fault: np.median(lines) for fault, lines in turn.items()}
    assert min(median["broken"], median["chipped"]) > 4 * median[NORMAL]


# --- lives -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_lives_are_labelled_consistently():
    runs = defaultdict(list)
    for r in recordings(kind="run_to_failure"):
        runs[r.run_id].append(r)
    for run, parts in runs.items():
        times = np.array([r.time_s for r in parts])
        np.testing.assert_allclose(np.diff(times), SNAPSHOT_EVERY_S)
        life, onset = parts[0].life_s, parts[0].onset_s
        assert 0 < onset < life
        assert life - SNAPSHOT_EVERY_S <= times[-1] < life
        for r in parts:
            assert (r.unit_id, r.life_s, r.onset_s) == (run, life, onset)
            assert (r.fault == NORMAL) == (r.time_s < onset)
        assert {r.fault for r in parts} == {NORMAL, run.split("_")[0]}
    lives = [parts[0].life_s for parts in runs.values()]
    assert max(lives) >= 5 * min(lives)
    assert {parts[0].attributes["growth"] for parts in runs.values()} == set(ONSETS)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_lives_spread_five_fold_and_amplitude_carries_the_damage(seed):
    runs = defaultdict(list)
    for r in recordings(kind="run_to_failure", seed=seed):
        runs[r.run_id].append(r)
    lives = [parts[0].life_s for parts in runs.values()]
    assert max(lives) >= 5 * min(lives)
    healthy = [np.log(parts[0].signal.std()) for parts in runs.values()]
    worn = [np.log(parts[-1].signal.std()) for parts in runs.values()]
    # Units start alike (one sensor), and every one ends louder than any begins.
    assert np.std(healthy) < 0.1
    assert min(worn) > max(healthy)


@given(
    growth=st.sampled_from(sorted(ONSETS)),
    shares=st.lists(st.floats(0, 1), min_size=2, max_size=20),
)
def test_damage_never_heals(growth, shares):
    life = DrawnLife(growth, onset_s=100.0, life_s=300.0, steps=(0.2, 0.5, 0.8))
    damage = [life.damage(100 + 200 * share) for share in sorted(shares)]
    assert all(after >= before for before, after in pairwise(damage))
    assert life.damage(100.0) == pytest.approx(0.0)
    assert life.damage(300.0) == pytest.approx(1.0)
    middle = life.damage(200.0)
    assert {"late": middle < 0.3, "early": middle > 0.6, "stepwise": 0.4 < middle < 0.7}[growth]
