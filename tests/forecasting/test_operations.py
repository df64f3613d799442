"""Operations and bytes of a step on fake tensors, against closed formulas and real tensors."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from workflow_src.forecasting.operations import Operations, Operator, Work, operations_and_bytes
from workflow_src.forecasting.steps import Steps
from workflow_src.forecasting.trace import Levers
from workflow_src.tasks.batch import Batch

SCRIPTS = Path(__file__).parents[2] / "benchmarks"
BACKBONES = ("dlinear", "fno", "patchtst", "timesnet")
SAMPLES, INPUTS, OUTPUTS = 8, 32, 16


@pytest.fixture(scope="module")
def bench() -> Iterator[Any]:
    """benchmarks/step.py, which builds networks with four heads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        yield importlib.import_module("step")


def test_a_linear_layer_and_its_adamw_are_as_the_formulas_say() -> None:
    layer = nn.Linear(INPUTS, OUTPUTS)
    optimizer = torch.optim.AdamW(layer.parameters(), fused=True)
    inputs = torch.randn(SAMPLES, INPUTS, requires_grad=True)
    layer(inputs).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    inputs.grad = None
    with Operations() as counted:
        layer(inputs).sum().backward()
    work = Work(counted.calls)
    products = {each: n for each, n in work.calls.items() if each.kind == "product"}
    # Forward, the gradient of the inputs and that of the weights.
    assert work.operations == 3 * 2 * SAMPLES * INPUTS * OUTPUTS
    # Each of the three reads two of (inputs, weights, outputs) and writes the third; and the bias.
    sizes = SAMPLES * INPUTS + INPUTS * OUTPUTS + SAMPLES * OUTPUTS
    assert sum(n * each.moved for each, n in products.items()) == 4 * (3 * sizes + OUTPUTS)

    with Operations() as stepped:
        optimizer.step()
    parameters = INPUTS * OUTPUTS + OUTPUTS
    (fused,) = (each for each in stepped.calls if each.moved > 4 * parameters)
    # It reads weights, gradients, both moments and two counts of steps. Written in place are all
    # but the gradients, which it may scale.
    assert fused == Operator("pointwise", 0, 4 * (8 * parameters + 2))


def test_views_move_nothing_and_what_is_written_in_place_counts_twice() -> None:
    tensor = torch.zeros(4, 25)
    with Operations() as counted:
        tensor.view(100)[:10].t()
        tensor.add_(1)
    assert Work(counted.calls).moved == 2 * 400
    assert Work(counted.calls).operators == 4


def traced(bench: Any, backbone: str, batch: int, micro: int) -> Work:
    return operations_and_bytes(
        lambda: network(bench, backbone),
        lambda size: bench.draw(size, 16, 512, 2),
        bench.ADAMW.model_copy(update={"batch_size": batch, "gradient_clip": 1.0}),
        Levers(micro),
    )


def network(bench: Any, backbone: str) -> Any:
    sizes = {"width": 16, "depth": 1, "patch_length": 16, "patch_count": 32}
    return bench.build(backbone, 16, ["classification"], window=512, **sizes)


def second(steps: Steps, batch: Batch) -> Work:
    """Of a step after another, whose metrics there are to add to."""
    for _ in range(2):
        with Operations() as counted:
            steps.gradient(batch)
            steps.update()
    return Work(counted.calls)


@pytest.mark.fast_cases("fno")
@pytest.mark.parametrize("backbone", BACKBONES)
def test_fake_tensors_compute_what_real_ones_do(bench: Any, backbone: str) -> None:
    said = traced(bench, backbone, 16, 16)
    training = bench.ADAMW.model_copy(update={"gradient_clip": 1.0})
    steps, batch = Steps(network(bench, backbone).train(), training, 16), bench.draw(16, 16, 512, 2)
    found = second(steps, batch)
    # TimesNet's periods are other draws of the same chances.
    rel = 0.25 if backbone == "timesnet" else 0
    assert said.operations == pytest.approx(found.operations, rel=rel)
    assert said.moved == pytest.approx(found.moved, rel=rel or 0.02)
    # The norms of gradients are taken one by one, not together.
    assert said.operators == pytest.approx(found.operators, rel=0.15)


@pytest.mark.fast_cases("4-3")
@pytest.mark.parametrize(("batch", "micro"), [(4, 3), (12, 3), (17, 3), (5, 8)])
def test_micro_batches_add_up(bench: Any, batch: int, micro: int) -> None:
    """A whole step on fake tensors, part by part, against the few parts that are traced."""
    training = bench.ADAMW.model_copy(update={"gradient_clip": 1.0})
    with FakeTensorMode():
        steps = Steps(network(bench, "fno").train(), training, micro)
        found = second(steps, bench.draw(batch, 16, 512, 2))
    said = traced(bench, "fno", batch, micro)
    assert said.operations == found.operations
    assert said.moved == found.moved
    assert said.operators == found.operators


def test_nothing_is_allocated_and_the_generator_is_left_alone(bench: Any) -> None:
    state = torch.get_rng_state()
    found = operations_and_bytes(
        lambda: network(bench, "fno"),
        lambda size: bench.draw(size, 16, 512, 2),
        bench.ADAMW.model_copy(update={"batch_size": 100_000_000}),
        Levers(50_000_000),
    )
    assert found.moved > 10**13
    assert torch.equal(torch.get_rng_state(), state)
