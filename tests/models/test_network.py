"""Trunk and network: shapes, independence of batch mates and micro-batches, refusals, size."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from workflow_src.errors import UserError
from workflow_src.models.draws import KeyedDropout
from workflow_src.models.network import Network, build_trunk

from ..examples import examples

BACKBONES = ("dlinear", "patchtst", "timesnet", "fno")
EMBEDDINGS = ("patch", "hse")


def options(**changes: Any) -> dict[str, Any]:
    small = {
        "backbone": "dlinear",
        "embedding": "patch",
        "normalisation": "window",
        "width": 8,
        "depth": 2,
        "heads": 2,
        "feed_forward": 12,
        "patch_length": 8,
        "patch_count": 12,
        "dropout": 0.0,
        "kernel": 5,
        "individual": False,
        "modes": 4,
        "top_k": 2,
        "kernels": 2,
    }
    return small | changes


class MeanHead(nn.Module):
    """Tokens averaged, the extra beside them."""

    def __init__(self, width: int, outputs: int, extras: int = 0) -> None:
        super().__init__()
        self.map = nn.Linear(width + extras, outputs)

    def forward(self, tokens: Tensor, extra: Tensor | None) -> Tensor:
        pooled = tokens.mean(dim=1)
        return self.map(pooled if extra is None else torch.cat([pooled, extra], dim=1))


def network(window: int = 100, channels: int = 2, **changes: Any) -> Network:
    torch.manual_seed(0)
    trunk = build_trunk(options(**changes), window, channels, rate_hz=1000.0)
    width = trunk.shape.width
    return Network(trunk, {"class": MeanHead(width, 3), "life": MeanHead(width, 1, extras=2)})


def step(model: Network, window: Tensor, keys: Tensor, size: int) -> dict[str, Tensor]:
    """Gradients of the summed loss, the batch in parts of `size`."""
    model.zero_grad()
    extras = torch.ones(len(window), 2, dtype=window.dtype)
    for part in torch.arange(len(window)).split(size):
        outputs = model(window[part], {"life": extras[part]}, keys[part])
        (outputs["class"].square().sum() + outputs["life"].sum()).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@given(
    backbone=st.sampled_from(BACKBONES),
    embedding=st.sampled_from(EMBEDDINGS),
    normalisation=st.sampled_from(("window", "none")),
    window=st.integers(24, 300),
    channels=st.integers(1, 8),
    batch=st.integers(1, 4),
    depth=st.integers(1, 3),
    individual=st.booleans(),
)
@examples(60)
def test_any_window_and_channels_give_finite_tokens_and_gradients(
    backbone: str,
    embedding: str,
    normalisation: str,
    window: int,
    channels: int,
    batch: int,
    depth: int,
    individual: bool,
) -> None:
    chosen = options(
        backbone=backbone,
        embedding=embedding,
        normalisation=normalisation,
        depth=depth,
        individual=individual,
    )
    trunk = build_trunk(chosen, window, channels, rate_hz=None)
    features = trunk(torch.randn(batch, window, channels))
    assert features.tokens.shape == (batch, 12, 8)
    assert features.scale.std.shape == (batch, 1, channels)
    features.tokens.square().sum().backward()
    for name, parameter in trunk.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert len(trunk.backbone.layers) == depth


@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_sample_alone_equals_itself_in_a_batch(backbone: str, embedding: str) -> None:
    trunk = network(backbone=backbone, embedding=embedding).trunk.double().eval()
    window = torch.randn(9, 100, 2, dtype=torch.float64)
    together = trunk(window).tokens
    alone = torch.cat([trunk(window[i : i + 1]).tokens for i in range(9)])
    torch.testing.assert_close(alone, together, atol=1e-12, rtol=0)


@pytest.mark.fast_cases("dlinear*", "patchtst*")
@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_gradients_do_not_depend_on_the_micro_batch_even_with_dropout(
    backbone: str, embedding: str
) -> None:
    model = network(backbone=backbone, embedding=embedding, dropout=0.3).double().train()
    window, keys = torch.randn(8, 100, 2, dtype=torch.float64), torch.randint(2**62, (8,))
    whole = step(model, window, keys, 8)
    for size in (1, 3):
        parts = step(model, window, keys, size)
        for name, gradient in whole.items():
            torch.testing.assert_close(parts[name], gradient, atol=1e-10, rtol=1e-10)
    other = step(model, window, keys + 1, 8)
    assert any(not torch.allclose(other[name], whole[name]) for name in whole)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_recomputing_activations_changes_no_bit(backbone: str) -> None:
    model = network(backbone=backbone, dropout=0.2).train()
    window, keys = torch.randn(4, 100, 2), torch.arange(4)
    kept = step(model, window, keys, 4)
    model.trunk.backbone.checkpointing = True
    for name, gradient in step(model, window, keys, 4).items():
        assert torch.equal(gradient, kept[name]), name


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_dropout_of_a_trunk_draws_apart(backbone: str) -> None:
    trunk = network(backbone=backbone, depth=3, dropout=0.1).trunk
    salts = [place.salt for place in trunk.modules() if isinstance(place, KeyedDropout)]
    assert len(salts) >= 4
    assert len(set(salts)) == len(salts)


@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_lower_precision_runs_and_stays_close(backbone: str, embedding: str) -> None:
    trunk = network(backbone=backbone, embedding=embedding, individual=True).trunk
    window, keys = torch.randn(4, 100, 2), torch.arange(4)
    exact = trunk(window, keys).tokens
    with torch.autocast("cpu", dtype=torch.bfloat16):
        lower = trunk(window, keys).tokens
    lower.float().square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in trunk.parameters())
    assert (lower - exact).abs().mean() < 0.05 * exact.abs().max()


@pytest.mark.fast_cases("dlinear")
@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_few_steps_lower_the_loss(backbone: str) -> None:
    """Tones of two pitches in noise, to be told apart from a head that averages the tokens."""
    model = network(window=128, channels=1, backbone=backbone, normalisation="none").train()
    cycles = torch.tensor([4.0, 11.0]).repeat(16)
    phase = torch.rand(32, 1) * 6.28
    tone = torch.sin(6.2832 * cycles[:, None] * torch.linspace(0, 1, 128) + phase)
    window, target = (tone + 0.1 * torch.randn(32, 128))[..., None], (cycles > 5).long()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        logits = model(window, {"life": torch.zeros(32, 2)})["class"]
        loss = nn.functional.cross_entropy(logits, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_heads_read_their_own_extra_and_the_scale_is_kept() -> None:
    model = network().eval()
    window = 5.0 + 2.0 * torch.randn(3, 100, 2)
    features = model.trunk(window)
    extras = {"life": torch.randn(3, 2)}
    outputs = model(window, extras)
    assert {name: tuple(out.shape) for name, out in outputs.items()} == {
        "class": (3, 3),
        "life": (3, 1),
    }
    for name, out in model.outputs(features, extras).items():
        assert torch.equal(out, outputs[name])
    torch.testing.assert_close(features.scale.mean[:, 0], window.mean(dim=1))


def test_normalised_trunk_does_not_see_the_unit() -> None:
    trunk = network().trunk.double().eval()
    window = torch.randn(3, 100, 2, dtype=torch.float64)
    torch.testing.assert_close(trunk(window).tokens, trunk(3e-4 * window + 9.0).tokens)
    plain = network(normalisation="none").trunk.double().eval()
    assert not torch.allclose(plain(window).tokens, plain(3e-4 * window + 9.0).tokens)


def test_dlinear_trunk_of_the_paper_stays_small() -> None:
    chosen = options(width=256, patch_count=64, patch_length=64, kernel=25)
    trunk = build_trunk(chosen, 4096, 2)
    assert sum(parameter.numel() for parameter in trunk.parameters()) < 100_000


@pytest.mark.parametrize("size", [(99, 2), (100, 1)])
def test_window_of_another_shape_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(UserError, match="another shape"):
        network().trunk(torch.zeros(1, *size))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("embedding", "linear", "patch | hse"),
        ("normalisation", "rig", "window | none"),
        ("heads", 3, "heads: 2"),
        ("modes", 8, "modes: 7"),
        ("top_k", 7, "top_k: 6"),
        ("kernel", 4, "kernel: 5"),
        ("patch_length", 101, "patch_length: 15"),
    ],
)
def test_bad_options_are_refused_with_their_remedy(key: str, value: Any, said: str) -> None:
    reader = {"heads": "patchtst", "modes": "fno", "top_k": "timesnet"}.get(key, "dlinear")
    with pytest.raises(UserError) as refused:
        build_trunk(options(**({"backbone": reader} | {key: value})), 100, 2)
    assert said in str(refused.value)


@pytest.mark.parametrize("normalisation", ["window", "none"])
def test_hse_takes_patches_longer_than_the_window(normalisation: str) -> None:
    chosen = options(embedding="hse", patch_length=250, normalisation=normalisation)
    trunk = build_trunk(chosen, 100, 2, rate_hz=12_000.0)
    features = trunk(torch.randn(3, 100, 2), torch.arange(3))
    assert features.tokens.shape == (3, 12, 8)
    features.tokens.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in trunk.parameters())
