"""Embeddings: the reference arrays, where patches lie, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from workflow_src.errors import UserError
from workflow_src.models.embedding import HybridSpatialEmbedding, PatchEmbedding, patch_stride


@pytest.mark.oracle("patch_tslib_*")
def test_patches_reference(oracle: Any) -> None:
    """The reference takes each channel alone, pads one stride and adds sinusoids."""
    length, stride = oracle.meta["patch_len"], oracle.meta["stride"]
    series = oracle.input()  # (B, L, C)
    padded = functional.pad(
        series.transpose(1, 2), (0, oracle.meta["padding"]), mode="replicate"
    )  # (B, C, L')
    window = padded.flatten(0, 1)[..., None]  # (B, C, L') -> (B C, L', 1)
    count = oracle["out.y"].shape[1]
    embedding = PatchEmbedding(window.shape[1], 1, length, count, oracle.meta["d_model"])
    assert (embedding.stride, embedding.skipped) == (stride, 0)
    weight = oracle["sd.value_embedding.weight"]
    positions = oracle["sd.position_embedding.pe"][0, :count]
    oracle.fill(embedding, {"projection.weight": weight[:, None], "positions": positions})
    tokens = embedding(window)
    oracle.holds("out", "y", tokens)
    patches = padded.unfold(-1, length, stride)  # the reference hands them out as well
    ((tokens * oracle["cot.y"]).sum() + (patches * oracle["cot.patches"]).sum()).backward()
    oracle.holds("gin", "x", series.grad)
    gradient = embedding.projection.weight.grad
    assert gradient is not None
    oracle.holds("gsd", "value_embedding.weight", gradient.squeeze(1))


@pytest.mark.oracle("hse_*")
def test_hybrid_reference(oracle: Any) -> None:
    meta, window = oracle.meta, oracle.input()
    sizes = (meta["patch_size_C"], meta["patch_size_L"], meta["num_patches"], meta["output_dim"])
    embedding = HybridSpatialEmbedding(window.shape[1], *sizes)
    names = {
        f"{own}.{part}": f"{theirs}.{part}"
        for own, theirs in (("hidden", "linear1"), ("out", "linear2"))
        for part in ("weight", "bias")
    }
    oracle.fill(embedding, {own: oracle[f"sd.{theirs}"] for own, theirs in names.items()})
    tokens = embedding.embed(window, oracle["x.start_L"], oracle["x.start_C"], oracle["x.fs"])
    oracle.holds("out", "y", tokens)
    (tokens * oracle["cot.y"]).sum().backward()
    oracle.holds("gin", "x", window.grad)
    for own, theirs in names.items():
        oracle.holds("gsd", theirs, embedding.get_parameter(own).grad)


@given(
    window=st.integers(1, 400),
    channels=st.integers(1, 8),
    length=st.integers(1, 64),
    count=st.integers(1, 20),
)
@settings(max_examples=60, deadline=None)
def test_patches_fill_the_window_up_to_its_last_sample_or_are_refused(
    window: int, channels: int, length: int, count: int
) -> None:
    try:
        embedding = PatchEmbedding(window, channels, length, count, 6)
    except UserError:
        assert length > window or count > window - length + 1
        return
    assert embedding.skipped >= 0
    assert embedding.skipped + (count - 1) * embedding.stride + length == window
    signal = torch.zeros(1, window, channels)
    quiet = embedding(signal)
    assert quiet.shape == (1, count, 6)
    signal[:, -1] = 1.0  # the last sample moves the last patch, the sample before only where seen
    moved = (embedding(signal) != quiet).any(dim=2)[0]
    assert moved[-1]
    assert not moved[:-1].any()


def test_left_over_samples_are_cut_at_the_start() -> None:
    embedding = PatchEmbedding(103, 2, 16, 6, 4)
    assert (embedding.stride, embedding.skipped) == (17, 2)
    window = torch.randn(1, 103, 2)
    changed = window.clone()
    changed[:, :2] += 1.0
    assert torch.equal(embedding(window), embedding(changed))


@pytest.mark.parametrize(
    ("window", "length", "count", "remedy"),
    [(16, 32, 4, "patch_length: 6"), (16, 8, 10, "patch_count: 9"), (16, 0, 4, "patch_length: 32")],
)
def test_impossible_patches_name_the_key_that_mends_them(
    window: int, length: int, count: int, remedy: str
) -> None:
    with pytest.raises(UserError, match=remedy):
        patch_stride(window, length, count)


def test_refused_patch_length_is_mended_by_its_remedy() -> None:
    for window in range(1, 40):
        for count in range(1, window + 1):
            with pytest.raises(UserError) as refused:
                patch_stride(window, window + 1, count)
            remedy = int(str(refused.value).rsplit("patch_length: ", 1)[1])
            assert patch_stride(window, remedy, count) >= 1


def hybrid(**changes: Any) -> HybridSpatialEmbedding:
    sizes = {"window": 200, "patch_channels": 2, "patch_length": 16, "patch_count": 7, "width": 6}
    return HybridSpatialEmbedding(**(sizes | changes))


@pytest.mark.parametrize("count", [1, 2, 7, 50])
def test_hybrid_evaluation_is_even_repeatable_and_ends_with_the_window(count: int) -> None:
    embedding = hybrid(patch_count=count).eval()
    starts = embedding.starts(3, None, torch.device("cpu"))
    assert starts.shape == (3, count)
    assert (starts[:, -1] == 200 - 16).all()
    assert count == 1 or (starts[:, 0] == 0).all()
    steps = starts.diff(dim=1)
    assert count == 1 or steps.max() - steps.min() <= 1
    window = torch.randn(3, 200, 2)
    assert torch.equal(embedding(window), embedding(window))


def test_hybrid_training_draws_by_key_and_reaches_every_start() -> None:
    embedding = hybrid(window=24)
    keys = torch.arange(400)
    starts = embedding.starts(400, keys, keys.device)
    assert set(starts.flatten().tolist()) == set(range(24 - 16 + 1))
    assert (starts.diff(dim=1) >= 0).all()
    assert torch.equal(starts[37:40], embedding.starts(3, keys[37:40], keys.device))


def test_hybrid_time_is_counted_in_samples_without_a_rate() -> None:
    window = torch.randn(2, 200, 2)
    plain, rated = hybrid().eval(), hybrid(rate_hz=1.0).eval()
    rated.load_state_dict(plain.state_dict())
    assert torch.equal(plain(window), rated(window))


def test_hybrid_refuses_a_patch_longer_than_the_window() -> None:
    with pytest.raises(UserError, match="longer than the window"):
        hybrid(window=15)
