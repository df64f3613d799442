"""A step's gradients and losses are those of the full batch, at any micro-batch size."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from workflow_src.configuration import Training
from workflow_src.configuration.task_set import TaskSet
from workflow_src.models.network import build_trunk
from workflow_src.tasks.batch import Batch
from workflow_src.tasks.objective import HeadShape
from workflow_src.tasks.objectives import ObjectiveFacts, build_objectives
from workflow_src.training.assembly import MultiTaskNetwork
from workflow_src.training.optimizer import adamw
from workflow_src.training.step import (
    StepOptions,
    StepTotals,
    loss_sum,
    means,
    micro_batches,
    sample_keys,
    step,
    valid_labels,
    weighted_loss,
)

from ..examples import examples

BACKBONES: dict[str, dict[str, Any]] = {
    "dlinear": {"kernel": 3, "individual": False},
    "patchtst": {"heads": 2, "feed_forward": 16},
    "timesnet": {"feed_forward": 8, "top_k": 2, "kernels": 2},
    "fno": {"modes": 3},
}
SIZE = 11
ADAMW = Training(learning_rate=1e-3, weight_decay=0.01)
LENGTH, HORIZON, CHANNELS, CLASSES = 64, 8, 2, 3
TASKS: dict[str, dict[str, Any]] = {
    "classification": {"weight": 1.0, "label_smoothing": 0.05},
    "anomaly_detection": {"weight": 0.6, "amplitude": True},
    "signal_prediction": {"weight": 0.7},
    "rul_prediction": {"weight": 0.8, "inputs": ["amplitude", "age"]},
}


def build(
    backbone: str, dropout: float = 0.3, tasks: dict[str, Any] = TASKS, **options: Any
) -> MultiTaskNetwork:
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
    facts = ObjectiveFacts(("normal", "inner", "outer"), positives=20, negatives=10)
    shape = HeadShape(8, 8, HORIZON, CHANNELS, CLASSES)
    trunk = build_trunk(model, LENGTH, CHANNELS, 1000.0)
    return MultiTaskNetwork(
        trunk, build_objectives(TaskSet.model_validate(tasks), facts=facts), shape
    ).train()


def batch(dtype: torch.dtype = torch.float64, missing: float = 0.5, seed: int = 1) -> Batch:
    """Spans whose labels are missing at random, apart for each task."""
    torch.manual_seed(seed)
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
    network: MultiTaskNetwork, spans: Batch, micro: int, together: bool = False
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Mean losses and the gradient."""
    network.zero_grad()
    keys, counts = sample_keys(3, 5, spans.index), valid_labels(network, spans)
    compute = all_tasks_together if together else step
    sums = compute(network, spans, micro, keys, counts, StepOptions())
    return means(sums.losses, counts), gradients(network)


def all_tasks_together(
    network: MultiTaskNetwork,
    spans: Batch,
    micro: int,
    keys: Tensor,
    counts: dict[str, Tensor],
    options: StepOptions,
) -> StepTotals:
    """The same step with one backward pass through all heads and the trunk."""
    sums = StepTotals.zero(network, spans.window.device)
    for part, part_keys in micro_batches(spans, micro, keys):
        features = network.trunk(part.window, part_keys)
        losses = {
            objective.name: loss_sum(network, objective, features, part, options)
            for objective in network.objectives
        }
        weighted_loss(network, means(losses, counts)).backward()
        for name, loss in losses.items():
            sums.losses[name] += loss.detach()
    return sums


def furthest(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Largest difference of two gradients over the largest element, the whole vector at once."""
    scale = max(float(value.abs().max()) for value in other.values())
    return max(float((one[name] - other[name]).abs().max()) for name in other) / scale


@pytest.mark.fast_cases("*-dtype0-*-task-wise-kept", "dlinear-dtype1-*-task-wise-kept")
@pytest.mark.parametrize("checkpointing", [False, True], ids=["kept", "recomputed"])
@pytest.mark.parametrize("together", [False, True], ids=["task-wise", "together"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 5e-6)])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_any_micro_batch_gives_the_full_batch_gradient(
    backbone: str, dtype: torch.dtype, tolerance: float, together: bool, checkpointing: bool
) -> None:
    """Against all tasks together, activations kept, over the full batch."""
    network, spans = build(backbone).to(dtype), batch(dtype)
    losses, expected = run(network, spans, SIZE, together=True)
    network.trunk.backbone.checkpointing = checkpointing
    for micro in (1, 3, 7, SIZE):
        micro_losses, found = run(network, spans, micro, together)
        error = furthest(found, expected)
        print(f"{backbone} {dtype} micro-batch {micro}: {error:.1e}")  # shown by pytest -rA
        assert error <= tolerance
        for name, loss in losses.items():  # heads and losses are in float32 at any precision
            assert float(micro_losses[name]) == pytest.approx(float(loss), rel=5e-6)


@pytest.mark.fast_cases("*-3")
@pytest.mark.parametrize("micro", [1, 3, SIZE])
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_task_by_itself_too(backbone: str, task: str, micro: int) -> None:
    network, spans = build(backbone, tasks={task: TASKS[task]}).double(), batch()
    expected = run(network, spans, SIZE, together=True)[1]
    assert furthest(run(network, spans, micro)[1], expected) <= 1e-12


@pytest.mark.parametrize("backbone", BACKBONES)
def test_recomputed_activations_change_no_bit(backbone: str) -> None:
    network, spans = build(backbone), batch(torch.float32)
    expected = run(network, spans, 4)[1]
    network.trunk.backbone.checkpointing = True
    found = run(network, spans, 4)[1]
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("micro", [2, SIZE])
def test_the_norm_of_a_task_is_that_of_its_own_gradient_at_the_tokens(micro: int) -> None:
    network, spans = build("patchtst").double(), batch()
    keys, counts = sample_keys(3, 5, spans.index), valid_labels(network, spans)
    sums = step(network, spans, micro, keys, counts, StepOptions(scale=8.0))
    features = network.trunk(spans.window, keys)
    for objective in network.objectives:
        loss = objective.weight * loss_sum(network, objective, features, spans, StepOptions())
        objective_part = loss / counts[objective.name].clamp(min=1)
        (gradient,) = torch.autograd.grad(objective_part, features.tokens, retain_graph=True)
        found = float(sums.squares[objective.name].sqrt()) / 8.0
        assert found == pytest.approx(float(gradient.norm()), rel=1e-9)


def cancelled(network: MultiTaskNetwork) -> Tensor:
    """(parameters,) bool: which are a bias of attention's keys."""
    found = []
    for name, parameter in network.named_parameters():
        mask = torch.zeros(parameter.shape, dtype=torch.bool)
        if name.endswith("qkv.bias"):  # queries, keys, values
            mask[len(mask) // 3 : 2 * len(mask) // 3] = True
        found.append(mask.flatten())
    return torch.cat(found)


@pytest.mark.fast_cases("dlinear-fp64")
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)], ids=["fp64", "fp32"]
)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_parameters_after_twenty_steps(backbone: str, dtype: torch.dtype, tolerance: float) -> None:
    """What a micro-batch changes is a share of the distance that the parameters moved.

    Left out are the biases of PatchTST's keys: softmax cancels them, so their gradient is rounding
    alone, and AdamW divides it by its own size.
    """
    moved: dict[int, Tensor] = {}
    for micro in (SIZE, 3):
        network = build(backbone).to(dtype)
        before = torch.nn.utils.parameters_to_vector(network.parameters()).detach().clone()
        optimizer = adamw(network.parameters(), ADAMW)
        for number in range(20):
            spans = batch(dtype, seed=number)
            optimizer.zero_grad()
            keys, counts = sample_keys(3, number, spans.index), valid_labels(network, spans)
            step(network, spans, micro, keys, counts, StepOptions())
            optimizer.step()
        after = torch.nn.utils.parameters_to_vector(network.parameters()).detach()
        moved[micro] = (after - before) * ~cancelled(network)
    error = float((moved[3] - moved[SIZE]).norm() / moved[SIZE].norm())
    print(f"{backbone} {dtype}: {error:.1e} of the distance after 20 steps")
    assert error <= tolerance


@pytest.mark.parametrize("patch", [8, LENGTH + 9])  # the longer one holds each sample twice
@pytest.mark.parametrize("micro", [1, 4])
def test_random_patches_are_keyed_too(micro: int, patch: int) -> None:
    network, spans = build("patchtst", embedding="hse", patch_length=patch).double(), batch()
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
    for objective in network.objectives:
        output = network.heads[objective.name](features.tokens, objective.extra(spans))
        losses = objective.loss(output, spans, features.scale)[objective.mask(spans)]
        total = total + TASKS[objective.name]["weight"] * losses.mean()
    total.backward()
    assert furthest(found, gradients(network)) <= 1e-6


def mean_of_means(network: MultiTaskNetwork, spans: Batch, micro: int) -> dict[str, Tensor]:
    """The usual accumulation: each micro-batch normalised by itself, then averaged."""
    keys = sample_keys(3, 5, spans.index)
    network.zero_grad()
    divided = list(micro_batches(spans, micro, keys))
    for part, part_keys in divided:
        before = {n: p.grad for n, p in network.named_parameters()}
        for parameter in network.parameters():
            parameter.grad = None
        step(network, part, micro, part_keys, valid_labels(network, part), StepOptions())
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None
            earlier = before[name]
            parameter.grad /= len(divided)
            if earlier is not None:
                parameter.grad += earlier
    return gradients(network)


@pytest.mark.fast_cases("*-0.5")
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


@examples(30)
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
