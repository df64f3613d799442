import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

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
    same_scores(
        score(predictions("anomaly_detection", output, target, **facts), "model"),
        score(predictions("anomaly_detection", np.exp(output), target, **facts), "model"),
    )


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
    assert set(scores.undefined) == {"false_alarm_rate", "recall", "f1", "balanced_accuracy"}


@pytest.mark.parametrize("label", [0, 1])
def test_one_kind_in_test_is_undefined(predictions, label):
    scores = score(predictions("anomaly_detection", [0.0, 1.0], [label, label]), "model")
    assert len(scores.undefined) == len(METRICS)
    assert ("faulty" if label else "healthy") in scores.undefined["auroc"]
