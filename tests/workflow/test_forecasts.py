"""What a forecast makes anew, and that it never trains a finished cell again."""

from __future__ import annotations

import json

import pytest

from .conftest import STUDY, Project

pytestmark = pytest.mark.slow
TRAIN_ONE = {"train": 1, "evaluate": 1}


def counted(project: Project, *names: str) -> dict[str, int]:
    """Jobs of these rules that a dry run plans; those without a job are left out."""
    said = project.dry()
    assert said.code == 0, said.text
    return {name: said.rules[name] for name in names if name in said.rules}


def rules(project: Project) -> dict[str, int]:
    return counted(project, "forecast", "cell", "train", "evaluate")


def raise_revision(project: Project) -> None:
    file = project.folder / "workflow_src" / "configuration" / "revisions.py"
    text = file.read_text(encoding="utf-8")
    assert text.count('"forecasts": 2') == 1
    file.write_text(text.replace('"forecasts": 2', '"forecasts": 3'), encoding="utf-8")


def test_a_finished_cell_asked_for_what_was_forecast(finished: Project) -> None:
    file = finished.folder / STUDY / "forecasts" / f"{STUDY}.json"
    found = json.loads(file.read_text(encoding="utf-8"))["cells"].values()
    needed = {one["name"]: one["host_mb"] for one in found}
    for model in ("dlinear", "fno"):
        told = finished.kept(model).events[0]["told"]
        assert told["memory_mb"] == needed[f"{model}/all"]
        assert "out_of_memory" not in finished.kept(model).event_names


@pytest.mark.parametrize("revised", [False, True], ids=["same revision", "raised revision"])
def test_what_follows_each_change(finished: Project, revised: bool) -> None:
    forecast = finished.folder / STUDY / "forecasts" / f"{STUDY}.json"
    anew = {"forecast": 1} if revised else {}
    if revised:
        raise_revision(finished)
    assert finished.dry().nothing_to_do

    content = forecast.read_bytes()
    forecast.write_bytes(content + b"\n")
    assert finished.dry().nothing_to_do, "an edited forecast"
    forecast.unlink()
    assert finished.dry().nothing_to_do, "a deleted forecast"
    forecast.write_bytes(content)

    weights = finished.kept("fno").results / "model.safetensors"
    kept = weights.read_bytes()
    weights.unlink()
    assert rules(finished) == anew | TRAIN_ONE
    forecast.unlink()
    assert rules(finished) == {"forecast": 1} | TRAIN_ONE
    weights.write_bytes(kept)
    forecast.write_bytes(content)

    run = finished.folder / "config" / "config.yaml"
    before = run.read_text(encoding="utf-8")
    finished.edit("config.yaml", seeds=[1, 2])
    assert rules(finished) == anew | {"cell": 3, "train": 2, "evaluate": 3}
    run.write_text(before, encoding="utf-8")

    finished.edit("models/dlinear.yaml", training={"learning_rate": 0.01})
    assert rules(finished) == anew | {"cell": 1} | TRAIN_ONE


def test_a_class_with_less_memory_is_forecast_anew(finished: Project) -> None:
    finished.edit("config.yaml", seeds=[1, 2])
    finished.edit("hardware/local.yaml", host_memory_mb=1500)
    assert rules(finished) == {"forecast": 1, "cell": 3, "train": 2, "evaluate": 3}


def test_a_plan_is_printed_each_time_and_by_the_verb(finished: Project) -> None:
    finished.edit("config.yaml", seeds=[1, 2])
    for _ in range(2):
        said = finished.snakemake("plan")
        assert said.code == 0, said.text
        assert "2 of 4 trainings to do" in said.text
        assert "fits nowhere: none" in said.text
    again = finished.verb("plan", STUDY)
    assert again.code == 0, again.text
    assert again.text.splitlines()[0] in said.text
    assert "tiny/fno/all/2" in again.text
    assert finished.verb("plan", "unknown").code == 1


def test_a_dry_run_of_many_trainings_is_its_summary(finished: Project) -> None:
    finished.edit("config.yaml", seeds=list(range(1, 31)))
    said = finished.dry()
    assert said.code == 0, said.text
    assert not said.jobs
    assert "58 of 60 trainings to do" in said.text
    assert len(said.text.splitlines()) < 70
    whole = finished.dry("--printshellcmds")
    assert whole.rules["train"] == 58
    data = finished.dry("plan")
    assert data.rules == {"plan": 1}
    assert "trainings to do" not in data.text


def test_a_damaged_forecast_is_refused_and_the_remedy_helps(finished: Project) -> None:
    file = finished.folder / STUDY / "forecasts" / f"{STUDY}.json"
    file.write_text("{", encoding="utf-8")
    said = finished.dry()
    assert said.code != 0
    assert f"rm {file.relative_to(finished.folder)}" in said.text
    file.unlink()
    assert finished.dry().nothing_to_do


def test_what_fits_nowhere_is_said_at_the_end(finished: Project) -> None:
    fno = finished.kept("fno")
    for file in (*fno.results.glob("m*"), fno.runs / "attempts.jsonl"):
        file.unlink()
    finished.edit("hardware/local.yaml", host_memory_mb=800)
    said = finished.snakemake()
    assert said.code != 0
    digest = said.text[said.text.index("FAILED tiny/fno/all/1") :]
    assert "fits nowhere: one span with activations recomputed takes 5" in digest
    assert "of host memory, and there are 520 MB" in digest
    assert "with more host memory (in the profile)" in digest
