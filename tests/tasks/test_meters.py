from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr
from sklearn import metrics as sk
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from workflow_src.models.normalisation import WindowScale, normalise
from workflow_src.tasks import TASKS
from workflow_src.tasks.anomaly_detection import score as anomaly_detection
from workflow_src.tasks.anomaly_detection.objective import AnomalyDetection
from workflow_src.tasks.batch import Batch
from workflow_src.tasks.classification import score as classification
from workflow_src.tasks.classification.objective import Classification
from workflow_src.tasks.rul_prediction import score as rul_prediction
from workflow_src.tasks.rul_prediction.objective import RulPrediction
from workflow_src.tasks.signal_prediction import score as signal_prediction
from workflow_src.tasks.signal_prediction.objective import SignalPrediction

from ..examples import examples

CLASSES, HORIZON, CHANNELS = 4, 40, 2
NAN = float("nan")
LEARNERS = {
    "classification": Classification(),
    "anomaly_detection": AnomalyDetection(pos_weight=1.0),
    "signal_prediction": SignalPrediction(),
    "rul_prediction": RulPrediction(),
}
SCORES = {
    "classification": classification,
    "anomaly_detection": anomaly_detection,
    "signal_prediction": signal_prediction,
    "rul_prediction": rul_prediction,
}
# Counts are exact; moments are sums in float64 in another order.
STATE_TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}


def make(size, seed=0, missing=0.2):
    """Spans of which a share bears no label, and for each task an output that knows a little."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=draw)

    def lost():
        return torch.rand(size, generator=draw) < missing

    fault = torch.multinomial(torch.tensor([0.6, 0.3, 0.07, 0.03]), size, True, generator=draw)
    anomaly, rul = (
        (torch.rand(size, generator=draw) < 0.2).float(),
        torch.rand(size, generator=draw),
    )
    unit = torch.tensor([1e-3, 50.0])  # of a channel
    window, horizon = (
        1 + normal(size, 64, 2),
        1 + normal(size, HORIZON, 2) + 0.5 * normal(size, 1, 1),
    )
    batch = Batch(
        window=unit * window,
        horizon=unit * horizon,
        fault=torch.where(lost(), -1, fault),
        anomaly=torch.where(lost(), NAN, anomaly),
        rul=torch.where(lost(), NAN, rul),
        log_amplitude=normal(size, 2),
        age=torch.rand(size, generator=draw),
        index=torch.arange(size),
    )
    outputs = {
        "classification": normal(size, CLASSES) + 1.5 * torch.nn.functional.one_hot(fault, CLASSES),
        "anomaly_detection": normal(size) + 1.5 * anomaly,
        "signal_prediction": 0.6 * (horizon - 1) + 0.5 * normal(size, HORIZON, 2),
        "rul_prediction": torch.sigmoid(4 * rul - 2 + normal(size)),
    }
    return batch, outputs


def scale_of(batch):
    return normalise(batch.window)[1]


def metered(task, output, batch, scale=None):
    meter = LEARNERS[task].meter()
    meter.update(output, batch, scale or scale_of(batch))
    return meter


def labels(**columns):
    """A batch in which only these labels matter."""
    size = len(next(iter(columns.values())))
    batch, _ = make(size)
    return replace(batch, **{name: torch.as_tensor(value) for name, value in columns.items()})


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("normalisation", ["window", "none"])
def test_metrics_are_those_of_the_score_where_every_span_is_a_recording(
    predictions, task, normalisation
):
    batch, outputs = make(3000)
    still = batch.window.clone()
    still[:300, :, 0] = 0.1  # a channel that does not move within these windows
    batch = replace(batch, window=still)
    scale, output, objective = scale_of(batch), outputs[task], LEARNERS[task]
    if normalisation == "none" and task == "signal_prediction":
        scale, output = WindowScale.identity(batch.window), scale.undo(output)
    given_labels = {"rul_prediction": "rul", "classification": "fault"}.get(task, "anomaly")
    target = None if task == "signal_prediction" else getattr(batch, given_labels)
    table = predictions(
        task,
        objective.predict(output, batch, scale),
        target,
        mask=objective.mask(batch),
        run=0,
        columns=signal_prediction.STATISTICS if task == "signal_prediction" else (),
        classes=list("abcd"),
    )
    of_score = SCORES[task].score(table, "model").values
    of_meter = metered(task, output, batch, scale).compute()
    shared = [name for name in of_meter if name.removeprefix("span_") in of_score]
    assert len(shared) >= (2 if task == "anomaly_detection" else 3)
    within = 1e-3 if task == "anomaly_detection" else 1e-5  # bins; and statistics in float32
    for name in shared:
        assert of_meter[name] == pytest.approx(of_score[name.removeprefix("span_")], abs=within)


def test_classification_agrees_with_scikit_learn():
    batch, outputs = make(2000)
    output = outputs["classification"]
    found = metered("classification", output, batch).compute()
    keep = batch.fault >= 0
    true, predicted = batch.fault[keep], output.argmax(1)[keep]
    expected = {
        "span_macro_f1": sk.f1_score(true, predicted, average="macro"),
        "span_balanced_accuracy": sk.balanced_accuracy_score(true, predicted),
        "span_accuracy": sk.accuracy_score(true, predicted),
        "span_worst_class_recall": sk.recall_score(true, predicted, average=None).min(),
        "span_matthews": sk.matthews_corrcoef(true, predicted),
    }
    assert found == pytest.approx(expected, abs=1e-12)


def two_kinds(size, share, healthy, faulty, seed=0):
    """Labels and float32 logits from a normal distribution (mean, deviation) for each kind."""
    draw = np.random.default_rng(seed)
    fault = draw.random(size) < share
    logit = np.where(fault, draw.normal(*faulty, size), draw.normal(*healthy, size))
    return fault.astype(np.float32), logit.astype(np.float32)


@pytest.mark.fast_cases("usual", "few spans")
@pytest.mark.parametrize(
    ("drawn", "auroc", "precision"),
    [
        pytest.param((20000, 0.3, (-1, 1), (1, 1)), 3e-5, 1e-3, id="usual"),
        pytest.param((20000, 0.02, (-2, 1), (0, 1)), 3e-5, 1e-3, id="rare faults"),
        pytest.param((20000, 0.3, (-40, 15), (40, 15)), 3e-5, 1e-3, id="saturated at both ends"),
        pytest.param((20000, 0.02, (-40, 3), (-36, 3)), 5e-4, 4e-3, id="saturated at one"),
        pytest.param((20000, 0.3, (-500, 200), (-300, 200)), 5e-4, 4e-3, id="far out"),
        pytest.param((20000, 0.3, (40, 1), (41, 1)), 2e-3, 2e-2, id="saturated and crowded"),
        pytest.param((20000, 0.3, (0.3, 0.01), (0.31, 0.01)), 2e-3, 2e-2, id="not yet trained"),
        pytest.param((100, 0.3, (-1, 1), (1, 1)), 1e-3, 4e-3, id="few spans"),
    ],
)
def test_areas_from_bins_are_near_those_of_scikit_learn(drawn, auroc, precision):
    for seed in range(5):
        fault, logit = two_kinds(*drawn, seed=seed)
        found = metered("anomaly_detection", torch.from_numpy(logit), labels(anomaly=fault))
        values = found.compute()
        assert values["span_auroc"] == pytest.approx(sk.roc_auc_score(fault, logit), abs=auroc)
        exact = sk.average_precision_score(fault, logit)
        assert values["span_average_precision"] == pytest.approx(exact, abs=precision)


@pytest.mark.parametrize("value", [0.0, 0.7, 40.0, -40.0, 1e30, float("inf")])
def test_a_constant_logit_ranks_nothing(value):
    """Also where labels fill a vector register and its tail: one value, one bin."""
    fault = np.arange(37) % 3 == 0
    batch = labels(anomaly=fault.astype(np.float32))
    found = metered("anomaly_detection", torch.full((37,), value), batch).compute()
    assert found["span_auroc"] == 0.5
    assert found["span_average_precision"] == pytest.approx(fault.mean())


def test_logits_of_bfloat16_hardly_share_bins():
    fault, logit = two_kinds(20000, 0.3, (5, 2), (8, 2))
    coarse = torch.from_numpy(logit).bfloat16()
    found = metered("anomaly_detection", coarse, labels(anomaly=fault)).compute()
    exact = sk.average_precision_score(fault, coarse.float())
    assert found["span_average_precision"] == pytest.approx(exact, abs=1e-4)


def test_a_logit_that_is_no_number_is_not_passed_over():
    batch = labels(anomaly=[0.0, 1.0, 0.0, 1.0, NAN])
    sound = torch.tensor([0.0, 1.0, 0.0, 1.0, NAN])  # the last bears no label
    assert metered("anomaly_detection", sound, batch).compute()["span_auroc"] == 1
    broken = torch.tensor([0.0, NAN, 0.0, 1.0, 0.0])
    assert np.isnan(metered("anomaly_detection", broken, batch).compute()["span_auroc"])


@pytest.mark.fast_cases("10000.0-1.0")
@pytest.mark.parametrize(("offset", "spread"), [(0.5, 0.2), (1e4, 1.0), (1e6, 1.0)])
def test_r2_and_pearson_hold_where_the_mean_is_far_above_the_deviation(offset, spread):
    draw = np.random.default_rng(0)
    true = (offset + spread * draw.standard_normal(4000)).astype(np.float32)
    guess = (true + 0.3 * spread * draw.standard_normal(4000)).astype(np.float32)
    batch, meter = labels(rul=true), LEARNERS["rul_prediction"].meter()
    for start in range(0, 4000, 7):
        part = batch.part(start, start + 7)
        meter.update(torch.from_numpy(guess[start : start + 7]), part, None)
    true, guess = true.astype(np.float64), guess.astype(np.float64)
    expected = {
        "span_rmse": np.sqrt(((guess - true) ** 2).mean()),
        "span_mae": np.abs(guess - true).mean(),
        "span_bias": (guess - true).mean(),
        "span_r2": sk.r2_score(true, guess),
        "span_pearson": pearsonr(true, guess).statistic,
    }
    assert meter.compute() == pytest.approx(expected, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize(("offset", "within"), [(0.0, 2e-6), (1000.0, 1e-5)])
def test_forecast_errors_are_those_of_whole_arrays(offset, within):
    """A window's mean is known to float32: by so much of the deviation an error may be off."""
    batch, outputs = make(500)
    shift = offset * torch.tensor([1e-3, 50.0])  # `offset` deviations in either channel
    batch = replace(batch, window=batch.window + shift, horizon=batch.horizon + shift)
    found = metered("signal_prediction", outputs["signal_prediction"], batch).compute()
    window = batch.window.double()
    mean, deviation = window.mean(1, keepdim=True), window.std(1, correction=0, keepdim=True)
    true = ((batch.horizon.double() - mean) / deviation).numpy()
    guess = outputs["signal_prediction"].double().numpy()
    expected = {
        "span_skill": 1 - ((guess - true)[:, :32] ** 2).mean() / (true[:, :32] ** 2).mean(),
        "span_nmse": ((guess - true) ** 2).mean(),
        "span_mae": np.abs(guess - true).mean(),
        "span_r2": sk.r2_score(true.ravel(), guess.ravel()),
        "span_pearson": pearsonr(true.ravel(), guess.ravel()).statistic,
    }
    assert found == pytest.approx(expected, rel=within)


def test_skill_is_undefined_on_a_horizon_below_32_steps():
    batch, outputs = make(10)
    short = replace(batch, horizon=batch.horizon[:, :31])
    found = metered("signal_prediction", outputs["signal_prediction"][:, :31], short).compute()
    assert np.isnan(found.pop("span_skill"))
    assert np.isfinite(list(found.values())).all()


def undefined(found):
    return {name.removeprefix("span_") for name, value in found.items() if np.isnan(value)}


def test_what_has_no_value_is_nan():
    batch, outputs = make(64, missing=0.0)
    scale = scale_of(batch)
    one_fault = replace(batch, fault=torch.full((64,), 2))
    found = metered("classification", outputs["classification"], one_fault).compute()
    assert undefined(found) >= {"macro_f1", "balanced_accuracy", "worst_class_recall"}
    assert np.isfinite(found["span_accuracy"])

    same = torch.zeros(64, CLASSES)
    assert undefined(metered("classification", same, batch).compute()) == {"matthews"}

    for kind in (0.0, 1.0):
        batch_of_one = replace(batch, anomaly=torch.full((64,), kind))
        found = metered("anomaly_detection", outputs["anomaly_detection"], batch_of_one).compute()
        assert undefined(found) == {"auroc", "average_precision"}

    constant = torch.full((64,), 0.3)
    found = metered("rul_prediction", constant, batch).compute()
    assert undefined(found) == {"pearson"}
    found = metered("rul_prediction", outputs["rul_prediction"], replace(batch, rul=constant))
    assert undefined(found.compute()) == {"r2", "pearson"}

    constant = torch.full((64, HORIZON, CHANNELS), 0.3)
    assert undefined(metered("signal_prediction", constant, batch, scale).compute()) == {"pearson"}


@pytest.mark.parametrize("task", TASKS)
def test_without_a_label_all_is_nan_and_nothing_is_added(task):
    batch, outputs = make(8)
    bare = replace(
        batch,
        fault=torch.full((8,), -1),
        anomaly=torch.full((8,), NAN),
        rul=torch.full((8,), NAN),
        window=torch.ones_like(batch.window),  # a horizon of a window that stands still is no label
    )
    meter = LEARNERS[task].meter()
    names = set(meter.compute())
    assert undefined(meter.compute()) == {name.removeprefix("span_") for name in names}
    bare_output = torch.full_like(outputs[task], NAN)
    if task != "classification":  # where a class must come of anything
        meter.update(bare_output, bare, scale_of(batch))
        assert undefined(meter.compute()) == {name.removeprefix("span_") for name in names}
    meter.update(outputs[task], bare, scale_of(batch))
    meter.update(outputs[task], batch, scale_of(batch))
    expected = metered(task, outputs[task], batch)
    torch.testing.assert_close(meter.state, expected.state, **STATE_TOLERANCE)


@pytest.mark.parametrize("task", TASKS)
@examples(40)
@given(data=st.data())
def test_any_division_into_updates_and_merges_gives_the_same_state(task, data):
    batch, outputs = make(48, seed=data.draw(st.integers(0, 5)))
    scale, output = scale_of(batch), outputs[task]
    cuts = data.draw(st.lists(st.integers(0, 48), max_size=8)) + [0, 48]
    count = data.draw(st.integers(1, 4))
    meters = [LEARNERS[task].meter() for _ in range(count)]
    for start, stop in pairwise(sorted(set(cuts))):
        part_scale = WindowScale(scale.mean[start:stop], scale.std[start:stop])
        meter = meters[data.draw(st.integers(0, count - 1))]
        meter.update(output[start:stop], batch.part(start, stop), part_scale)
    while len(meters) > 1:  # merge them in any order and any tree
        other = meters.pop(data.draw(st.integers(0, len(meters) - 1)))
        meters[data.draw(st.integers(0, len(meters) - 1))].merge(other.state)
    whole = metered(task, output, batch)
    torch.testing.assert_close(meters[0].state, whole.state, **STATE_TOLERANCE)
    assert meters[0].compute() == pytest.approx(whole.compute(), rel=1e-9, nan_ok=True)


@pytest.mark.fast_cases("classification", "anomaly_detection")
@pytest.mark.parametrize("task", TASKS)
def test_the_state_keeps_its_size_and_type(task):
    batch, outputs = make(4)
    scale = scale_of(batch)
    meter = metered(task, outputs[task], batch)
    first = meter.state
    expected = {
        "classification": (CLASSES**2 * 8, torch.int64),
        "anomaly_detection": (65536, torch.int64),
        "signal_prediction": (11 * 8, torch.float64),
        "rul_prediction": (9 * 8, torch.float64),
    }
    for _ in range(5000):
        meter.update(outputs[task], batch, scale)
    assert (meter.state.nbytes, meter.state.dtype) == expected[task]
    assert meter.state.untyped_storage().nbytes() == meter.state.nbytes
    values = metered(task, outputs[task], batch).compute()
    assert meter.compute() == pytest.approx(values, rel=1e-9, nan_ok=True)
    torch.testing.assert_close(first, metered(task, outputs[task], batch).state)  # not written to


@pytest.mark.parametrize("task", TASKS)
def test_a_meter_goes_on_from_what_was_saved_and_starts_anew_after_reset(task, tmp_path):
    batch, outputs = make(64)
    scale, output = scale_of(batch), outputs[task]
    half = WindowScale(scale.mean[32:], scale.std[32:])
    meter = metered(task, output[:32], batch.part(0, 32))
    torch.save({"meter": meter.state, "empty": LEARNERS[task].meter().state}, tmp_path / "a.pt")
    meter.update(output[32:], batch.part(32, 64), half)

    saved = torch.load(tmp_path / "a.pt", weights_only=True)
    resumed = LEARNERS[task].meter()
    resumed.state = saved["meter"]
    resumed.merge(saved["empty"])
    resumed.update(output[32:], batch.part(32, 64), half)
    assert torch.equal(resumed.state, meter.state)

    meter.reset()
    assert np.isnan(list(meter.compute().values())).all()
    meter.state = saved["empty"]
    meter.update(output, batch, scale)
    assert torch.equal(meter.state, metered(task, output, batch).state)


@pytest.mark.parametrize("task", TASKS)
def test_an_update_never_asks_the_device_for_a_value(task):
    """Fake tensors have none: reading one, or a size that depends on one, raises."""
    batch, outputs = make(16)
    meter, other = LEARNERS[task].meter(), LEARNERS[task].meter()
    with FakeTensorMode() as mode:
        fake = Batch(*(mode.from_tensor(value) for value in vars(batch).values()))
        output = mode.from_tensor(outputs[task]).requires_grad_()
        for _ in range(2):
            meter.update(output, fake, scale_of(fake))
        other.merge(meter.state)
        other.merge(meter.state)
        assert not meter.state.requires_grad
        with pytest.raises(DataDependentOutputException):
            meter.state.sum().item()


@pytest.mark.parametrize("task", TASKS)
def test_a_meter_works_within_autocast_and_inference_mode_alike(task):
    batch, outputs = make(32)
    scale = scale_of(batch)
    meter = LEARNERS[task].meter()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        meter.update(outputs[task], batch, scale)
        found = meter.compute()
    plain = metered(task, outputs[task], batch)
    assert found == pytest.approx(plain.compute(), nan_ok=True)
    assert torch.equal(meter.state, plain.state)
    meter.update(outputs[task].requires_grad_(), batch, scale)
    plain.merge(plain.state)
    torch.testing.assert_close(meter.state, plain.state, **STATE_TOLERANCE)
