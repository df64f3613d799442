"""Anchors are where winnowing puts them, over blocks as over the whole, and silence has none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.data.audit import anchors as module
from workflow_src.data.audit.anchors import HASHED, REACHES, anchors, reach_of

from ...examples import examples
from .benches import noise


@examples(20)
@given(seed=st.integers(0, 10**6), reach=st.sampled_from(REACHES), length=st.integers(300, 3000))
def test_an_anchor_is_the_least_hash_of_some_places_in_a_row(
    seed: int, reach: int, length: int
) -> None:
    signal = noise(length, seed)[:, 0]
    if length < HASHED + reach - 1:
        assert len(anchors(signal, reach)[0]) == 0
        return
    hashes = module._hashes(signal)
    assert len(hashes) == length - HASHED + 1
    windows = np.lib.stride_tricks.sliding_window_view(hashes, reach)
    expected = np.unique(windows.argmin(1) + np.arange(len(windows)))
    found, places = anchors(signal, reach)
    assert places.tolist() == expected.tolist()
    assert found.tolist() == hashes[expected].tolist()


def test_blocks_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    signal = noise(20_000, 1)[:, 0]
    whole = anchors(signal, 256)
    monkeypatch.setattr(module, "_BLOCK", 700)
    for one, other in zip(whole, anchors(signal, 256), strict=True):
        np.testing.assert_array_equal(one, other)


def test_silence_saturation_and_ramps_have_no_anchor_and_a_pattern_has_few() -> None:
    for flat in (np.zeros(5000), np.full(5000, -1.0), np.arange(5000.0), -np.arange(5000.0)):
        assert len(anchors(flat.astype(np.float32), 256)[0]) == 0
    assert len(anchors(np.tile([0, 1, 0, 2], 5000).astype(np.float32), 256)[0]) < 10


@pytest.mark.parametrize(("span", "reach"), [(384, 256), (383, 128), (256, 128), (160, 32)])
def test_the_reach_shrinks_with_the_span(span: int, reach: int) -> None:
    assert reach_of(span) == reach
    assert reach_of(159) is None


@pytest.mark.parametrize("length", [0, 63, 64, 65, 200, 1003])
def test_words_are_the_64_bits_from_each_place_on(length: int) -> None:
    bits = np.random.default_rng(length).random(length) < 0.5
    powers = [1 << i for i in range(64)]
    places = range(max(0, length - 63))
    expected = [sum(p for p, bit in zip(powers, bits[i:], strict=False) if bit) for i in places]
    assert module._words(bits).tolist() == expected
