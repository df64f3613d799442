"""What classic models learn of simulated rigs, and what noise takes from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workflow_src.classic.models import predict
from workflow_src.classic.problem import Problem
from workflow_src.configuration.resolved_cell import ClassicModel
from workflow_src.data.span_features import write_features
from workflow_src.errors import UserError
from workflow_src.evaluation import evaluate
from workflow_src.features.table import FeatureTable
from workflow_src.predictions import Predictions, TruncatedRun

FOREST = {"method": "forest", "trees": 60, "leaf": 2}
LINES = {"method": "fault_lines", "classifier": "logistic_regression"}
HEALTHY = {"method": "healthy", "detector": "mahalanobis"}
RIDGE = {"method": "ridge"}
# Of each kind of rig those that answer its tasks.
BEARING = [FOREST, LINES, {**LINES, "classifier": "forest", "trees": 30}]
BEARING += [HEALTHY, {**HEALTHY, "detector": "isolation_forest"}]
LIFE = [FOREST, RIDGE, {"method": "extra_trees", "trees": 60}]


def name(keys: dict[str, Any]) -> str:
    return "-".join(str(value) for value in keys.values() if isinstance(value, str))


def answer(problem: Problem, keys: dict[str, Any]) -> Predictions:
    return predict(ClassicModel.model_validate(keys), problem)


def values(predictions: Predictions, task: str, row: str = "model") -> dict[str, Any]:
    return evaluate(predictions)[task][row].values


@pytest.mark.fast_cases("forest", "healthy-mahalanobis")
@pytest.mark.parametrize("keys", BEARING, ids=name)
def test_faults_are_told_apart_and_at_minus_20_db_they_are_not(
    make_problem: Callable[..., Problem], keys: dict[str, Any]
) -> None:
    clean = answer(make_problem("bearing"), keys)
    noisy = answer(make_problem("bearing", test_noise_db=-20), keys)
    chances = {
        "classification": ("balanced_accuracy", 1 / len(clean.facts.classes)),
        "anomaly_detection": ("auroc", 0.5),
    }
    assert set(clean.tasks) & set(chances)
    for task in clean.tasks:
        metric, chance = chances[task]
        assert values(clean, task)[metric] > chance + 0.2
        assert values(noisy, task)[metric] == pytest.approx(chance, abs=0.15)


@pytest.mark.fast_cases("ridge")
@pytest.mark.parametrize("keys", LIFE, ids=name)
def test_lives_are_told_better_than_by_the_mean(
    make_problem: Callable[..., Problem], keys: dict[str, Any]
) -> None:
    found = answer(make_problem("run_to_failure"), keys)
    assert found.facts.mean_training_life_s is not None
    for row in found.tasks["rul_prediction"].outputs:
        assert values(found, "rul_prediction", row)["rmse"] < 0.25  # the mean has 0.29
    # Noise in proportion to a window leaves the course of its level: only shapes are gone.
    noise = make_problem("run_to_failure", test_noise_db=-20, amplitude="none")
    noisy = answer(replace(noise, amplitude=False), keys)
    assert values(noisy, "rul_prediction")["rmse"] > 0.25


@pytest.mark.fast_cases("fault_lines-logistic_regression")
@pytest.mark.parametrize("keys", BEARING + LIFE, ids=name)
def test_a_seed_decides_every_byte_and_test_labels_none(
    make_problem: Callable[..., Problem], keys: dict[str, Any]
) -> None:
    kind = "bearing" if keys in BEARING else "run_to_failure"
    problem = make_problem(kind)
    first, again = answer(problem, keys), answer(replace(problem, batch_size=7), keys)
    hidden = answer(replace(problem, source=_Blind(problem.source)), keys)
    for task, content in first.tasks.items():
        for row, output in content.outputs.items():
            assert np.array_equal(again.tasks[task].outputs[row], output)
            assert np.array_equal(hidden.tasks[task].outputs[row], output)


def test_fault_lines_need_the_geometry(
    make_problem: Callable[..., Problem], tmp_path: Path
) -> None:
    problem = make_problem("bearing")
    unknown = FeatureTable(tmp_path / "features.h5")
    write_features(unknown, problem.source, {})
    assert answer(replace(problem, features=unknown), LINES).tasks == {}
    only = replace(problem, tasks=("classification",))
    assert list(answer(only, LINES).tasks) == ["classification"]


@pytest.mark.parametrize(
    ("keys", "rows"),
    [
        (FOREST, {"model": True}),
        (HEALTHY, {"model": False}),
        ({**HEALTHY, "detector": "isolation_forest"}, {"model": False}),
        ({"method": "trivial"}, {"always the majority": True, "RMS stump": False}),
    ],
)
def test_a_probability_is_scored_as_one_and_a_distance_is_not(
    make_problem: Callable[..., Problem], keys: dict[str, Any], rows: dict[str, bool]
) -> None:
    found = answer(replace(make_problem("bearing"), tasks=("anomaly_detection",)), keys)
    for row, is_probability in rows.items():
        said = values(found, "anomaly_detection", row)
        assert (said["log_loss"] is not None, said["brier"] is not None) == (is_probability,) * 2


def test_who_has_not_asked_for_features_is_told_how(make_problem: Callable[..., Problem]) -> None:
    with pytest.raises(UserError, match="FEATURES: ClassVar = True"):
        replace(make_problem("bearing"), features=None).described(np.arange(3), ["shape"])


def test_the_direct_forecast_is_better_than_the_mean_and_blind_to_the_future(
    make_problem: Callable[..., Problem],
) -> None:
    problem = replace(make_problem("bearing"), tasks=("signal_prediction",))
    found = answer(problem, {**RIDGE, "past": 64})
    assert values(found, "signal_prediction")["nmse_step_1"] < 0.8
    noisy = replace(make_problem("bearing", test_noise_db=-20), tasks=problem.tasks)
    assert values(answer(noisy, {**RIDGE, "past": 64}), "signal_prediction")["skill"] < 0.05


@pytest.mark.parametrize("keys", LIFE[1:], ids=name)
def test_a_truncated_run_has_no_history(
    make_problem: Callable[..., Problem], keys: dict[str, Any]
) -> None:
    seen = TruncatedRun(truncation_s=100.0, official_rul_s=None, full_run_rul_s=None)
    problem = make_problem("run_to_failure")
    cut = problem.facts.model_copy(update={"truncation": {"run": seen}})
    assert answer(replace(problem, facts=cut), keys).tasks == {}


class _Blind:
    """The same spans, those of validation and test under other labels."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def __getattr__(self, key: str) -> Any:
        return getattr(self._source, key)

    def read(self, rows: np.ndarray) -> Any:
        return self._hide(rows, self._source.read(rows))

    def labels(self, rows: np.ndarray) -> Any:
        return self._hide(rows, self._source.labels(rows))

    def _hide(self, rows: np.ndarray, spans: Any) -> Any:
        held = ~np.isin(rows, self._source.rows("train"))
        fault, anomaly, rul = spans.fault.copy(), spans.anomaly.copy(), spans.rul.copy()
        fault[held], anomaly[held], rul[held] = 0, 0, 0.5
        return replace(spans, fault=fault, anomaly=anomaly, rul=rul)
