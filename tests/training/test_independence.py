"""Layers that couple samples or draw without keys are refused by name; ours are accepted."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from workflow_src.configuration.task_set import TaskSet
from workflow_src.errors import UserError
from workflow_src.models.network import build_trunk
from workflow_src.models.timesnet import TimesBlock, amplitude_spectrum, strongest_frequencies
from workflow_src.tasks.objective import HeadShape
from workflow_src.tasks.objectives import ObjectiveFacts, build_objectives
from workflow_src.training.assembly import MultiTaskNetwork
from workflow_src.training.independence import require_independent

WINDOW, CHANNELS, TOKENS, WIDTH = 128, 2, 12, 8
BACKBONES = ("dlinear", "patchtst", "timesnet", "fno")
TASKS: dict[str, dict[str, Any]] = {
    "classification": {},
    "anomaly_detection": {"amplitude": True},
    "signal_prediction": {},
    "rul_prediction": {"inputs": ["amplitude", "age"]},
}


def network(backbone: str = "patchtst", **changes: Any) -> MultiTaskNetwork:
    torch.manual_seed(0)
    options = {
        "backbone": backbone,
        "embedding": "patch",
        "normalisation": "window",
        "width": WIDTH,
        "depth": 2,
        "heads": 2,
        "feed_forward": 12,
        "patch_length": 8,
        "patch_count": TOKENS,
        "dropout": 0.2,
        "kernel": 5,
        "individual": False,
        "modes": 4,
        "top_k": 2,
        "kernels": 2,
    }
    trunk = build_trunk(options | changes, WINDOW, CHANNELS, rate_hz=1000.0)
    objectives = build_objectives(
        TaskSet.model_validate(TASKS), facts=ObjectiveFacts(("a", "b"), 3, 5)
    )
    return MultiTaskNetwork(trunk, objectives, HeadShape(TOKENS, WIDTH, 6, CHANNELS, 2))


@pytest.mark.fast_cases("dlinear*", "*-patch-window")
@pytest.mark.parametrize("normalisation", ["window", "none"])
@pytest.mark.parametrize("embedding", ["patch", "hse"])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_is_accepted(backbone: str, embedding: str, normalisation: str) -> None:
    """With dropout, from several initial weights."""
    for seed in range(3):
        net = network(backbone, embedding=embedding, normalisation=normalisation)
        with torch.no_grad():
            torch.manual_seed(seed)
            for parameter in net.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        require_independent(net, WINDOW, CHANNELS)


class Layer(nn.Module):
    """A layer of a stack around what is tried: `(tokens, keys) -> tokens`."""

    def __init__(self, inner: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.map = nn.Linear(WIDTH, WIDTH)
        self.inner = inner

    def forward(self, tokens: Tensor, keys: Tensor | None = None) -> Tensor:
        return self.inner(self.map(tokens))


class BatchMeanPeriods(TimesBlock):
    """As in the source of TimesNet: one choice of periods for all."""

    def forward(
        self, tokens: Tensor, keys: Tensor | None = None, frequencies: Tensor | None = None
    ) -> Tensor:
        mean = amplitude_spectrum(tokens).mean(dim=0, keepdim=True)  # (1, F)
        frequencies = strongest_frequencies(mean, self.top_k)  # (1, k)
        return super().forward(tokens, keys, frequencies.expand(len(tokens), -1))


class RunningLevel(nn.Module):
    """Its output is each sample's own, what it remembers is of all."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("level", torch.zeros(()))

    def forward(self, tokens: Tensor) -> Tensor:
        self.level += 0.1 * (tokens.detach().abs().mean() - self.level)
        return tokens


def swapped_first_layer(inner: Any) -> MultiTaskNetwork:
    net = network()
    net.trunk.backbone.layers[0] = Layer(inner)
    return net


MIXES, DRAWS, REMEMBERS = "mixes the samples", "do not belong to a sample", "changes its buffers"
INNER = "trunk.backbone.layers.0.inner"
LAYER = "trunk.backbone.layers.0"


@pytest.mark.parametrize(
    ("inner", "where", "why"),
    [
        (nn.BatchNorm1d(TOKENS), f"{INNER}: BatchNorm1d", MIXES),
        (nn.BatchNorm1d(TOKENS, track_running_stats=False), f"{INNER}: BatchNorm1d", MIXES),
        (nn.SyncBatchNorm(TOKENS), f"{INNER}: SyncBatchNorm", MIXES),
        (
            nn.InstanceNorm1d(TOKENS, track_running_stats=True),
            f"{INNER}: InstanceNorm1d",
            REMEMBERS,
        ),
        (nn.Dropout(0.1), f"{INNER}: Dropout", DRAWS),
        (nn.Dropout1d(1e-6), f"{INNER}: Dropout1d", DRAWS),
        (nn.AlphaDropout(0.1), f"{INNER}: AlphaDropout", DRAWS),
        (nn.RReLU(), f"{INNER}: RReLU", DRAWS),
        (
            nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=True),
            f"{INNER}.self_attn: MultiheadAttention",
            DRAWS,
        ),
        (RunningLevel(), f"{INNER}: RunningLevel", REMEMBERS),
        (nn.utils.spectral_norm(nn.Linear(WIDTH, WIDTH)), f"{INNER}: Linear", REMEMBERS),
        (lambda t: t - t.mean(dim=0), f"{LAYER}: Layer", MIXES),
        (lambda t: t - 1e-6 * t.mean(dim=0), f"{LAYER}: Layer", MIXES),
        (lambda t: t / t.abs().max(), f"{LAYER}: Layer", MIXES),
        (lambda t: t + t.roll(1, dims=0), f"{LAYER}: Layer", MIXES),
        (lambda t: functional.dropout(t, 0.1), f"{LAYER}: Layer", DRAWS),
        (lambda t: t + 1e-6 * torch.randn_like(t), f"{LAYER}: Layer", DRAWS),
    ],
    ids=lambda value: None if callable(value) else str(value)[-40:],
)
def test_a_layer_that_depends_on_the_micro_batch_is_named(inner: Any, where: str, why: str) -> None:
    with pytest.raises(UserError) as refused:
        require_independent(swapped_first_layer(inner), WINDOW, CHANNELS)
    text = str(refused.value)
    assert f"where:    {where}\n" in text
    assert why in text
    assert ("LayerNorm" in text) == (why != DRAWS)
    assert ("KeyedDropout" in text) == (why == DRAWS)


@pytest.mark.parametrize(
    "inner",
    [
        nn.LayerNorm(WIDTH),
        nn.GroupNorm(3, TOKENS),
        nn.InstanceNorm1d(TOKENS),
        nn.Dropout(0.0),
        nn.RReLU(0.2, 0.2),
        nn.TransformerEncoderLayer(WIDTH, 2, 16, dropout=0.0, batch_first=True),
        lambda t: t * float("nan"),
        lambda t: t.permute(1, 0, 2).flatten(0, 1).unflatten(0, (TOKENS, -1)).permute(1, 0, 2),
    ],
    ids=["layer", "group", "instance", "none", "fixed", "transformer", "nan", "permuted"],
)
def test_a_layer_that_treats_each_sample_alone_is_accepted(inner: Any) -> None:
    require_independent(swapped_first_layer(inner), WINDOW, CHANNELS)


def test_periods_of_the_batch_mean_are_refused() -> None:
    net = network("timesnet")
    net.trunk.backbone.layers[1].block = BatchMeanPeriods(WIDTH, 12, 2, 2)
    with pytest.raises(UserError, match=r"trunk\.backbone\.layers\.1\.block: BatchMeanPeriods"):
        require_independent(net, WINDOW, CHANNELS)


def test_a_head_and_an_embedding_are_looked_at_too() -> None:
    class CentredHead(nn.Linear):
        def forward(self, tokens: Tensor, extra: Tensor | None = None) -> Tensor:
            pooled = super().forward(tokens.mean(dim=1))
            return pooled - pooled.mean(dim=0)

    class UnkeyedPatches(nn.Module):
        def __init__(self, embedding: nn.Module) -> None:
            super().__init__()
            self.embedding = embedding

        def forward(self, window: Tensor, keys: Tensor | None = None) -> Tensor:
            return self.embedding(window)

    net = network()
    net.heads["classification"] = CentredHead(WIDTH, 2)
    with pytest.raises(UserError, match=r"heads\.classification: CentredHead"):
        require_independent(net, WINDOW, CHANNELS)
    net = network(embedding="hse")
    net.trunk.embedding = UnkeyedPatches(net.trunk.embedding)
    with pytest.raises(UserError, match=r"trunk\.embedding\.embedding: HybridSpatialEmbedding"):
        require_independent(net, WINDOW, CHANNELS)


def test_a_layer_that_only_runs_in_single_precision_is_an_error_that_says_so() -> None:
    class Single(nn.Linear):
        def forward(self, tokens: Tensor, keys: Tensor | None = None) -> Tensor:
            return super().forward(tokens.float())

    net = network()
    net.trunk.backbone.layers[0] = Single(WIDTH, WIDTH)
    with pytest.raises(UserError, match=r"double precision[\s\S]*float32 or float64"):
        require_independent(net, WINDOW, CHANNELS)


@pytest.mark.parametrize("inner", [nn.Identity(), nn.RReLU(), RunningLevel()])
def test_the_network_and_the_generator_stay_as_they_were(inner: nn.Module) -> None:
    net = swapped_first_layer(inner)
    net.eval()
    net.trunk.embedding.train()
    net.trunk(torch.randn(2, WINDOW, CHANNELS)).tokens.sum().backward()
    state = copy.deepcopy(net.state_dict())
    grads = {n: None if p.grad is None else p.grad.clone() for n, p in net.named_parameters()}
    flags = [module.training for module in net.modules()]
    generator = torch.get_rng_state()
    for _ in range(2):
        try:
            require_independent(net, WINDOW, CHANNELS)
        except UserError:
            assert not isinstance(inner, nn.Identity)
        else:
            assert isinstance(inner, nn.Identity)
    assert torch.equal(torch.get_rng_state(), generator)
    assert [module.training for module in net.modules()] == flags
    assert not any(module._forward_hooks for module in net.modules())
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    for name, parameter in net.named_parameters():
        assert parameter.dtype == torch.float32
        kept = grads[name]
        if kept is None:
            assert parameter.grad is None
        else:
            assert parameter.grad is not None
            assert torch.equal(parameter.grad, kept)
