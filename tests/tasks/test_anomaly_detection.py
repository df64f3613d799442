import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from workflow_src.predictions import read_predictions, write_predictions
from workflow_src.tasks.anomaly_detection.score import METRICS, score

from ..examples import examples


def draw(seed, recordings=14):
    """Coarse scores (ties) of recordings of unequal length in validation and test."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([[0, 1, 0, 1], rng.integers(0, 2, recordings - 4)])
    part = np.where(np.arange(recordings) % 4 < 2, "test", "val")
    recording = np.repeat(np.arange(recordings), rng.integers(1, 9, recordings))
    output = np.round(rng.normal(size=len(recording)) + labels[recording], 1)
    return output, labels[recording], recording, part[recording]


@given(st.integers(0, 10_000))
@examples(30)
def test_metrics_equal_sklearns_with_recording_weights(predictions, seed):
    output, target, recording, part = draw(seed)
    table = predictions("anomaly_detection", output, target, recording=recording, part=part)
    values = score(table, "model").values
    weight = 1 / np.bincount(recording)[recording]
    healthy = (part == "val") & (target == 0)
    order = np.argsort(output[healthy])
    share = weight[healthy][order].cumsum() / weight[healthy].sum()
    limit = output[healthy][order][np.flatnonzero(share >= 0.95 - 1e-9)[0]]
    test = part == "test"
    y, s, w, alarm = target[test], output[test], weight[test], output[test] > limit
    fpr, tpr, _ = sk.roc_curve(y, s, sample_weight=w, drop_intermediate=False)
    expected = {
        "auroc": sk.roc_auc_score(y, s, sample_weight=w),
        "partial_auroc": sk.roc_auc_score(y, s, sample_weight=w, max_fpr=0.1),
        "average_precision": sk.average_precision_score(y, s, sample_weight=w),
        "recall": sk.recall_score(y, alarm, sample_weight=w),
        "false_alarm_rate": 1 - sk.recall_score(y, alarm, pos_label=0, sample_weight=w),
        "f1": sk.f1_score(y, alarm, sample_weight=w),
        "balanced_accuracy": sk.balanced_accuracy_score(y, alarm, sample_weight=w),
        "fpr_at_95_tpr": fpr[np.flatnonzero(tpr >= 0.95 - 1e-9)[0]],
    }
    for name, value in expected.items():
        assert values[name] == pytest.approx(value, abs=1e-6), name
    p = 1 / (1 + np.exp(-s.astype(np.float32).astype(np.float64)))
    expected = {
        "accuracy": sk.accuracy_score(y, alarm, sample_weight=w),
        "f2": sk.fbeta_score(y, alarm, beta=2, sample_weight=w),
        "specificity": sk.recall_score(y, alarm, pos_label=0, sample_weight=w),
        "equal_error_rate": crossing(fpr, tpr),
        "log_loss": sk.log_loss(y, p, sample_weight=w),
        "brier": 2 * sk.brier_score_loss(y, p, sample_weight=w),
    }
    if 0 < alarm.mean() < 1:
        expected["matthews"] = sk.matthews_corrcoef(y, alarm, sample_weight=w)
        expected["precision"] = sk.precision_score(y, alarm, sample_weight=w)
    for name, value in expected.items():
        assert values[name] == pytest.approx(value, abs=1e-9), name


def crossing(fpr, tpr):
    """Where the broken line meets the falling diagonal, by bisection along the line."""
    low, high, places = 0.0, len(fpr) - 1.0, np.arange(len(fpr))
    for _ in range(100):
        middle = (low + high) / 2
        below = np.interp(middle, places, fpr) + np.interp(middle, places, tpr) < 1
        low, high = (middle, high) if below else (low, middle)
    return np.interp(high, places, fpr)


def life(predictions, outputs, *, onset_s=30.0, run="a", healthy=0.5):
    """A run with a snapshot every 10 s; healthy validation spans up to `healthy`."""
    count = len(outputs)
    table = predictions(
        "anomaly_detection",
        [*outputs, healthy, healthy - 1],
        [*(np.arange(count) * 10 >= 30), 0, 0],
        part=["test"] * count + ["val"] * 2,
        run=[run] * count + ["v"] * 2,
        time_s=[*(np.arange(count) * 10.0), 0.0, 0.0],
    )
    table.spans.loc[table.spans["part"] == "test", "onset_s"] = onset_s
    return score(table, "model")


@pytest.mark.parametrize(
    ("outputs", "delay"),
    [
        ([9, 9, 9, 9, 9, 9, 9], 20),  # alarms before the onset are not of it
        ([0, 0, 0, 9, 9, 0, 9, 9, 9, 0], 50),  # two in a row are not believed
        ([0, 0, 0, 0, 0, 0, 9, 9, 9], 50),
    ],
)
def test_the_delay_ends_with_the_third_alarm_in_a_row_after_the_onset(predictions, outputs, delay):
    assert life(predictions, outputs).values["detection_delay"] == delay


@pytest.mark.parametrize(
    ("outputs", "onset_s", "reason"),
    [
        ([0, 0, 0, 9, 9, 0, 9, 9], 30.0, "run a has no 3 alarms in a row"),
        ([0, 0, 0, 9, 9, 9, 9, 9], np.nan, "no onset"),
    ],
)
def test_without_an_onset_or_alarms_there_is_no_delay(predictions, outputs, onset_s, reason):
    scores = life(predictions, outputs, onset_s=onset_s)
    assert scores.values["detection_delay"] is None
    assert reason in scores.undefined["detection_delay"]


def test_alarms_of_everything_or_nothing_correlate_with_no_fault(predictions):
    for output, undefined in ((9.0, {"matthews"}), (-9.0, {"matthews", "precision"})):
        table = predictions(
            "anomaly_detection",
            [0, 1, output, output + 0.5],
            [0, 1, 0, 1],
            part=["val", "val", "test", "test"],
        )
        assert set(score(table, "model").undefined) == undefined | {"detection_delay"}


@pytest.mark.parametrize("size", [1.0, 40.0, 800.0])
def test_sure_and_wrong_costs_no_infinity(predictions, size):
    table = predictions(
        "anomaly_detection",
        [0, size, -size, size, -size],
        [0, 0, 1, 1, 0],
        part=["val"] + ["test"] * 4,
    )
    values = score(table, "model").values
    assert values["log_loss"] == pytest.approx((np.log1p(np.exp(-size)) + size / 2), rel=1e-6)
    assert 0 <= values["brier"] <= 2


@given(st.integers(0, 10_000))
@examples(20)
def test_values_lie_in_the_range_that_is_declared(predictions, seed):
    output, target, recording, part = draw(seed)
    table = predictions("anomaly_detection", output, target, recording=recording, part=part)
    values = score(table, "model").values
    for metric in METRICS:
        value = values[metric.name]
        assert value is None or metric.low - 1e-9 <= value <= metric.high + 1e-9, metric.name


@given(st.integers(0, 10_000), st.integers(1, 4))
@examples(20)
def test_neither_order_nor_repeated_windows_change_scores(
    predictions, repeat, same_scores, seed, times
):
    output, target, recording, part = draw(seed)
    once = predictions("anomaly_detection", output, target, recording=recording, part=part)
    chosen = np.flatnonzero((recording == 0) | (recording == 2))  # one of test, one of validation
    rows = np.concatenate([np.arange(len(target))] + [chosen] * times)
    shuffled = np.random.default_rng(seed).permutation(rows)
    same_scores(score(once, "model"), score(repeat(once, shuffled), "model"))


def test_a_monotone_change_of_the_logits_changes_nothing(predictions, same_scores):
    output, target, recording, part = draw(3)
    facts = {"recording": recording, "part": part}
    found = [
        score(predictions("anomaly_detection", logits, target, **facts), "model")
        for logits in (output, np.exp(output))
    ]
    for scores in found:
        for of_probability in ("log_loss", "brier"):
            del scores.values[of_probability]
    same_scores(*found)


def test_false_alarms_of_a_shifted_test_part_stand_beside_a_perfect_ranking(predictions):
    # a new speed lifts all scores above every validation span: AUROC 1, all healthy spans alarm
    table = predictions(
        "anomaly_detection",
        [0, 1, 2, 10, 11, 12, 13],
        [0, 0, 1, 0, 0, 1, 1],
        part=["val"] * 3 + ["test"] * 4,
    )
    values = score(table, "model").values
    assert values["auroc"] == 1.0
    assert values["false_alarm_rate"] == 1.0


@pytest.mark.parametrize(("logit", "recall"), [(0.7, 1.0), (-0.7, 0.0)])
def test_a_constant_score_alarms_by_its_own_label(predictions, logit, recall):
    table = predictions(
        "anomaly_detection", [logit] * 5, [0, 1, 1, 1, 0], part=["val"] * 2 + ["test"] * 3
    )
    values = score(table, "model").values
    assert values["recall"] == values["false_alarm_rate"] == recall
    assert values["auroc"] == 0.5


def test_without_healthy_validation_only_what_needs_a_threshold_is_undefined(predictions):
    scores = score(predictions("anomaly_detection", [0.0, 1.0], [0, 1]), "model")
    assert scores.values["auroc"] == 1.0
    assert set(scores.undefined) == {
        "false_alarm_rate",
        "recall",
        "f1",
        "f2",
        "accuracy",
        "precision",
        "specificity",
        "matthews",
        "balanced_accuracy",
        "detection_delay",
    }


@pytest.mark.parametrize("label", [0, 1])
def test_one_kind_in_test_is_undefined(predictions, label):
    scores = score(predictions("anomaly_detection", [0.0, 1.0], [label, label]), "model")
    assert len(scores.undefined) == len(METRICS)
    assert ("faulty" if label else "healthy") in scores.undefined["auroc"]


def test_a_distance_is_no_probability(predictions, tmp_path):
    """It ranks and alarms as a logit does; log loss and Brier score are undefined."""
    rng = np.random.default_rng(5)
    fault = rng.integers(0, 2, 60)
    part = np.repeat(["val", "test"], 30)
    logit = predictions("anomaly_detection", fault + rng.normal(size=60), fault, part=part)
    logits = score(logit, "model")
    logit.tasks["anomaly_detection"].distances = ("model",)
    write_predictions(tmp_path / "predictions.h5", logit)
    ranked = score(read_predictions(tmp_path / "predictions.h5"), "model")
    missing = {"log_loss", "brier"}
    assert set(ranked.undefined) - set(logits.undefined) == missing
    assert all("distance" in ranked.undefined[name] for name in missing)
    assert all(ranked.values[n] == v for n, v in logits.values.items() if n not in missing)
