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
        "top_2_accuracy": sk.top_k_accuracy_score(target, p, k=2, sample_weight=weight),
        "weighted_f1": sk.f1_score(target, guess, average="weighted", sample_weight=weight),
        "macro_jaccard": sk.jaccard_score(target, guess, average="macro", sample_weight=weight),
        "cohens_kappa": sk.cohen_kappa_score(target, guess, sample_weight=weight),
        "macro_auroc": sk.roc_auc_score(target, p, multi_class="ovr", sample_weight=weight),
        "macro_average_precision": sk.average_precision_score(
            np.eye(K)[target], p, average="macro", sample_weight=weight
        ),
    }
    if set(guess) == set(range(K)):
        expected["macro_precision"] = sk.precision_score(
            target, guess, average="macro", sample_weight=weight
        )
    else:
        assert values["macro_precision"] is None
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


@given(st.integers(0, 10_000), st.sampled_from([1.0, 60.0, 1e4]), st.sampled_from([0, 1]))
@examples(30)
def test_curves_of_tied_saturated_and_rare_classes_equal_those_by_pairs(
    predictions, seed, gain, digits
):
    logits, target, recording = draw(seed)
    logits = gain * np.round(logits, digits)
    values = score(
        predictions("classification", logits, target, recording=recording, classes=CLASSES), "model"
    ).values
    weight = 1 / np.bincount(recording)[recording]
    areas, precisions = [], []
    for k in range(K):
        exact = logits.astype(np.float64)
        one, other = np.delete(exact, k, 1).T
        odds = -np.logaddexp(one - exact[:, k], other - exact[:, k])
        own = target == k
        gap = odds[own][:, None] - odds[~own]
        pairs = weight[own][:, None] * weight[~own]
        areas.append((((gap > 0) + (gap == 0) / 2) * pairs).sum() / pairs.sum())
        total = 0.0
        for value, share in zip(odds[own], weight[own], strict=True):
            above = odds >= value
            total += share * (weight @ (above & own)) / (weight @ above)
        precisions.append(total / weight[own].sum())
    assert values["macro_auroc"] == pytest.approx(np.mean(areas), abs=1e-9)
    assert values["macro_average_precision"] == pytest.approx(np.mean(precisions), abs=1e-9)


def test_saturated_probabilities_keep_their_order(predictions):
    # each softmax rounds to 1: by probabilities no span would rank above another
    logits = [[50, 0], [60, 0], [0, 70], [80, 0]]
    table = predictions("classification", logits, [1, 0, 1, 0], classes=["a", "b"])
    assert score(table, "model").values["macro_auroc"] == 1.0


@pytest.mark.parametrize(
    ("logits", "target", "classes", "name", "reason"),
    [
        (np.eye(2), [0, 1], ["a", "b"], "top_2_accuracy", "fewer than three classes"),
        (np.eye(3)[[0, 0, 0]], [0, 1, 2], CLASSES, "macro_precision", "inner, outer"),
        (np.eye(3)[[0, 0]], [0, 0], CLASSES, "cohens_kappa", "only one class"),
        (np.eye(3)[[0, 1]], [0, 1], CLASSES, "macro_auroc", "outer"),
        (np.eye(3)[[0, 1]], [0, 1], CLASSES, "macro_average_precision", "outer"),
        (np.eye(3)[[0, 1]], [0, 1], CLASSES, "macro_jaccard", "outer"),
        (np.ones((2, 1)), [0, 0], ["a"], "macro_auroc", "only one class"),
    ],
)
def test_what_has_no_value_says_why(predictions, logits, target, classes, name, reason):
    scores = score(predictions("classification", logits, target, classes=classes), "model")
    assert scores.values[name] is None
    assert reason in scores.undefined[name]


def test_of_equal_logits_the_first_class_is_the_guess(predictions):
    table = predictions("classification", np.zeros((3, 3)), [0, 1, 2], classes=CLASSES)
    values = score(table, "model").values
    assert values["accuracy"] == pytest.approx(1 / 3)
    assert values["top_2_accuracy"] == pytest.approx(2 / 3)


@given(st.integers(0, 10_000), st.sampled_from([1e-3, 1.0, 1e3]))
@examples(20)
def test_values_lie_in_the_range_that_is_declared(predictions, seed, gain):
    logits, target, recording = draw(seed)
    table = predictions(
        "classification", gain * logits, target, recording=recording, classes=CLASSES
    )
    values = score(table, "model").values
    for metric in METRICS:
        value = values[metric.name]
        assert value is None or metric.low - 1e-9 <= value <= metric.high + 1e-9, metric.name


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
