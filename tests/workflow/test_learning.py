"""What finished attempts teach the next run: real Snakemake, real attempts."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from .conftest import STUDY, Project
from .test_waiting_jobs import run_and_edit_while_waiting

pytestmark = pytest.mark.slow
TOO_LITTLE = 3  # times the forecast is what the attempt that a test adds has used


def forecast_mb(project: Project, model: str) -> int:
    file = project.folder / STUDY / "forecasts" / f"{STUDY}.json"
    cells = json.loads(file.read_text(encoding="utf-8"))["cells"].values()
    (found,) = {one["host_mb"] for one in cells if one["name"] == f"{model}/all"}
    return int(found)


def observed(project: Project) -> dict[str, dict[str, str]]:
    """The rows by cell."""
    text = (project.folder / STUDY / "observed.csv").read_text(encoding="utf-8").splitlines()
    return {row["cell"]: row for row in csv.DictReader(text)}


def use_more(project: Project, model: str) -> None:
    """An attempt at seed 1 that used more than was forecast, in the words of the real one."""
    journal = project.kept(model).runs / "attempts.jsonl"
    started, ended = project.kept(model).events[0], project.kept(model).events[-1]
    ended["peaks_mb"]["host_mb"] = float(TOO_LITTLE * forecast_mb(project, model))
    with journal.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(event) + "\n" for event in (started, ended))


def told_mb(project: Project, model: str, seed: int) -> int:
    path = Path(STUDY, "runs", STUDY, model, "all", f"seed{seed}", "attempts.jsonl")
    first = (project.folder / path).read_text(encoding="utf-8").splitlines()[0]
    return int(json.loads(first)["told"]["memory_mb"])


def test_a_run_writes_what_attempts_before_it_used_and_asks_for_as_much(
    finished: Project,
) -> None:
    assert observed(finished) == {}, "nothing had finished when the first run began"
    use_more(finished, "fno")
    finished.edit("config.yaml", seeds=[1, 2])
    words = f"host memory of fno on local: forecast x {TOO_LITTLE:.2f}, learned from 1 cell"
    assert words in finished.dry().text
    assert observed(finished) == {}, "a dry run writes nothing"
    said = finished.snakemake()
    assert said.code == 0, said.text

    row = observed(finished)["tiny/dlinear/all/1"]
    end = finished.kept("dlinear").events[-1]
    assert float(row["host_mb"]) == end["peaks_mb"]["host_mb"]
    assert float(row["seconds"]) == end["seconds"]
    assert int(row["requested_mb"]) == int(row["forecast_mb"]) == forecast_mb(finished, "dlinear")
    assert float(row["epoch_s"]) > 0
    assert float(row["forecast_epoch_s"]) > 0
    assert (row["cause"], row["lowered"], row["device_mb"]) == ("done", "False", "")
    assert set(observed(finished)) == {f"tiny/{model}/all/1" for model in ("dlinear", "fno")}

    assert told_mb(finished, "dlinear", 2) == forecast_mb(finished, "dlinear")
    assert told_mb(finished, "fno", 2) == TOO_LITTLE * forecast_mb(finished, "fno")
    scored = finished.verb("forecast", "--score", STUDY, "--figures", "figures")
    assert scored.code == 0, scored.text
    assert "double after failure" in scored.text
    names = {"forecast_observed.svg", "memory_parts.svg", "memory_policies.svg"}
    assert {path.name for path in (finished.folder / "figures").iterdir()} == names


def test_an_attempt_that_ends_meanwhile_changes_no_request_of_a_job_that_waits(
    finished: Project,
) -> None:
    """It waits with what was forecast when its run began, and so it starts."""
    finished.edit("config.yaml", seeds=[1, 2], models=["dlinear", "trivial"])
    run_and_edit_while_waiting(finished, lambda: use_more(finished, "dlinear"))
    first = forecast_mb(finished, "dlinear")
    assert told_mb(finished, "dlinear", 2) == first
    assert observed(finished)["tiny/dlinear/all/1"]["host_mb"] != str(float(TOO_LITTLE * first))

    finished.edit("config.yaml", seeds=[1, 2, 3])
    said = finished.snakemake()
    assert said.code == 0, said.text
    assert told_mb(finished, "dlinear", 3) == TOO_LITTLE * first
