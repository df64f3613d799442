"""What lies between rules: written and read back, and named with its key where it is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workflow_src.artifacts.cell_metrics import CellMetrics, Scores
from workflow_src.artifacts.training_report import CheckpointCost, Fit, Rung, TrainingReport
from workflow_src.cells import Cell
from workflow_src.configuration import NetworkCell, ResolvedCell, identity, load
from workflow_src.configuration.reading import read
from workflow_src.errors import BadData
from workflow_src.json_files import JsonFile

CONFIG = Path(__file__).parents[2] / "config"
CELL = Cell("d", "m", "t", 7)
# Of a cell of config/config.yaml: whoever changes one retrains all studies that there are.
IDENTITIES = {
    ("bearing_sim", "dlinear", "all", 42): "8be7bdc36be6b1d0",
    ("bearing_sim", "trivial", "all", 42): "5b7262208b32c5a3",
}


def resolved(model: str) -> ResolvedCell:
    run = {**read(CONFIG / "config.yaml"), "hardware": "local"}
    return load(run, CONFIG).resolve("bearing_sim", model, "all", 42)


def metrics() -> CellMetrics:
    scores = Scores(values={"macro_f1": 1 / 3, "brier": None}, undefined={"brier": "no span"})
    return CellMetrics(cell=CELL, identity="abc", scores={"classification": {"model": scores}})


def report() -> TrainingReport:
    rung = Rung(
        of="host",
        during="training",
        before=Fit(micro_batch=8, activation_checkpointing=False),
        after=Fit(micro_batch=4, activation_checkpointing=False),
    )
    return TrainingReport(
        cell=CELL,
        identity="abc",
        code="def",
        epochs=3,
        rungs=(rung,),
        checkpoints=CheckpointCost(saves=2, seconds=0.5),
        peak_rss_mb=123,
        peaks_mb={"host_mb": 123, "device_mb": 4.5},
        best_epoch=None,
    )


WHOLE = {
    "cell.json": lambda: resolved("dlinear"),
    "classic.json": lambda: resolved("trivial"),
    "metrics.json": metrics,
    "training.json": report,
}


@pytest.fixture(params=WHOLE)
def whole(request: pytest.FixtureRequest) -> tuple[str, JsonFile]:
    return request.param, WHOLE[request.param]()


def test_what_is_written_is_read_back_and_written_alike(
    whole: tuple[str, JsonFile], tmp_path: Path
) -> None:
    name, before = whole
    before.write(tmp_path / name)
    after = type(before).read(tmp_path / name)
    assert after == before
    after.write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / name).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "again.json"])


def damaged(of: JsonFile, path: Path, content: Any) -> str:
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(BadData) as caught:
        type(of).read(path)
    return str(caught.value)


def test_each_missing_or_unknown_key_is_named(whole: tuple[str, JsonFile], tmp_path: Path) -> None:
    path = tmp_path / whole[0]
    content = whole[1].content()
    for key in sorted(name for name, field in type(whole[1]).model_fields.items()
                      if field.is_required()):  # fmt: skip
        said = damaged(whole[1], path, {k: v for k, v in content.items() if k != key})
        assert f"{path}, key `{key}`" in said
        assert f"rm {path}   # the next run writes it again" in said
    said = damaged(whole[1], path, {**content, "new": [1]})
    assert f"{path}, key `new`" in said
    assert "[1]" in said


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("cell.json", "cell.seed", "42"),
        ("cell.json", "dataset.span.window", "long"),
        ("cell.json", "training.epochs", 2.5),
        ("cell.json", "amplitude_comparable", 1),
        ("classic.json", "revision", "1"),
        ("metrics.json", "scores.classification.model.values.macro_f1", "0.3"),
        ("training.json", "rungs.0.before.micro_batch", None),
        ("training.json", "epochs", "3"),
    ],
)
def test_a_value_of_another_type_is_named(name: str, key: str, value: Any, tmp_path: Path) -> None:
    of = WHOLE[name]()
    content = json.loads(of.to_json())
    holder: Any = content
    *above, last = key.split(".")
    for step in above:
        holder = holder[int(step) if isinstance(holder, list) else step]
    holder[last] = value
    said = damaged(of, tmp_path / name, content)
    assert f"key `{key}`" in said
    assert repr(value) in said


@pytest.mark.parametrize("text", ["", "{", "[]", "\udcff"])
def test_a_torn_file_is_named(whole: tuple[str, JsonFile], text: str, tmp_path: Path) -> None:
    path = tmp_path / whole[0]
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(BadData, match=str(path)):
        type(whole[1]).read(path)


def test_what_is_not_there_is_no_damage(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        CellMetrics.read(tmp_path / "metrics.json")


def test_files_of_before_lack_what_came_later(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(json.dumps({"cell": vars(CELL), "identity": "abc", "seconds": 1.5}))
    assert TrainingReport.read(path) == TrainingReport(cell=CELL, identity="abc", seconds=1.5)
    assert TrainingReport.read(path).code is None
    path.write_text(json.dumps({"cell": vars(CELL), "scores": {}}))
    assert CellMetrics.read(path).identity is None


def test_a_baseline_is_not_trained(tmp_path: Path) -> None:
    path = tmp_path / "cell.json"
    resolved("trivial").write(path)
    with pytest.raises(BadData, match="key `model"):
        NetworkCell.read(path)


@pytest.mark.parametrize("key", IDENTITIES, ids=lambda key: "/".join(map(str, key)))
def test_the_identity_is_the_hash_of_the_other_keys(key: tuple[str, str, str, int]) -> None:
    cell = resolved(key[1])
    content = json.loads(cell.to_json())
    assert content.pop("identity") == cell.identity == IDENTITIES[key] == identity(content)
