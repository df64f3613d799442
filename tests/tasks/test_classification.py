import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from workflow_src.errors import BadData
from workflow_src.tasks.classification.score import METRICS, calibration_error, score, softmax

from ..examples import examples

K = 3
CLASSES = ["normal", "inner", "outer"]


def draw(seed, recordings=12):
    """Recordings of unequal length, every class present; logits that are right now and then."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(K), rng.integers(0, K, recordings - K)])
    recording = np.repeat(np.arange(recordings), rng.integers(1, 7, recordings))
    target = labels[recording]
    logits = rng.normal(size=(len(target), K)) + 1.5 * np.eye(K)[target]
    return logits.astype(np.float32), target, recording


@given(st.integers(0, 10_000))
@examples(30)
def test_metrics_equal_sklearns_with_recording_weights(predictions, seed):
    logits, target, recording = draw(seed)
    values = score(
        predictions("classification", logits, target, recording=recording, classes=CLASSES), "model"
    ).values
    weight = 1 / np.bincount(recording)[recording]
    guess, p = logits.argmax(1), softmax(logits.astype(np.float64))
    recalls = sk.recall_score(target, guess, average=None, sample_weight=weight)
    means = np.stack([p[recording == r].mean(0) for r in np.unique(recording)])
    truth = np.array([target[recording == r][0] for r in np.unique(recording)])
    expected = {
        "macro_f1": sk.f1_score(target, guess, average="macro", sample_weight=weight),
        "balanced_accuracy": sk.balanced_accuracy_score(target, guess, sample_weight=weight),
        "accuracy": sk.accuracy_score(target, guess, sample_weight=weight),
        "recording_accuracy": (means.argmax(1) == truth).mean(),
        "worst_class_recall": recalls.min(),
        "matthews": sk.matthews_corrcoef(target, guess, sample_weight=weight),
        "log_loss": sk.log_loss(target, p, sample_weight=weight),
        "brier": np.average(((p - np.eye(K)[target]) ** 2).sum(1), weights=weight),
    }
    for name, value in expected.items():
        assert values[name] == pytest.approx(value, abs=1e-9), name


@given(st.integers(0, 10_000), st.integers(1, 4))
@examples(20)
def test_neither_order_nor_repeated_windows_change_scores(
    predictions, repeat, same_scores, seed, times
):
    logits, target, recording = draw(seed)
    once = predictions("classification", logits, target, recording=recording, classes=CLASSES)
    rng = np.random.default_rng(seed)
    rows = np.concatenate([np.arange(len(target))] + [np.flatnonzero(recording == 0)] * times)
    same_scores(score(once, "model"), score(repeat(once, rng.permutation(rows)), "model"))


def test_calibration_error_by_hand():
    # two bins: confidence 0.9 with 1 of 2 right (gap 0.4), confidence 0.6 right (gap 0.4)
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]])
    found = calibration_error(np.array([0, 1, 1]), p, np.full(3, 1 / 3))
    assert found == pytest.approx(0.4)


def test_an_absent_class_makes_averages_over_classes_undefined(predictions):
    table = predictions("classification", np.eye(3)[[0, 2]], [0, 2], classes=CLASSES)
    scores = score(table, "model")
    for name in ("macro_f1", "balanced_accuracy", "worst_class_recall"):
        assert scores.values[name] is None
        assert "inner" in scores.undefined[name]
    assert scores.values["accuracy"] == 1.0


def test_only_labelled_spans_of_the_test_part_count(predictions):
    table = predictions(
        "classification",
        np.eye(3)[[0, 1, 2, 0, 0]],
        [0, 1, 2, 1, 2],
        classes=CLASSES,
        part=["test", "test", "test", "val", "test"],
        mask=[1, 1, 1, 1, 0],
    )
    assert score(table, "model").values["macro_f1"] == 1.0


def test_nothing_to_score_is_undefined_and_never_nan(predictions):
    scores = score(
        predictions("classification", np.eye(3), [0, 1, 2], part="val", classes=CLASSES), "model"
    )
    assert set(scores.undefined) == {metric.name for metric in METRICS}
    assert set(scores.values.values()) == {None}


def test_an_output_that_is_not_finite_is_refused_with_its_place(predictions):
    logits = np.eye(3)
    logits[1, 1] = np.nan
    with pytest.raises(BadData, match="recording 1"):
        score(predictions("classification", logits, [0, 1, 2], classes=CLASSES), "model")
