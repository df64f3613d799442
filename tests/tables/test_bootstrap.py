"""The main metric on units drawn anew is that of predictions in which they stand so often."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.tables import bootstrap
from workflow_src.tables.bootstrap import RESAMPLES, interval, replicates
from workflow_src.tasks.registry import task_of
from workflow_src.tasks.scores import UndefinedError

from .unit_predictions import CLASSES, TASKS, drawn, predictions


@pytest.mark.parametrize("task", TASKS)
@given(seed=st.integers(0, 9), data=st.data())
def test_copies_of_units_score_as_if_they_stood_there(
    task: str, seed: int, data: st.DataObject
) -> None:
    whole = predictions(seed, units=3)
    on_copies = task_of(task).on_copies
    assert on_copies is not None
    test, value = on_copies(whole, "model")
    units = sorted(set(test.spans["unit_id"]))
    counts = data.draw(st.lists(st.integers(0, 3), min_size=len(units), max_size=len(units)))
    copies = dict(zip(units, counts, strict=True))
    for label in range(len(CLASSES)):  # a draw within classes leaves none without units
        copies[next(unit for unit in units if unit.startswith(str(label)))] += 1
    spec = task_of(task)
    expected = spec.score(drawn(whole, copies), "model").values[spec.main]
    assert value(test.spans["unit_id"].map(copies).to_numpy(float)) == pytest.approx(
        expected, abs=1e-9
    )


@pytest.mark.parametrize("task", TASKS)
def test_once_each_is_the_score(task: str) -> None:
    whole, spec = predictions(1), task_of(task)
    assert spec.on_copies is not None
    test, value = spec.on_copies(whole, "model")
    expected = spec.score(whole, "model").values[spec.main]
    assert value(np.ones(len(test))) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("task", TASKS)
def test_replicates_repeat_and_lie_around_the_score(task: str) -> None:
    whole, spec = predictions(2, units=6), task_of(task)
    values = replicates(whole, task, "model")
    assert values.shape == (RESAMPLES,)
    np.testing.assert_array_equal(values, replicates(whole, task, "model"))
    score = spec.score(whole, "model").values[spec.main]
    low, high = interval(values)
    assert score is not None
    assert low < score < high
    assert ((values >= low) & (values <= high)).mean() == pytest.approx(0.95, abs=0.01)


def test_the_spread_of_a_mean_over_runs_is_that_of_theory() -> None:
    """Var of the mean of n runs drawn with replacement: the population variance over n."""
    whole = predictions(3, units=8)
    spec = task_of("rul_prediction")
    names = sorted(set(whole.spans["unit_id"]))
    each = [spec.score(drawn(whole, {u: 1}), "model").values["rmse"] for u in names]
    values = replicates(whole, "rul_prediction", "model")
    assert values.mean() == pytest.approx(np.mean(each), abs=4 * values.std() / RESAMPLES**0.5)
    assert values.std() == pytest.approx(np.std(each) / len(each) ** 0.5, rel=0.1)


def test_units_are_drawn_within_their_class(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    made = bootstrap._copies
    monkeypatch.setattr(bootstrap, "_copies", lambda *a: seen.append(made(*a)) or seen[-1])
    replicates(predictions(4, units=5), "classification", "model")
    (copies,) = seen  # (resamples, units), units in the order of their names
    by_class = copies.reshape(RESAMPLES, len(CLASSES), 5)
    assert (by_class.sum(2) == 5).all()
    np.testing.assert_allclose(copies.mean(0), 1.0, atol=0.15)


def test_models_of_one_test_part_are_drawn_on_the_same_units() -> None:
    good, bad = (predictions(5, skill=s) for s in (2.0, 0.1))
    one, other = (replicates(p, "classification", "model") for p in (good, bad))
    same = replicates(predictions(5, skill=2.0), "classification", "model")
    np.testing.assert_array_equal(one, same)
    assert (one - other).std() < np.hypot(one.std(), other.std())


@pytest.mark.parametrize(("units", "said"), [(1, "n/a (1 unit)"), (2, "n/a (2 units)")])
def test_below_three_units_of_a_class_there_is_no_interval(units: int, said: str) -> None:
    for task in ("classification", "anomaly_detection"):
        with pytest.raises(UndefinedError) as caught:
            replicates(predictions(6, units=units), task, "model")
        assert str(caught.value) == said


@pytest.mark.parametrize(
    ("nameless", "noun"), [({"unit_id": ""}, "runs"), ({"unit_id": "", "run_id": ""}, "recordings")]
)
def test_without_units_runs_are_drawn_else_recordings(nameless: dict[str, str], noun: str) -> None:
    few = predictions(7, units=2, recordings=1, **nameless)
    with pytest.raises(UndefinedError, match=rf"n/a \(2 {noun}\)"):
        replicates(few, "classification", "model")
    many = predictions(7, units=4, recordings=1, **nameless)
    named = predictions(7, units=4, recordings=1)
    of_both = [interval(replicates(each, "classification", "model")) for each in (many, named)]
    # Other names are other draws of as many.
    np.testing.assert_allclose(*of_both, atol=0.1)


def test_rotations_over_other_units_are_drawn_by_themselves() -> None:
    one, renamed = predictions(7, units=4), predictions(7, units=4)
    renamed.spans["unit_id"] = "b_" + renamed.spans["unit_id"].astype(str)
    drawn = [replicates(each, "classification", "model") for each in (one, one, renamed)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert abs(np.corrcoef(drawn[0], drawn[2])[0, 1]) < 0.2


def test_a_task_that_says_nothing_of_it_has_no_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = replace(task_of("classification"), on_copies=None)
    monkeypatch.setattr(bootstrap, "task_of", lambda _: spec)
    with pytest.raises(UndefinedError, match="n/a"):
        replicates(predictions(8), "classification", "model")


def test_many_spans_have_fewer_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "_MOST_SPANS", 1)
    assert len(replicates(predictions(9), "classification", "model")) == 200
