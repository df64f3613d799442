"""A step's gradients and losses are those of the full batch, at any micro-batch size."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from workflow_src.models.network import build_trunk
from workflow_src.tasks.batch import Batch
from workflow_src.tasks.learner import HeadShape
from workflow_src.tasks.learners import LearnFacts, build_learners
from workflow_src.training.assembly import MultiTaskNetwork
from workflow_src.training.step import loss_sums, sample_keys, step, valid_labels, weighted

BACKBONES: dict[str, dict[str, Any]] = {
    "dlinear": {"kernel": 3, "individual": False},
    "patchtst": {"heads": 2, "feed_forward": 16},
    "timesnet": {"feed_forward": 8, "top_k": 2, "kernels": 2},
    "fno": {"modes": 3},
}
SIZE = 11
LENGTH, HORIZON, CHANNELS, CLASSES = 64, 8, 2, 3
TASKS: dict[str, dict[str, Any]] = {
    "classification": {"weight": 1.0, "label_smoothing": 0.05},
    "anomaly_detection": {"weight": 0.6, "amplitude": True},
    "signal_prediction": {"weight": 0.7},
    "rul_prediction": {"weight": 0.8, "inputs": ["amplitude", "age"]},
}


def build(backbone: str, dropout: float = 0.3, **options: Any) -> MultiTaskNetwork:
    torch.manual_seed(0)
    model = {
        "backbone": backbone,
        "embedding": "patch",
        "normalisation": "window",
        "width": 8,
        "depth": 2,
        "patch_length": 8,
        "patch_count": 8,
        "dropout": dropout,
        **BACKBONES[backbone],
        **options,
    }
    facts = LearnFacts(("normal", "inner", "outer"), positives=20, negatives=10)
    shape = HeadShape(8, 8, HORIZON, CHANNELS, CLASSES)
    trunk = build_trunk(model, LENGTH, CHANNELS, 1000.0)
    return MultiTaskNetwork(trunk, build_learners(TASKS, facts=facts), shape).train()


def batch(dtype: torch.dtype = torch.float64, missing: float = 0.5) -> Batch:
    """Spans whose labels are missing at random, apart for each task."""
    torch.manual_seed(1)
    nan = torch.tensor(torch.nan, dtype=dtype)
    fault = torch.randint(CLASSES, (SIZE,))
    anomaly, rul = torch.randint(2, (SIZE,)).to(dtype), torch.rand(SIZE, dtype=dtype)
    return Batch(
        window=torch.randn(SIZE, LENGTH, CHANNELS, dtype=dtype),
        horizon=torch.randn(SIZE, HORIZON, CHANNELS, dtype=dtype),
        fault=torch.where(torch.rand(SIZE) < missing, -1, fault),
        anomaly=torch.where(torch.rand(SIZE) < missing, nan, anomaly),
        rul=torch.where(torch.rand(SIZE) < missing, nan, rul),
        log_amplitude=torch.randn(SIZE, CHANNELS, dtype=dtype),
        age=torch.rand(SIZE, dtype=dtype),
        index=torch.arange(100, 100 + SIZE),
    )


def gradients(network: MultiTaskNetwork) -> dict[str, Tensor]:
    found = {}
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, f"{name} has no gradient"
        found[name] = parameter.grad.clone()
    return found


def run(
    network: MultiTaskNetwork, spans: Batch, micro: int
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    network.zero_grad()
    losses = step(network, spans, micro, sample_keys(3, 5, spans.index))
    return losses, gradients(network)


def furthest(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Largest difference of two gradients over the largest element, the whole vector at once."""
    scale = max(float(value.abs().max()) for value in other.values())
    return max(float((one[name] - other[name]).abs().max()) for name in other) / scale


@pytest.mark.parametrize("micro", [1, 3, 7])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 5e-6)])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_any_micro_batch_gives_the_full_batch_gradient(
    backbone: str, dtype: torch.dtype, tolerance: float, micro: int
) -> None:
    network, spans = build(backbone).to(dtype), batch(dtype)
    losses, expected = run(network, spans, SIZE)
    micro_losses, found = run(network, spans, micro)
    error = furthest(found, expected)
    print(f"{backbone} {dtype} micro-batch {micro}: {error:.1e}")  # shown by pytest -rA
    assert error <= tolerance
    for name, loss in losses.items():  # heads and losses are in float32 at any precision
        assert float(micro_losses[name]) == pytest.approx(float(loss), rel=5e-6)


@pytest.mark.parametrize("micro", [1, 4])
def test_random_patches_are_keyed_too(micro: int) -> None:
    network, spans = build("patchtst", embedding="hse").double(), batch()
    expected = run(network, spans, SIZE)[1]
    assert furthest(run(network, spans, micro)[1], expected) <= 1e-12


def test_a_micro_batch_larger_than_the_batch_is_the_batch() -> None:
    network, spans = build("dlinear").double(), batch()
    expected, found = run(network, spans, SIZE)[1], run(network, spans, 1000)[1]
    assert furthest(found, expected) == 0


def test_the_step_is_the_gradient_of_the_weighted_means() -> None:
    """Against an objective written down anew: each task's mean over its labels, weighted."""
    network, spans = build("dlinear", dropout=0.0).double(), batch()
    found = run(network, spans, 2)[1]
    network.zero_grad()
    features = network.trunk(spans.window, spans.index)
    total = torch.zeros((), dtype=torch.float64)
    for learner in network.learners:
        output = network.heads[learner.name](features.tokens, learner.extra(spans))
        losses = learner.loss(output, spans, features.scale)[learner.mask(spans)]
        total = total + TASKS[learner.name]["weight"] * losses.mean()
    total.backward()
    assert furthest(found, gradients(network)) <= 1e-6


def mean_of_means(network: MultiTaskNetwork, spans: Batch, micro: int) -> dict[str, Tensor]:
    """The usual accumulation: each micro-batch normalised by itself, then averaged."""
    keys = sample_keys(3, 5, spans.index)
    network.zero_grad()
    parts = range(0, len(spans), micro)
    for start in parts:
        part = spans.part(start, start + micro)
        sums = loss_sums(network, part, keys[start : start + micro])
        (weighted(network, sums, valid_labels(network, part)) / len(parts)).backward()
    return gradients(network)


@pytest.mark.parametrize("missing", [0.5, 0.0])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_usual_accumulation_is_off(backbone: str, missing: float) -> None:
    """Why step() exists: with labels missing, or an unequal last part, means of means differ."""
    network, spans = build(backbone).double(), batch(missing=missing)
    expected = run(network, spans, SIZE)[1]
    error = furthest(mean_of_means(network, spans, 3), expected)
    print(f"{backbone}, {missing:.0%} of labels missing: {error:.0%}")
    assert error > 0.01


@pytest.mark.parametrize("task", ["classification", "anomaly_detection", "rul_prediction"])
def test_a_task_without_any_label_contributes_nothing(task: str) -> None:
    network, spans = build("dlinear").double(), batch(missing=0.3)
    none: dict[str, Any] = {
        "classification": {"fault": torch.full((SIZE,), -1)},
        "anomaly_detection": {"anomaly": torch.full((SIZE,), torch.nan).double()},
        "rul_prediction": {"rul": torch.full((SIZE,), torch.nan).double()},
    }
    spans = Batch(**{**spans.__dict__, **none[task]})
    losses, found = run(network, spans, 4)
    assert float(losses[task]) == 0
    for name, gradient in found.items():
        assert torch.isfinite(gradient).all(), name
        assert (not gradient.any()) == name.startswith(f"heads.{task}."), name


def test_spans_without_age_and_life_give_no_nan() -> None:
    network, spans = build("dlinear").double(), batch()
    age = torch.where(spans.rul.isnan(), torch.nan, spans.age)
    losses, found = run(network, Batch(**{**spans.__dict__, "age": age}), 3)
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert all(torch.isfinite(gradient).all() for gradient in found.values())


@settings(max_examples=30, deadline=None)
@given(
    masks=st.lists(
        st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=SIZE, max_size=SIZE
    ),
    micro=st.integers(1, SIZE + 2),
)
def test_any_mask_at_any_micro_batch(masks: list[tuple[bool, ...]], micro: int) -> None:
    network, full = build("dlinear").double(), batch(missing=0.0)
    has = torch.tensor(masks)  # (B, 3)
    spans = Batch(
        **{
            **full.__dict__,
            "fault": torch.where(has[:, 0], full.fault, -1),
            "anomaly": torch.where(has[:, 1], full.anomaly, torch.nan),
            "rul": torch.where(has[:, 2], full.rul, torch.nan),
        }
    )
    expected = run(network, spans, SIZE)[1]
    assert furthest(run(network, spans, micro)[1], expected) <= 1e-12


def test_keys_depend_on_seed_step_and_sample_only() -> None:
    index = torch.arange(1000)
    keys = sample_keys(1, 2, index)
    shuffled = torch.randperm(1000)
    assert torch.equal(sample_keys(1, 2, index[shuffled]), keys[shuffled])
    everything = torch.cat([sample_keys(seed, step, index) for seed in (1, 2) for step in (2, 3)])
    assert len(everything.unique()) == len(everything)


def test_the_objective_is_lowered_by_its_gradient() -> None:
    network, spans = build("fno", dropout=0.0).double(), batch()
    before, found = run(network, spans, 4)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter -= 1e-3 * found[name]
    after, _ = run(network, spans, 4)
    assert sum(TASKS[n]["weight"] * float(after[n] - before[n]) for n in TASKS) < 0
