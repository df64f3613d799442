"""What finished attempts teach, and how forecasts are scored."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_src.__main__ import main
from workflow_src.artifacts.forecast_file import CellForecast, Correction
from workflow_src.cells import Cell, observed_file, runs
from workflow_src.configuration.schema import Request
from workflow_src.forecasting.learn import FITS, learn, time_factor, upper_factor
from workflow_src.forecasting.score import calibration, errors, page, replays, scored, to_csv
from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.scheduling.events import Ended, Shrank, Started
from workflow_src.scheduling.journal import Journal
from workflow_src.scheduling.next_request import MORE_MEMORY, UNKNOWN_MB
from workflow_src.scheduling.observed import Known, Observed, observe, write_observed

SCORE = st.floats(0.01, 100.0)
ENOUGH = 99  # cells: the fewest that bound the next one with a chance of 99 %
ROW = Observed(
    cell="rig/fno/all/1",
    hardware="local",
    model="fno",
    task_set="all",
    identity="i",
    forecast_mb=1000,
    requested_mb=1000,
    host_mb=800.0,
    forecast_device_mb=None,
    device_mb=None,
    forecast_epoch_s=2.0,
    epoch_s=3.0,
    seconds=36.0,
    devices=1,
    cause="done",
    is_short=False,
    lowered=False,
    time=1.0,
)


def row(number: int, host_mb: float, **changes: object) -> Observed:
    """A row of a cell of its own."""
    return replace(ROW, cell=f"rig/fno/all/{number}", time=number, host_mb=host_mb, **changes)


@settings(max_examples=30, deadline=None)
@given(st.lists(SCORE, min_size=ENOUGH + 1, max_size=260))
def test_99_of_100_cells_stay_below_what_the_others_teach(scores: list[float]) -> None:
    """Each cell left out in turn: what exchangeable cells are promised, whatever they are."""
    covered = [
        score <= upper_factor(scores[:index] + scores[index + 1 :], FITS)
        for index, score in enumerate(scores)
    ]
    assert sum(covered) >= FITS * len(scores) - 1e-9


@given(st.lists(SCORE, max_size=ENOUGH - 1))
def test_of_fewer_no_forecast_is_lowered_and_the_largest_raises(scores: list[float]) -> None:
    assert upper_factor(scores, FITS) == max([1.0, *scores])


@pytest.mark.parametrize(("cells", "factor"), [(98, 1.0), (99, 0.8), (199, 0.75)])
def test_from_99_cells_on_a_forecast_is_lowered(cells: int, factor: float) -> None:
    """Of 199 the second largest counts."""
    rows = [row(number, 750.0) for number in range(cells - 1)] + [row(cells, 800.0)]
    (found,) = learn([replace(one, forecast_device_mb=100) for one in rows]).values()
    assert (found.host, found.host_cells) == (factor, cells)
    (found,) = learn(rows).values()  # tensors in host memory: mapped memory is limited
    assert (found.host, found.host_cells) == (1.0, cells)


def test_each_class_and_model_has_a_correction_with_its_number_of_cells() -> None:
    rows = [
        row(1, 1200.0),
        row(2, 900.0, hardware="cpu"),
        row(3, 1500.0, model="dlinear", epoch_s=None),
        row(4, 9000.0, lowered=True),
        row(5, 9000.0, forecast_mb=None, forecast_epoch_s=None),
    ]
    found = learn(rows)
    fno = found["local", "fno"]
    assert (fno.host, fno.host_cells, fno.device_cells) == (1.2, 1, 0)
    assert (fno.seconds, fno.seconds_cells) == (1.5, 1)
    assert (found["cpu", "fno"].host, found["cpu", "fno"].host_cells) == (1.0, 1)
    dlinear = found["local", "dlinear"]
    assert (dlinear.host, dlinear.seconds, dlinear.seconds_cells) == (1.5, 1.0, 0)
    assert len(found) == 3


def test_of_few_cells_the_median_of_seconds_raises_and_then_a_quantile_counts() -> None:
    assert time_factor([]) == 1.0
    assert time_factor([0.5, 0.6, 0.7]) == 1.0
    assert time_factor([1.2, 1.5, 60.0]) == 1.5
    assert time_factor([1.0] * 17 + [60.0]) == 1.0  # the 90 % quantile would be the largest
    assert time_factor([0.5] * 17 + [0.6, 60.0]) == 0.6


def test_attempts_at_one_cell_are_one_score() -> None:
    rows = [replace(row(1, 700.0), time=one) for one in range(200)]
    assert learn(rows)["local", "fno"].host == 1.0
    rows[7] = replace(rows[7], host_mb=1100.0)
    assert learn(rows)["local", "fno"] == Correction(
        hardware="local", model="fno", host=1.1, host_cells=1, seconds=1.5, seconds_cells=1
    )


def test_a_correction_changes_memory_and_time_alone() -> None:
    made = CellForecast(
        name="fno/all",
        parameters=1,
        share=32,
        micro_batch=16,
        activation_checkpointing=False,
        device_mb=100,
        host_mb=1000,
        epoch_s=2.0,
        around_s=16.0,
    )
    learned = Correction(hardware="h", model="fno", host=0.8005, device=1.5, seconds=2.0)
    expected = made.model_copy(update={"host_mb": 801, "device_mb": 150, "epoch_s": 4.0})
    assert made.corrected(learned) == expected
    of_host, of_device = learned.in_words()
    assert of_host == "host memory of fno on h: forecast x 0.80, learned from 0 cells"
    assert "x 1.50" in of_device
    assert made.corrected(None) == made


# ------------------------------------------------------------------ rows


FORECAST = CellForecast(
    name="fno/all",
    parameters=1,
    share=32,
    micro_batch=32,
    activation_checkpointing=False,
    device_mb=None,
    host_mb=1000,
    epoch_s=2.0,
)
CELL = Cell("rig", "fno", "all", 1)
KNOWN = Known("i", Request(), FORECAST)


def observed(
    told: AttemptRequest,
    end: Ended,
    known: Known | None = KNOWN,
    before_end: tuple[Shrank, ...] = (),
) -> list[Observed]:
    """What one attempt tells."""
    folder = runs("study", CELL)
    journal = Journal(folder / "attempts.jsonl")
    journal.path.unlink(missing_ok=True)
    for event in (Started(request=told, identity="i"), *before_end, end):
        journal.append(event)
    return observe("study", lambda *which: known if which == (CELL, "local") else None)


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


DONE = Ended(cause="done", peaks_mb={"host_mb": 600.0}, seconds=12.0)
RAN_OUT = Ended(cause="host_oom", peaks_mb={"host_mb": 600.0}, seconds=12.0)
TOLD = AttemptRequest(memory_mb=1000, hardware="local", cache_mb=256)


@pytest.mark.usefixtures("own_folder")
def test_a_row_tells_what_was_forecast_asked_and_used() -> None:
    (found,) = observed(TOLD.model_copy(update={"devices": 2}), DONE)
    assert (found.forecast_mb, found.requested_mb, found.host_mb) == (None, 1000, 1200.0)
    (found,) = observed(TOLD, DONE)
    assert (found.forecast_mb, found.requested_mb, found.host_mb) == (1000, 1000, 600.0)
    assert (found.cell, found.hardware, found.cause) == (CELL.name, "local", "done")
    assert (found.seconds, found.lowered, found.needed_mb) == (12.0, False, 600.0)
    assert found.time > 1e9
    write_observed("study", [found])
    text = observed_file("study").read_text(encoding="utf-8")
    (line,) = csv.DictReader(io.StringIO(text))
    assert (line["forecast_mb"], line["host_mb"], line["device_mb"]) == ("1000", "600.0", "")


@pytest.mark.usefixtures("own_folder")
def test_epochs_are_of_the_attempt_that_was_started_last() -> None:
    observed(TOLD, DONE)
    text = "epoch,seconds\n1,5.0\n2,3.0\n3,2.0\n"
    (runs("study", CELL) / "history.csv").write_text(text, encoding="utf-8")
    assert [one.epoch_s for one in observed(TOLD, DONE)] == [3.0]
    journal = Journal(runs("study", CELL) / "attempts.jsonl")
    for event in (Started(request=TOLD, identity="other"), DONE):
        journal.append(event)
    found = observe("study", lambda *_: KNOWN)
    assert [(one.identity, one.epoch_s) for one in found] == [("i", None), ("other", 3.0)]
    assert [one.forecast_mb for one in found] == [1000, None]


@pytest.mark.parametrize(
    ("told", "known"),
    [
        (TOLD, None),
        (TOLD, replace(KNOWN, identity="another")),
        (TOLD, replace(KNOWN, forecast=None)),
        (TOLD.model_copy(update={"micro_batch_size": 8}), KNOWN),
        (TOLD.model_copy(update={"activation_checkpointing": True}), KNOWN),
        (TOLD.model_copy(update={"workers": 2}), KNOWN),
        (TOLD.model_copy(update={"hardware": "another"}), KNOWN),
    ],
)
@pytest.mark.usefixtures("own_folder")
def test_a_forecast_of_something_else_teaches_nothing(
    told: AttemptRequest, known: Known | None
) -> None:
    rows = observed(told, DONE, known)
    assert [one.forecast_mb for one in rows] == [None]
    assert learn(rows) == {}
    assert scored(rows) == []


@pytest.mark.usefixtures("own_folder")
def test_who_ran_out_needs_what_the_next_attempt_asks_for() -> None:
    rows = observed(TOLD, RAN_OUT)
    assert [one.needed_mb for one in rows] == [MORE_MEMORY * 1000]
    assert learn(rows)["local", "fno"].host == MORE_MEMORY
    killed = observed(TOLD, Ended(cause="host_oom", signal="SIGKILL"))
    assert [(one.host_mb, one.needed_mb) for one in killed] == [(None, MORE_MEMORY * 1000)]
    assert observed(TOLD, Ended(cause="terminated")) == []
    assert observed(TOLD, Ended(cause="done", peak_rss_mb=300.0)) == []  # a classic model


@pytest.mark.usefixtures("own_folder")
def test_who_was_done_with_a_smaller_micro_batch_did_not_fit() -> None:
    rows = observed(TOLD, DONE, before_end=(Shrank(of="host", during="forward"),))
    assert [(one.is_short, one.needed_mb) for one in rows] == [(True, MORE_MEMORY * 1000)]
    assert learn(rows)["local", "fno"].host == MORE_MEMORY
    (first,) = errors(scored(rows))[:1]
    assert (first.quantity, first.too_low) == ("host memory", 1.0)


@pytest.mark.usefixtures("own_folder")
def test_epochs_of_several_attempts_are_of_none() -> None:
    observed(TOLD, DONE)
    text = "epoch,seconds\n1,5.0\n"
    (runs("study", CELL) / "history.csv").write_text(text, encoding="utf-8")
    journal = Journal(runs("study", CELL) / "attempts.jsonl")
    journal.append(Started(request=TOLD, identity="i"))  # killed: it wrote no end
    found = observe("study", lambda *_: KNOWN)
    assert [one.epoch_s for one in found] == [None]


@pytest.mark.usefixtures("own_folder")
def test_an_attempt_with_less_than_was_forecast_on_purpose_is_marked() -> None:
    low = TOLD.model_copy(update={"memory_mb": 700})
    rows = observed(low, RAN_OUT)
    assert [one.lowered for one in rows] == [True]
    assert learn(rows) == {}
    assert scored(rows) == []
    stated = replace(KNOWN, request=Request(memory_mb=700))
    assert [one.lowered for one in observed(low, DONE, stated)] == [True]
    # It was done within less; no one states that limit any more, or it was learned.
    assert [one.lowered for one in observed(low, DONE)] == [False]


# ------------------------------------------------------------------ scores


def test_errors_are_shares_of_what_was_used() -> None:
    rows = [row(1, 800.0, epoch_s=None), row(2, 500.0, epoch_s=None), row(3, 2000.0, epoch_s=None)]
    of_model, of_all = errors(rows)
    assert (of_model.model, of_all.model) == ("fno", "all")
    assert (of_all.cells, of_all.median, of_all.worst) == (3, 0.25, 1.0)
    assert of_all.mean == pytest.approx((0.25 + 1.0 + 0.5) / 3)
    assert of_all.too_low == pytest.approx(1 / 3)
    assert (of_all.by_mean, of_all.by_most) == (0.5, 0.5)


def test_policies_lose_what_they_ask_for_and_do_not_use() -> None:
    """Two cells of 36 s: one needs 512 MB of 1,000 forecast, one 8,192."""
    rows = [row(1, 512.0), row(2, 8192.0)]
    found = {one.policy: one for one in replays(rows)}
    doubled = found["double after failure"]
    hours, first = 0.01, UNKNOWN_MB
    lost = (first - 512) + first + 2 * first + (4 * first - 8192)
    assert doubled.wasted_gb_h == pytest.approx(lost / 1024 * hours)
    assert doubled.fit == 0.5
    assert found["forecast"].fit == 0.5
    learned = found["forecast, learned"]
    assert learned.wasted_gb_h == found["forecast"].wasted_gb_h  # nothing that helped was seen
    history = found["quantile of history"]  # the first cell has none
    lost = (first - 512) + sum(512 * 2**n for n in range(4))
    assert history.wasted_gb_h == pytest.approx(lost / 1024 * hours)
    assert {one.wasted_device_h for one in found.values()} == {0.0}


def test_time_of_gpus_is_lost_by_attempts_that_fail() -> None:
    rows = [row(1, 8000.0, device_mb=100.0, forecast_device_mb=200, devices=2)]
    found = {one.policy: one.wasted_device_h for one in replays(rows)}
    assert found["double after failure"] == pytest.approx(0.02)
    assert found["forecast"] == pytest.approx(0.06)  # 1,000, 2,000 and 4,000 MB


def test_what_is_learned_on_one_half_holds_on_the_other() -> None:
    rows = [row(number, 700.0 + number % 50, forecast_device_mb=100) for number in range(240)]
    found = {(one.policy, one.model): one for one in calibration(rows)}
    assert found["forecast", "all"].cells == 240
    assert found["forecast", "all"].over == pytest.approx(1.38, abs=0.02)
    learned = found["forecast, learned", "fno"]
    assert learned.fit >= 0.985
    assert learned.over < 1.05
    assert calibration(rows) == calibration(rows)
    assert calibration(rows) != calibration(rows, seed=1)


@pytest.mark.parametrize(
    "given",
    [["--csv"], ["--figures", "here"], ["*/fno/*", "--score"], ["--score", "--hardware", "cpu"]],
    ids=str,
)
def test_what_a_score_does_not_know_is_refused(
    given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["forecast", *given]) == 1
    assert "remedy:" in capsys.readouterr().err


def test_a_page_and_a_table_hold_the_same() -> None:
    rows = [row(number, 700.0 + number % 50) for number in range(20)]
    said = page(rows)
    assert "host memory" in said
    assert "each half of the 20 cells" in said
    lines = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert {line["table"] for line in lines} == {"errors", "policies", "calibration"}
    fits = [line for line in lines if line["measure"] == "fit" and line["table"] == "policies"]
    assert [line["name"] for line in fits] == [one.policy for one in replays(rows)]
    assert "nothing to score" in page([])
