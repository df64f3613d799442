from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.classic.problem import Problem
from workflow_src.classic.trivial import Options, predict, stump
from workflow_src.errors import BadData, UserError
from workflow_src.evaluation import evaluate
from workflow_src.features.autoregression import Autoregression, forecast
from workflow_src.predictions import SPAN_COLUMNS, ScoreFacts, read_predictions, write_predictions
from workflow_src.tasks import TASKS
from workflow_src.tasks.registry import task_of

from ..examples import examples

CLASSES = ScoreFacts(classes=("normal", "inner"))


@dataclass
class Arrays:
    window: np.ndarray
    horizon: np.ndarray
    fault: np.ndarray
    anomaly: np.ndarray
    rul: np.ndarray


class Source:
    """Six runs that grow louder; the second half of a life is faulty."""

    def __init__(self, snapshots=12, seed=0):
        rng = np.random.default_rng(seed)
        rows = []
        for run in range(6):
            life = 1000.0 + 200 * run
            for k in range(snapshots):
                rows.append((run, k, life * k / (snapshots - 1), life))
        run, k, time, life = np.array(rows).T
        count = len(run)
        self.table = pd.DataFrame({column: ["x"] * count for column in SPAN_COLUMNS})
        self.table["run_id"] = [f"run{int(r)}" for r in run]
        self.table["recording_id"] = [f"run{int(r)}-{int(i)}" for r, i in zip(run, k, strict=True)]
        self.table["part"] = np.array(["train", "train", "train", "train", "val", "test"])[
            run.astype(int)
        ]
        self.table["time_s"], self.table["life_s"] = time, life
        self.table[["start", "onset_s"]] = 0.0
        share = time / life
        noise = rng.normal(size=(count, 300, 2))
        for _ in range(2):  # coloured, so that a linear forecast has some skill
            noise[:, 1:] += 0.9 * noise[:, :-1]
        signal = (noise * np.exp(2 * share)[:, None, None]).astype(np.float32)
        fault = (share > 0.5).astype(np.int64)
        self.arrays = Arrays(
            signal[:, :256], signal[:, 256:], fault, fault.astype(float), 1 - share
        )
        self.reads = []

    def rows(self, part):
        return np.flatnonzero(self.table["part"] == part)

    def read(self, rows):
        self.reads.append(len(rows))
        return Arrays(*(value[rows] for value in vars(self.arrays).values()))

    def frame(self, rows):
        return self.table.iloc[rows].reset_index(drop=True)


def test_every_row_that_a_table_expects_is_there_and_scored(tmp_path):
    source = Source()
    found = predict(Problem(source, TASKS, CLASSES, 0, 10), Options())
    assert max(source.reads) <= 10
    write_predictions(tmp_path / "p.h5", found)
    scores = evaluate(read_predictions(tmp_path / "p.h5"))
    for name in TASKS:
        task = task_of(name)
        assert tuple(scores[name]) == task.trivial + task.reference
        for row in scores[name].values():
            assert row.values[task.main] is not None, row.undefined


def test_levels_are_what_each_row_can_and_cannot_do():
    found = predict(Problem(Source(), TASKS, CLASSES, 0), Options())
    scores = {
        task: {row: scored.values for row, scored in rows.items()}
        for task, rows in evaluate(found).items()
    }
    assert scores["classification"]["majority class"]["balanced_accuracy"] == 0.5
    assert scores["anomaly_detection"]["always the majority"]["auroc"] == 0.5
    assert scores["anomaly_detection"]["RMS stump"]["auroc"] > 0.95
    assert scores["signal_prediction"]["input mean"]["skill"] == 0
    assert scores["signal_prediction"]["AR(32)"]["nmse_step_1"] < 0.5
    assert scores["signal_prediction"]["AR(32)"]["skill"] > 0
    # the test run lives 2000 s, training runs 1300 s on average
    share = np.linspace(0, 1, 12)
    exact = np.sqrt(np.mean((np.maximum(0, 1 - share * 2000 / 1300) - (1 - share)) ** 2))
    assert found.facts.mean_training_life_s == 1300
    assert scores["rul_prediction"]["clock"]["rmse"] == pytest.approx(exact, abs=1e-6)
    assert scores["rul_prediction"]["clock"]["skill_clock"] == pytest.approx(0, abs=1e-6)
    assert scores["rul_prediction"]["clock per condition"] == scores["rul_prediction"]["clock"]
    mean = np.sqrt(np.mean((0.5 - share) ** 2))
    assert scores["rul_prediction"]["training mean"]["rmse"] == pytest.approx(mean, abs=1e-6)


def test_a_clock_per_condition_knows_the_lives_at_the_same_speed_and_load():
    source = Source()  # training lives 1000, 1200, 1400 and 1600 s; test 2000 s
    runs = source.table["run_id"]
    source.table["condition"] = np.where(runs.isin(["run2", "run3", "run5"]), "slow", "fast")
    source.table.loc[runs == "run4", "condition"] = "unheard of"
    found = predict(Problem(source, ["rul_prediction"], CLASSES, 0), Options())
    told = found.tasks["rul_prediction"].outputs["clock per condition"]
    share = np.linspace(0, 1, 12)
    life = {"val": (1800, 1300), "test": (2000, 1500)}  # their own, and the clock's
    for part, (own, clock) in life.items():
        here = (found.spans["part"] == part).to_numpy()
        np.testing.assert_allclose(told[here], np.maximum(0, 1 - share * own / clock), atol=1e-6)


def test_the_batch_size_changes_nothing():
    one, other = (
        predict(Problem(Source(), TASKS, CLASSES, 0, size), Options()) for size in (7, 1000)
    )
    for task, content in one.tasks.items():
        for row, output in content.outputs.items():
            np.testing.assert_allclose(other.tasks[task].outputs[row], output, rtol=1e-4, atol=1e-5)


def test_nothing_is_learned_from_validation_or_test():
    source, poisoned = Source(), Source()
    held = np.concatenate([source.rows("val"), source.rows("test")])
    poisoned.arrays.fault[held] = 1
    poisoned.arrays.anomaly[held] = 1
    poisoned.arrays.rul[held] = 0.9
    poisoned.table.loc[held, "life_s"] = 9e9
    one, other = (predict(Problem(s, TASKS, CLASSES, 0), Options()) for s in (source, poisoned))
    for task, content in one.tasks.items():
        for row, output in content.outputs.items():
            assert np.array_equal(other.tasks[task].outputs[row], output), row


@given(st.integers(0, 10_000))
@examples(30)
def test_no_threshold_beats_the_stump(seed):
    rng = np.random.default_rng(seed)
    features = np.round(rng.normal(size=(20, 2)), 1)
    faulty = np.arange(20) % 3 == 0
    weights = rng.random(20)

    def balanced(alarm):
        return (
            weights @ (alarm & faulty) / (weights @ faulty)
            + weights @ (~alarm & ~faulty) / (weights @ ~faulty)
        ) / 2

    feature, direction, threshold = stump(features, faulty, weights)
    found = balanced(direction * (features[:, feature] - threshold) > 0)
    tried = [
        balanced(sign * (column - limit) > 0)
        for column in features.T
        for limit in np.arange(-4, 4, 0.05)
        for sign in (1, -1)
    ]
    assert found >= max(tried) - 1e-9


def test_a_stump_on_silence_is_a_constant():
    faulty = np.array([True, False, True])
    feature, direction, threshold = stump(np.full((3, 2), -5.0), faulty, np.full(3, 1 / 3))
    assert (feature, direction, threshold) == (0, 1.0, -5.0)


def test_autoregression_finds_the_process_and_forecasts_it():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 2200, 2))
    for t in range(2, 2200):
        x[:, t, 0] += 1.5 * x[:, t - 1, 0] - 0.8 * x[:, t - 2, 0]
    windows = (5 + 0.01 * x[:, 100:2148]).astype(np.float32)
    model = Autoregression(32)
    for part in np.split(windows, 4):
        model.add(part)
    weights = model.coefficients()
    np.testing.assert_allclose(weights[0, :3], [1.5, -0.8, 0], atol=0.03)
    np.testing.assert_allclose(weights[1], 0, atol=0.03)
    truth = 5 + 0.01 * x[:, 2148:2151, 0]
    step = forecast(model.forecaster(3), windows)[:, :, 0] - truth
    assert np.sqrt(np.mean(step[:, 0] ** 2)) == pytest.approx(0.01, rel=0.25)  # the innovation


def test_the_forecaster_iterates_the_one_step_model():
    model = Autoregression(4)
    model.add(np.random.default_rng(1).normal(size=(8, 64, 1)).cumsum(1).astype(np.float32))
    weights, matrix = model.coefficients()[0], model.forecaster(10)[0]
    past = np.random.default_rng(2).normal(size=4)
    history = list(past)
    for _ in range(10):
        history.append(weights @ history[:-5:-1])
    np.testing.assert_allclose(matrix @ past, history[4:], atol=1e-12)


def test_a_pure_tone_and_a_dead_channel_stay_finite_over_a_long_horizon():
    t = np.arange(512)
    tone = np.stack([np.sin(0.3 * t), np.full(512, 7.0)], 1)[None].astype(np.float32)
    model = Autoregression(32)
    model.add(tone)
    steps = forecast(model.forecaster(1000), tone)
    assert np.abs(steps[..., 0]).max() < 2
    assert np.array_equal(steps[..., 1], np.full((1, 1000), 7.0))


def test_a_window_shorter_than_the_order_is_refused():
    with pytest.raises(UserError, match="32 samples"):
        Autoregression(32).add(np.zeros((1, 32, 1), np.float32))


@pytest.mark.parametrize(
    ("field", "value", "task"),
    [
        ("fault", -1, "classification"),
        ("anomaly", np.nan, "anomaly_detection"),
        ("anomaly", 1, "anomaly_detection"),
        ("rul", np.nan, "rul_prediction"),
    ],
)
def test_a_training_part_that_teaches_nothing_is_refused(field, value, task):
    source = Source()
    getattr(source.arrays, field)[source.rows("train")] = value
    with pytest.raises(BadData, match="training part"):
        predict(Problem(source, [task], CLASSES, 0), Options())


@pytest.mark.parametrize("empty", [["train"], ["val", "test"]])
def test_an_empty_part_is_refused(empty):
    source = Source()
    source.table.loc[source.table["part"].isin(empty), "part"] = "gap"
    with pytest.raises(BadData, match="no span"):
        predict(Problem(source, TASKS, CLASSES, 0), Options())


def test_a_clock_without_times_is_refused():
    source = Source()
    source.table.loc[source.rows("test")[0], "time_s"] = np.nan
    with pytest.raises(BadData, match="times in life"):
        predict(Problem(source, ["rul_prediction"], ScoreFacts(), 0), Options())
