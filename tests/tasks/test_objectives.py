from dataclasses import replace

import numpy as np
import pytest
import torch

from workflow_src.configuration.task_set import TaskSet
from workflow_src.errors import BadData, UserError
from workflow_src.tasks import TASKS
from workflow_src.tasks.anomaly_detection.objective import AnomalyDetection
from workflow_src.tasks.batch import Batch
from workflow_src.tasks.classification.objective import Classification
from workflow_src.tasks.objective import HeadShape
from workflow_src.tasks.objectives import ObjectiveFacts, build_objectives
from workflow_src.tasks.pooling import PooledLinear
from workflow_src.tasks.rul_prediction.objective import RulPrediction
from workflow_src.tasks.signal_prediction.objective import SignalPrediction
from workflow_src.tasks.signal_prediction.span_statistics import STATISTICS

SHAPE = HeadShape(tokens=6, width=16, horizon=40, channels=2, classes=3)
FACTS = ObjectiveFacts(classes=("a", "b", "c"), positives=10, negatives=30)
NAN = float("nan")


class WindowScale:
    """Mean and deviation of a window."""

    def __init__(self, window):
        self.deviation, self.mean = torch.std_mean(window, dim=1, keepdim=True, correction=0)

    def apply(self, y):
        return (y - self.mean) / self.deviation

    def undo(self, y):
        return y * self.deviation + self.mean


def make_batch(size=5, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return Batch(
        window=3 + torch.randn(size, 64, 2, generator=draw),
        horizon=3 + torch.randn(size, 40, 2, generator=draw),
        fault=torch.arange(size) % 3,
        anomaly=(torch.arange(size) % 2).float(),
        rul=torch.linspace(0, 1, size),
        log_amplitude=torch.randn(size, 2, generator=draw),
        age=torch.linspace(0, 1, size),
        index=torch.arange(size),
    )


def objectives():
    return [
        Classification(label_smoothing=0.1),
        AnomalyDetection(pos_weight=3.0, amplitude=True),
        SignalPrediction(),
        RulPrediction(inputs=("amplitude", "age")),
        RulPrediction(loss_name="huber", inputs=()),
    ]


def run(objective, batch, seed=1):
    torch.manual_seed(seed)
    head = objective.build_head(SHAPE)
    tokens = torch.randn(
        len(batch), SHAPE.tokens, SHAPE.width, generator=torch.Generator().manual_seed(seed)
    ).requires_grad_()
    return head, tokens, head(tokens, objective.extra(batch))


@pytest.mark.parametrize("objective", objectives(), ids=lambda objective: objective.name)
def test_head_loss_and_output_line_up_with_samples(objective):
    batch = make_batch()
    _, _, output = run(objective, batch)
    scale = WindowScale(batch.window)
    shapes = {
        "classification": (5, 3),
        "anomaly_detection": (5,),
        "rul_prediction": (5,),
        "signal_prediction": (5, 40, 2),
    }
    assert output.shape == shapes[objective.name]
    assert objective.loss(output, batch, scale).shape == (5,)
    kept = (5, len(STATISTICS)) if objective.name == "signal_prediction" else shapes[objective.name]
    assert objective.predict(output, batch, scale).shape == kept
    assert objective.mask(batch).all()


@pytest.mark.parametrize("objective", objectives(), ids=lambda objective: objective.name)
def test_a_sample_does_not_depend_on_its_batch_mates(objective):
    batch = make_batch()
    head, tokens, output = run(objective, batch)
    losses = objective.loss(output, batch, WindowScale(batch.window))
    for start, stop in ((0, 2), (2, 5)):
        part = batch.part(start, stop)
        alone = head(tokens[start:stop], objective.extra(part))
        torch.testing.assert_close(
            objective.loss(alone, part, WindowScale(part.window)), losses[start:stop]
        )


@pytest.mark.parametrize("objective", objectives(), ids=lambda objective: objective.name)
def test_missing_labels_are_masked_and_never_poison_gradients(objective):
    full = make_batch()
    missing = torch.tensor([False, True, False, False, True])
    batch = replace(
        full,
        fault=torch.where(missing, -1, full.fault),
        anomaly=torch.where(missing, NAN, full.anomaly),
        rul=torch.where(missing, NAN, full.rul),
        age=torch.where(missing, NAN, full.age),
    )
    head, tokens, output = run(objective, batch)
    losses = objective.loss(output, batch, WindowScale(batch.window))
    mask = objective.mask(batch)
    assert losses.isfinite().all()
    (losses * mask).sum().backward()
    gradients = [tokens.grad, *(p.grad for p in head.parameters())]
    assert all(g is not None and g.isfinite().all() for g in gradients)
    if objective.name != "signal_prediction":
        assert torch.equal(mask, ~missing)
        assert tokens.grad[missing].abs().max() == 0
        _, _, of_full = run(objective, full)
        torch.testing.assert_close(
            objective.loss(of_full, full, WindowScale(full.window))[mask], losses[mask]
        )


def test_tokens_that_agree_have_finite_gradients():
    tokens = torch.ones(2, 4, 8, requires_grad=True)
    PooledLinear(8, 3)(tokens).square().sum().backward()
    assert tokens.grad.isfinite().all()


def test_a_faulty_span_weighs_as_its_kind_is_rare():
    batch = make_batch(4)
    output = torch.zeros(4)
    losses = AnomalyDetection(pos_weight=3.0).loss(output, batch, WindowScale(batch.window))
    torch.testing.assert_close(losses, np.log(2) * torch.tensor([1.0, 3.0, 1.0, 3.0]))


def test_huber_is_quadratic_near_and_linear_far():
    batch = replace(make_batch(2), rul=torch.tensor([0.5, 0.0]))
    losses = RulPrediction(loss_name="huber").loss(torch.tensor([0.55, 0.9]), batch, None)
    torch.testing.assert_close(losses, torch.tensor([0.05**2 / 2, 0.1 * (0.9 - 0.05)]))


@pytest.mark.slow
def test_extras_are_heard_beside_many_token_features():
    """Noise tokens, the label in one extra: a head must find it in a few steps."""
    torch.manual_seed(0)
    shape = replace(SHAPE, width=256, channels=1)
    objective = RulPrediction(inputs=("amplitude",))
    head = objective.build_head(shape)
    optimizer = torch.optim.Adam(head.parameters(), 3e-3)

    def error():
        label = torch.rand(128, 1)
        output = head(torch.randn(128, shape.tokens, shape.width), 2 * label - 1)
        return (output - label[:, 0]).square().mean()

    for _ in range(150):
        optimizer.zero_grad()
        error().backward()
        optimizer.step()
    with torch.no_grad():
        assert error() < 0.02  # the mean as answer has 1/12


def test_age_must_be_known_where_there_is_a_label():
    batch = replace(make_batch(), age=torch.tensor([0.0, NAN, 0.5, NAN, 1.0]))
    with pytest.raises(BadData, match="row 1 of the split, and 1 more"):
        RulPrediction(inputs=("age",)).extra(batch)


def test_horizon_head_is_small_and_linear_in_what_it_predicts():
    def size(horizon):
        head = SignalPrediction().build_head(HeadShape(64, 256, horizon, 2, 0))
        return sum(p.numel() for p in head.parameters())

    assert size(96) < 600_000
    assert size(192) - size(96) == size(288) - size(192)


@pytest.mark.slow
def test_horizon_head_can_learn_each_step_of_each_channel():
    """What the head gives for step h, channel c must be compared with that step and channel."""
    torch.manual_seed(0)
    batch = make_batch(4)
    objective, scale = SignalPrediction(), WindowScale(batch.window)
    head = objective.build_head(SHAPE)
    tokens = torch.randn(4, SHAPE.tokens, SHAPE.width)
    optimizer = torch.optim.Adam(head.parameters(), 1e-2)
    for _ in range(400):
        optimizer.zero_grad()
        objective.loss(head(tokens), batch, scale).sum().backward()
        optimizer.step()
    torch.testing.assert_close(scale.undo(head(tokens)), batch.horizon, atol=0.05, rtol=0)


def test_statistics_do_not_depend_on_how_the_network_normalises():
    class RawScale:
        def apply(self, y):
            return y

        def undo(self, y):
            return y

    batch = make_batch()
    window = WindowScale(batch.window)
    normalised = torch.randn(5, 40, 2)
    one = SignalPrediction().predict(normalised, batch, window)
    other = SignalPrediction().predict(window.undo(normalised), batch, RawScale())
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_a_task_set_becomes_objectives_in_one_order():
    tasks = {
        "rul_prediction": {"weight": 2.0, "loss": "huber", "inputs": ["age"]},
        "signal_prediction": {"weight": 1.5},
        "anomaly_detection": {"amplitude": True},
        "classification": {"label_smoothing": 0.1},
    }
    built = build_objectives(TaskSet.model_validate(tasks), facts=FACTS)
    assert tuple(objective.name for objective in built) == TASKS
    assert built[0] == Classification(label_smoothing=0.1)
    assert built[1] == AnomalyDetection(pos_weight=3.0, weight=0.6, amplitude=True)
    assert built[2] == SignalPrediction(weight=1.5)
    assert built[3] == RulPrediction(weight=2.0, loss_name="huber", inputs=("age",))


@pytest.mark.parametrize(
    ("task_set", "facts", "error", "names"),
    [
        ({}, FACTS, UserError, "empty"),
        ({"classification": {}}, replace(FACTS, classes=("a",)), BadData, "two classes"),
        ({"anomaly_detection": {}}, replace(FACTS, positives=0), BadData, "0 faulty"),
    ],
)
def test_what_cannot_be_learned_is_refused(task_set, facts, error, names):
    with pytest.raises(error, match=names):
        build_objectives(TaskSet.model_validate(task_set), facts=facts)
