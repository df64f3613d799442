"""Embeddings: the reference arrays, where patches lie, what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from workflow_src.errors import UserError
from workflow_src.models.embedding import HybridSpatialEmbedding, PatchEmbedding, patch_stride

from ..examples import examples


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
@examples(60)
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


def written_out(embedding: HybridSpatialEmbedding, window: Tensor, starts: Tensor) -> Tensor:
    """The definition by loops, in float64, every channel in each patch."""
    samples, length, _ = window.shape
    held = math.ceil(embedding.patch_length / length)
    tokens = []
    for b in range(samples):
        for start in starts[b].tolist():
            row = []
            for j in range(embedding.patch_length):
                at = (start + j) // held
                row += [*window[b, at].tolist(), *[at / embedding.rate_hz] * window.shape[2]]
            inputs = torch.tensor(row, dtype=torch.float64)
            hidden = embedding.hidden.weight @ inputs + embedding.hidden.bias
            tokens.append(embedding.out.weight @ functional.silu(hidden) + embedding.out.bias)
    return torch.stack(tokens).view(samples, starts.shape[1], -1)


@given(
    window=st.integers(1, 12),
    channels=st.integers(1, 3),
    length=st.integers(1, 40),
    count=st.integers(1, 6),
    training=st.booleans(),
)
@examples(60)
def test_hybrid_is_its_definition_for_patches_of_any_length(
    window: int, channels: int, length: int, count: int, training: bool
) -> None:
    embedding = HybridSpatialEmbedding(window, channels, length, count, 5, 20.0).double()
    embedding.train(training)
    signal = torch.randn(3, window, channels, dtype=torch.float64, requires_grad=True)
    keys = torch.arange(3)
    starts = embedding.starts(3, keys, keys.device)
    tokens, expected = embedding(signal, keys), written_out(embedding, signal, starts)
    torch.testing.assert_close(tokens, expected, rtol=1e-10, atol=1e-10)


def test_hybrid_holds_samples_where_a_patch_is_longer_than_the_window() -> None:
    """15 samples, patches of 32: each is held 3 times, and the patches lie in 45 samples."""
    embedding = hybrid(window=15, patch_length=32)
    keys = torch.arange(400)
    drawn = embedding.starts(400, keys, keys.device)
    assert set(drawn.flatten().tolist()) == set(range(45 - 32 + 1))
    even = embedding.eval().starts(1, None, keys.device)[0]
    assert (even[0], even[-1]) == (0, 45 - 32)
    window = torch.randn(1, 15, 2)
    held = window.repeat_interleave(3, dim=1)  # the signal alone: its time counts held samples
    longer = hybrid(window=45, patch_length=32).eval()
    longer.load_state_dict(embedding.state_dict())
    for one in (embedding, longer):
        one.hidden.weight.data.view(-1, 32, 2, 2)[:, :, 1] = 0
    assert torch.equal(embedding(window), longer(held))


def test_hybrid_with_held_samples_has_gradients_of_its_definition() -> None:
    embedding = hybrid(window=5, patch_length=12).double().eval()
    signal = torch.randn(2, 5, 2, dtype=torch.float64, requires_grad=True)
    starts = embedding.starts(2, None, signal.device)
    parameters = [signal, *embedding.parameters()]
    weights = torch.randn(2, 7, 6, dtype=torch.float64)

    def by(tokens: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad((tokens * weights).sum(), parameters)

    written = by_hand(embedding, signal, starts)
    for own, expected in zip(by(embedding(signal)), by(written), strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-10, atol=1e-12)


def by_hand(embedding: HybridSpatialEmbedding, signal: Tensor, starts: Tensor) -> Tensor:
    """The definition, kept differentiable: patches of [signal, time] as one matrix."""
    at = (starts[..., None] + torch.arange(12)) // 3  # (B, N, P)
    patches = torch.stack([signal[b][at[b]] for b in range(len(signal))])  # (B, N, P, C)
    times = at[..., None].expand_as(patches).to(signal.dtype) / embedding.rate_hz
    inputs = torch.cat([patches, times], dim=-1).flatten(2)
    return embedding.out(functional.silu(embedding.hidden(inputs)))


@pytest.mark.parametrize("micro", [1, 2, 5])
def test_hybrid_with_held_samples_draws_alike_in_any_micro_batch(micro: int) -> None:
    embedding = hybrid(window=15, patch_length=32).double()
    window, keys = torch.randn(8, 15, 2, dtype=torch.float64), torch.arange(8) + 77
    whole = embedding(window, keys)
    pieces = zip(window.split(micro), keys.split(micro), strict=True)
    parts = torch.cat([embedding(w, k) for w, k in pieces])
    torch.testing.assert_close(parts, whole, rtol=1e-12, atol=1e-12)


def test_hybrid_refuses_no_patch() -> None:
    with pytest.raises(UserError, match="at least one patch"):
        hybrid(patch_length=0)
