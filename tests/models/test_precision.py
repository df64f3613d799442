"""Every backbone under autocast: finite, close to float32, the same bits when recomputed."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from workflow_src.models.embedding import HybridSpatialEmbedding
from workflow_src.models.fno import FourierLayer
from workflow_src.models.network import Trunk, build_trunk
from workflow_src.models.normalisation import normalise
from workflow_src.models.precision import at_least_single, full_precision
from workflow_src.models.timesnet import amplitude_spectrum

BACKBONES = ("dlinear", "patchtst", "timesnet", "fno")
EMBEDDINGS = ("patch", "hse")
HALF = (torch.bfloat16, torch.float16)
TOLERANCE = {torch.bfloat16: 1e-2, torch.float16: 2e-3}
SCALE = {torch.bfloat16: 1.0, torch.float16: 2.0**10}  # of the loss
DEVICES = (
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
)


def trunk(backbone: str, embedding: str, **changes: Any) -> Trunk:
    torch.manual_seed(0)
    options = {
        "backbone": backbone,
        "embedding": embedding,
        "normalisation": "window",
        "width": 32,
        "depth": 2,
        "heads": 4,
        "feed_forward": 64,
        "patch_length": 32,
        "patch_count": 32,
        "dropout": 0.1,
        "kernel": 9,
        "individual": False,
        "modes": 12,
        "top_k": 3,
        "kernels": 3,
    }
    return build_trunk(options | changes, 1024, 2, rate_hz=1000.0)


def step(model: Trunk, dtype: torch.dtype | None, size: int = 8) -> tuple[Tensor, Tensor]:
    """Tokens, and the gradient of a random weighting of them, all parameters in one vector.

    In micro-batches of `size`.
    """
    model.zero_grad()
    device = next(model.parameters()).device
    window = torch.randn(8, 1024, 2, generator=torch.Generator().manual_seed(1)).to(device)
    weights = torch.randn(8, 32, 32, generator=torch.Generator().manual_seed(2)).to(device)
    scale, parts = SCALE[dtype] if dtype else 1.0, []
    for rows in torch.arange(8, device=device).split(size):
        with torch.autocast(device.type, dtype=dtype) if dtype else nullcontext():
            tokens = model(window[rows], rows).tokens
        ((tokens.float() * weights[rows]).sum() / len(window) * scale).backward()
        parts.append(tokens.detach().double())
    gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return torch.cat(parts), torch.cat(gradients).double() / scale


def relative(value: Tensor, reference: Tensor) -> float:
    return float((value - reference).norm() / reference.norm())


@pytest.mark.fast_cases("dlinear*", "[pf]*-patch-bf16-*")
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", HALF, ids=["bf16", "fp16"])
@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_tokens_and_gradients_are_close_to_those_of_float32(
    backbone: str, embedding: str, dtype: torch.dtype, device: str
) -> None:
    """Relative errors in Euclidean norm, all parameters together.

    Over 10 seeds on CPU: tokens at most 6e-3 (bf16) and 8e-4 (fp16), gradients 7e-3 and 1e-3, their
    cosine above 0.9999. In bf16 TimesNet can be further off (tokens 4e-2, gradients 7e-2, cosine
    0.997), where rounding makes another period of a sample the strongest.
    """
    model = trunk(backbone, embedding).to(device).train()
    exact, half = step(model, None), step(model, dtype)
    assert all(torch.isfinite(value).all() for value in half)
    chosen = backbone == "timesnet" and dtype == torch.bfloat16
    for value, reference in zip(half, exact, strict=True):
        assert relative(value, reference) < (0.1 if chosen else TOLERANCE[dtype])
    cosine = torch.cosine_similarity(half[1], exact[1], dim=0)
    assert cosine > (0.99 if chosen else 0.9999)
    assert not torch.equal(half[0], exact[0]), "nothing was computed in half precision"


@pytest.mark.fast_cases("dlinear*", "[pf]*-patch-bf16")
@pytest.mark.parametrize("dtype", HALF, ids=["bf16", "fp16"])
@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_recomputing_activations_changes_no_bit_in_half_precision(
    backbone: str, embedding: str, dtype: torch.dtype
) -> None:
    """Backward runs outside autocast: the recomputation has to switch it on again by itself."""
    model = trunk(backbone, embedding).train()
    kept = step(model, dtype)
    model.backbone.checkpointing = True
    assert all(map(torch.equal, step(model, dtype), kept))


@pytest.mark.fast_cases("dlinear*", "[pf]*-patch-bf16")
@pytest.mark.parametrize("dtype", HALF, ids=["bf16", "fp16"])
@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_micro_batches_round_no_more_than_half_precision_does(
    backbone: str, embedding: str, dtype: torch.dtype
) -> None:
    """Each rounds its gradient of a weight: measured 2e-3 to 4e-3 (bf16), 3e-4 to 5e-4 (fp16)."""
    model = trunk(backbone, embedding).train()
    _, whole = step(model, dtype)
    for size in (1, 3):
        assert relative(step(model, dtype, size)[1], whole) < TOLERANCE[dtype]


class Products(TorchDispatchMode):
    """Notes the types of what goes into each matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, torch.dtype]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in ("bmm", "baddbmm", "mm", "addmm", "mv"):
            self.seen.append((name, args[-1].dtype))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("dtype", HALF, ids=["bf16", "fp16"])
def test_only_the_pointwise_path_of_fno_is_in_half_precision(dtype: torch.dtype) -> None:
    layer = FourierLayer(16, 8, 5)
    for tokens in (torch.randn(2, 16, 8), torch.randn(2, 16, 8).to(dtype)):
        with Products() as products, torch.autocast("cpu", dtype=dtype):
            out = layer(tokens)
        assert out.dtype == torch.float32
        spectral = {kind for name, kind in products.seen if "bmm" in name}
        pointwise = {kind for name, kind in products.seen if "bmm" not in name}
        assert (spectral, pointwise) == ({torch.float32}, {dtype})


@pytest.mark.parametrize("dtype", HALF, ids=["bf16", "fp16"])
def test_periods_of_tokens_in_half_precision_come_from_a_float32_spectrum(
    dtype: torch.dtype,
) -> None:
    tokens = torch.randn(3, 24, 8).to(dtype)  # 24: no power of two
    amplitude = amplitude_spectrum(tokens)
    assert torch.equal(amplitude, amplitude_spectrum(tokens.float()))
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(amplitude_spectrum(tokens), amplitude)


def test_time_of_a_long_window_counts_every_sample_in_half_precision() -> None:
    """bfloat16 has no odd number beyond 256: patches a sample apart would get the same time."""
    embedding = HybridSpatialEmbedding(70_000, 1, 512, 4, 6).eval()
    starts = torch.tensor([[60_000, 60_001]])
    weight = torch.rand(6, 512)
    exact = embedding._time(weight, starts, 1.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(embedding._time(weight, starts, 1.0), exact)
    assert (exact[0, 1] > exact[0, 0]).all()


@pytest.mark.parametrize("dtype", HALF, ids=["bf16", "fp16"])
def test_statistics_of_a_window_are_those_of_float32(dtype: torch.dtype) -> None:
    window = (torch.randn(3, 500, 2) + 40.0).to(dtype)
    with torch.autocast("cpu", dtype=dtype):
        scaled, scale = normalise(window)
    reference, exact = normalise(window.float())
    assert torch.equal(scaled, reference)
    assert torch.equal(scale.std, exact.std)
    assert scaled.dtype == scale.mean.dtype == torch.float32


def test_single_and_double_precision_are_left_alone() -> None:
    for dtype in (torch.float32, torch.float64):
        tensor = torch.randn(3, dtype=dtype)
        assert at_least_single(tensor) is tensor
    for name in ("cpu", "meta"):  # what has no autocast needs none switched off
        with full_precision(torch.device(name)):
            assert not torch.is_autocast_enabled("cpu")
