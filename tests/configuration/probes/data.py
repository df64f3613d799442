"""Keys of rigs and datasets, seen in manifests, splits and the windows that are read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workflow_src.__main__ import main
from workflow_src.configuration import snapshot
from workflow_src.configuration.schema import Rig
from workflow_src.data.label_support import require
from workflow_src.data.prepare import prepare_rig
from workflow_src.errors import UserError
from workflow_src.tables.plan import TablePlan
from workflow_src.training.assembly import usable_tasks

RIG = {
    "source": "simulated",
    "simulated": {"kind": "bearing", "units_per_class": 3, "samples": 512, "speeds_rpm": [1500]},
    "unit": "g",
    "amplitude_comparable": True,
}
SPAN = 48
NO_VALIDATION = {"validation": {"strategy": "none"}}


def manifest(world: Any, name: str = "small", **keys: Any) -> dict[str, Any]:
    """What the store of a rig says, made as the workflow makes it."""
    os.chdir(world.new_folder())
    rig = Rig.model_validate({**RIG, **keys}).model_dump(exclude_none=True, by_alias=True)
    part = {"rig": rig, "table": None}
    prepare_rig(name, part, description="", data_root=Path(), config_folder=Path())
    read: dict[str, Any] = json.loads(Path("data", name, "manifest.json").read_text())
    return read


def source(world: Any) -> None:
    assert manifest(world)["source"] == "simulated"
    assert manifest(world, **_folder_rig(world))["source"] == "folder"


def _folder_rig(world: Any) -> dict[str, Any]:
    folder = world.new_folder()
    for unit in "ab":
        np.save(folder / f"{unit}.npy", np.arange(10.0 if unit == "a" else 20.0))
    fields = {"unit_id": "{unit}", "condition": "c", "run_id": "{unit}"}
    options = {"path": str(folder), "files": "{unit}.npy", "rate_hz": 1, "fields": fields}
    return {"source": "folder", "simulated": None, "folder": options}


def simulated(world: Any) -> None:
    other = {**RIG["simulated"], "seed": 2}  # type: ignore[dict-item]
    assert manifest(world)["sha256"] != manifest(world, simulated=other)["sha256"]


def folder(world: Any) -> None:
    made = manifest(world, **_folder_rig(world))
    assert sorted(made["files"]) == ["a.npy", "b.npy"]


def unit(world: Any) -> None:
    assert manifest(world)["unit"] == "g"
    assert manifest(world, unit="V")["unit"] == "V"


def description(world: Any) -> None:
    """It reaches the manifest through the verb, but no param: the store is not made anew."""
    os.chdir(world.new_folder())
    targets = world.targets(rigs__bench={**RIG, "description": "A bench, by somebody."})
    params = targets.rig_json(_wildcards())
    assert "somebody" not in params
    arguments = ["--name", "bench", "--rig", params, "--config-folder", str(world.config)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(snapshot.VARIABLE, "")  # so that it is put back
        targets.keep()
        assert main(["recordings", *arguments]) == 0
    made = json.loads(Path("data/bench/manifest.json").read_text())
    assert made["description"] == "A bench, by somebody."


def _wildcards(**names: str) -> Any:
    return type("Wildcards", (), {"rig": "bench", "dataset": "d", **names})


def common_rate_hz(world: Any) -> None:
    assert any(
        "brought to 6000 Hz" in note for note in manifest(world, common_rate_hz=6000)["notes"]
    )
    assert manifest(world)["notes"] == []


def amplitude_comparable(world: Any) -> None:
    for comparable, inputs in ((True, ["amplitude"]), (False, [])):
        configuration = world.load(rigs__bench={"amplitude_comparable": comparable})
        cell = configuration.resolve("d", "net", "all", 1)
        assert usable_tasks(cell, ["rul_prediction"]).rul_prediction.inputs == inputs


# ------------------------------------------------------------------------------- spans


def window(world: Any) -> None:
    assert read(world, "train", {"span": {"window": 50}}).window.shape[1] == 50


def horizon(world: Any) -> None:
    assert read(world, "train", {"span": {"horizon": 5}}).horizon.shape[1] == 5


def read(world: Any, part: str, dataset: Mapping[str, Any] | None = None) -> Any:
    reader = world.reader(dataset)
    return reader.read(reader.rows(part))


def starts(world: Any, **span: Any) -> list[int]:
    rows = world.split({"span": span}).rows
    return [int(s) for s in rows[rows["recording_id"] == "inner2_slow"]["start"]]


def stride(world: Any) -> None:
    assert starts(world)[:3] == [0, SPAN, 2 * SPAN]
    assert starts(world, stride=20)[:3] == [0, 20, 40]


def per_recording(world: Any) -> None:
    assert len(starts(world)) == 12
    assert len(starts(world, per_recording=4)) == 4


# ------------------------------------------------------------------------------- splits


def parts(world: Any, split: dict[str, Any], column: str = "unit_id", **keys: Any) -> Any:
    """Part -> the units (or runs, conditions) in it, under this `split` alone."""
    rows = world.split({"split": split, **keys}, new=True).rows
    return {part: set(group[column]) for part, group in rows.groupby("part")}


def strategy(world: Any) -> None:
    for name, column in (("unit", "unit_id"), ("condition", "condition"), ("run", "run_id")):
        split = {"strategy": name, **NO_VALIDATION}
        keys = {"select": {"fault": ["normal", "inner"]}}
        found = parts(world, split, column, **keys)
        assert found["train"].isdisjoint(found["test"]), name
    blocks = parts(world, {"strategy": "time_block", **NO_VALIDATION}, "run_id")
    assert blocks["train"] == blocks["test"]


def test(world: Any) -> None:
    for held in ("b1", "normal0"):
        split = {
            "strategy": "unit",
            "test": {"unit_id": [held]},
            **NO_VALIDATION,
        }
        assert parts(world, split)["test"] == {held}


def train(world: Any) -> None:
    split = {"strategy": "unit", "test": {"unit_id": ["b1"]}, **NO_VALIDATION}
    assert len(parts(world, split)["train"]) == 8
    some = {**split, "train": {"unit_id": ["b0", "b2"]}}
    assert parts(world, some)["train"] == {"b0", "b2"}


def test_share(world: Any) -> None:
    split = {"strategy": "unit", **NO_VALIDATION}
    few, many = (len(parts(world, split | {"test_share": s})["test"]) for s in (0.2, 0.6))
    assert few < many


def validation(world: Any) -> None:
    split = {"strategy": "unit", **NO_VALIDATION}
    assert "val" not in parts(world, split)
    assert "val" in parts(world, {"strategy": "unit", "validation": {"strategy": "unit"}})


def validation_strategy(world: Any) -> None:
    by_unit = parts(world, {"strategy": "unit", "validation": {"strategy": "unit"}})
    by_time = parts(world, {"strategy": "unit", "validation": {"strategy": "time_block"}})
    assert by_unit["val"].isdisjoint(by_unit["train"])
    assert by_time["val"] == by_time["train"]


def validation_share(world: Any) -> None:
    def spans(share: float) -> int:
        split = {"strategy": "unit", "validation": {"strategy": "time_block", "share": share}}
        return int((world.split({"split": split}, new=True).rows["part"] == "val").sum())

    assert spans(0.1) < spans(0.5)


def validation_select(world: Any) -> None:
    test_part = {"test": {"unit_id": ["b1"]}}
    for held in ("b0", "normal1"):
        chosen = {"strategy": "unit", "select": {"unit_id": [held]}}
        split = {"strategy": "unit", **test_part, "validation": chosen}
        assert parts(world, split)["val"] == {held}


def file(world: Any) -> None:
    listed = ["recording_id,part"]
    listed += [f"{fault}{u}_slow,{part}" for u, part in enumerate(("train", "val", "test"))
               for fault in ("normal", "inner")]  # fmt: skip
    (world.folder / "mine.csv").write_text("\n".join(listed) + "\n")
    found = parts(world, {"strategy": "fixed", "file": "mine.csv"})
    assert found["test"] == {"normal2", "inner2"}


def gap(world: Any) -> None:
    def distance(samples: int) -> int:
        split = {"strategy": "time_block", "gap": samples, **NO_VALIDATION}
        rows = world.split({"split": split}, new=True).rows
        own = rows[rows["recording_id"] == "inner2_slow"].set_index("part")["start"]
        return int(own["test"].min() - own["train"].max()) - SPAN

    assert distance(0) >= SPAN
    assert distance(60) >= SPAN + 60 > distance(0)


def seed(world: Any) -> None:
    drawn = {
        frozenset(
            parts(world, {"strategy": "unit", "seed": s, "validation": {"strategy": "unit"}})[
                "test"
            ]
        )
        for s in range(5)
    }
    assert len(drawn) > 1


def classes_absent_from_test(world: Any) -> None:
    split = {"strategy": "unit", "test": {"unit_id": ["normal0", "b0"]}}
    for absent, supported in (([], False), (["inner"], True)):
        keys = {"split": {**split, "classes_absent_from_test": absent}}
        reason = world.split(keys, new=True).summary.supported["classification"]
        assert (reason is None) == supported


def folds(world: Any) -> None:
    assert list(world.load().datasets) == ["d"]
    two = [{"test": {"unit_id": [u]}} for u in ("b0", "b1")]
    assert list(world.load(datasets__d={"split": {"folds": two}}).datasets) == [
        "d.fold0",
        "d.fold1",
    ]


def fold_test(world: Any) -> None:
    for held in ("b1", "normal2"):
        folds = {"split": {"folds": [{"test": {"unit_id": [held]}}]}}
        split = world.load(datasets__d=folds).datasets["d.fold0"].split
        assert parts(world, split.model_dump() | NO_VALIDATION)["test"] == {held}


def fold_train(world: Any) -> None:
    fold = {"test": {"unit_id": ["b1"]}, "train": {"unit_id": ["b0"]}}
    split = world.load(datasets__d={"split": {"folds": [fold]}}).datasets["d.fold0"].split
    assert parts(world, split.model_dump() | NO_VALIDATION)["train"] == {"b0"}


# ------------------------------------------------------------------------------- datasets


def dataset_extends(world: Any) -> None:
    child = {"extends": "d", "span": {"window": 99}}
    made = world.load({"datasets": ["child"]}, datasets__child=child).datasets["child"]
    assert (made.span.window, made.span.horizon, made.rig) == (99, 8, "bench")


def rig(world: Any) -> None:
    other = {"rigs/second": {**RIG, "unit": "V"}}
    world.write({**other, "datasets/d": {"rig": "second"}})
    targets = world.targets(rigs__second={**RIG}, datasets__d={"rig": "second"})
    assert targets.store_of(_wildcards()) == "data/second/recordings.h5"
    assert world.targets().store_of(_wildcards()) == "data/bench/recordings.h5"


def label(world: Any) -> None:
    plan = TablePlan.from_configuration(world.load(datasets__d={"label": "Bench"}))
    assert plan.datasets["d"].label == "Bench"


def note(world: Any) -> None:
    plan = TablePlan.from_configuration(world.load(datasets__d={"note": "speed held out"}))
    assert plan.datasets["d"].note == "speed held out"


def span(world: Any) -> None:
    summary = world.split({"span": {"window": 60, "horizon": 4}}).summary
    assert (summary.window, summary.horizon) == (60, 4)


def channel_kinds(world: Any) -> None:
    assert world.reader().channels == 2
    assert world.reader({"channel_kinds": ["current"]}).channels == 1


def select(world: Any) -> None:
    keys = {"select": {"condition": ["slow"]}}
    assert set(world.split(keys).rows["condition"]) == {"slow"}


def split(world: Any) -> None:
    held = {"split": {"test": {"unit_id": ["b2"]}}}
    assert set(world.split(held).rows.query("part == 'test'")["unit_id"]) == {"b2"}


def amplitude(world: Any) -> None:
    absolute, relative, none = (
        read(world, "train", {"amplitude": a}).log_amplitude
        for a in ("absolute", "relative", "none")
    )
    assert not none.any()
    assert abs(absolute.mean()) < 1e-3
    assert not np.allclose(absolute, relative)


def test_noise_db(world: Any) -> None:
    for part, same in (("train", True), ("val", True), ("test", False)):
        clean, noisy = read(world, part), read(world, part, {"test_noise_db": 10})
        assert np.array_equal(clean.window, noisy.window) == same
        assert np.array_equal(clean.horizon, noisy.horizon)
    power = ((noisy.window - clean.window) ** 2).mean() / clean.window.var(axis=1).mean()
    assert abs(10 * np.log10(power) + 10) < 0.5


def unsupported_tasks(world: Any) -> None:
    summary = world.split({"split": {"test": {"unit_id": ["normal0", "inner0"]}}}).summary
    tasks = ["classification", "rul_prediction"]
    drop = world.load(datasets__d={"unsupported_tasks": "drop"}).datasets["d"]
    kept, dropped = require(summary, tasks, drop.unsupported_tasks)
    assert (kept, list(dropped)) == (["classification"], ["rul_prediction"])
    with pytest.raises(UserError, match="unsupported_tasks: drop"):
        require(summary, tasks, world.load().datasets["d"].unsupported_tasks)


PROBES = {
    "Rig.source": source,
    "Rig.simulated": simulated,
    "Rig.folder": folder,
    "Rig.unit": unit,
    "Rig.description": description,
    "Rig.common_rate_hz": common_rate_hz,
    "Rig.amplitude_comparable": amplitude_comparable,
    "Span.window": window,
    "Span.horizon": horizon,
    "Span.stride": stride,
    "Span.per_recording": per_recording,
    "Split.strategy": strategy,
    "Split.test": test,
    "Split.train": train,
    "Split.test_share": test_share,
    "Split.validation": validation,
    "Split.file": file,
    "Split.gap": gap,
    "Split.seed": seed,
    "Split.classes_absent_from_test": classes_absent_from_test,
    "Split.folds": folds,
    "Validation.strategy": validation_strategy,
    "Validation.share": validation_share,
    "Validation.select": validation_select,
    "Fold.test": fold_test,
    "Fold.train": fold_train,
    "Dataset.extends": dataset_extends,
    "Dataset.rig": rig,
    "Dataset.label": label,
    "Dataset.note": note,
    "Dataset.span": span,
    "Dataset.channel_kinds": channel_kinds,
    "Dataset.select": select,
    "Dataset.split": split,
    "Dataset.amplitude": amplitude,
    "Dataset.test_noise_db": test_noise_db,
    "Dataset.unsupported_tasks": unsupported_tasks,
}
