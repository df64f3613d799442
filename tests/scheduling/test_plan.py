"""What a plan says of each training and of all."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

import pytest

from workflow_src.artifacts.forecast_file import CellForecast
from workflow_src.cells import Cell
from workflow_src.configuration import Hardware
from workflow_src.configuration.schema import Request, SiteClass
from workflow_src.scheduling.attempt_history import FinishedAttempt
from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.scheduling.cause import Cause
from workflow_src.scheduling.next_request import Forecast, Policy, decide
from workflow_src.scheduling.plan import ROWS, PlannedCell, may_not_fit, page, to_csv, totals
from workflow_src.scheduling.status import State, Status

GPU = Hardware(
    accelerator="cuda", gpu_model="a100", device_memory_mb=80_000, host_memory_mb=240_000
)
CPU = Hardware(accelerator="cpu", host_memory_mb=64_000)
CLASSES = {"a100-80g": GPU}
FORECAST = CellForecast(
    name="net/all",
    parameters=1,
    share=512,
    micro_batch=64,
    activation_checkpointing=False,
    device_mb=31_000,
    host_mb=12_000,
)


def planned(
    seed: int = 42,
    state: State = State.NOT_STARTED,
    *,
    epoch: int = 0,
    hours: float | None = 3.0,
    forecast: CellForecast | None = FORECAST,
    cause: Cause | None = None,
) -> PlannedCell:
    last = None if cause is None else FinishedAttempt(cause, AttemptRequest())
    status = Status(Cell("cwru", "net", "all", seed), state, epoch=epoch, epochs=200, last=last)
    request = decide(
        Forecast.configured(Request(), 512, forecast),
        [],
        GPU,
        Policy(threads=4, site=SiteClass(), hardware="a100-80g"),
    )
    return PlannedCell(status, request, forecast, 512, hours)


def test_a_line_tells_state_micro_batch_memory_and_hours() -> None:
    said = page([planned(), planned(43, State.INTERRUPTED, epoch=45)], CLASSES).splitlines()
    cells = re.split(r" {2,}", said[1])
    assert cells == [
        *("cwru/net/all/42", "new", "a100-80g", "64 x 8"),
        *("31,000 / 80,000", "12,000 / 239,800", "3 h 00 min"),
    ]
    assert "resumes 45/200" in said[2]


@pytest.mark.parametrize(
    ("state", "cause", "words"),
    [
        (State.FAILED, Cause.GPU_OOM, "failed: out of GPU memory"),
        (State.RUNNING, None, "runs 7/200"),
        (State.DONE, Cause.DONE, "done"),
        (State.TRAINED, Cause.DONE, "trained"),
    ],
)
def test_states_are_in_words(state: State, cause: Cause | None, words: str) -> None:
    assert planned(state=state, cause=cause, epoch=7).state == words


def test_totals_leave_out_what_is_done_and_say_what_is_not_known() -> None:
    cells = [
        planned(1, hours=2.0),
        planned(2, hours=6.0),
        planned(3, State.DONE, hours=0.0),
        planned(4, hours=None),
    ]
    assert totals(cells, jobs=2)[0] == (
        "3 of 4 trainings to do: 8 GPU-hours (2 of them; no time of the others), "
        "6 h 00 min with 2 side by side"
    )
    assert totals(cells, jobs=1)[0].endswith("8 h 00 min with 1 side by side")
    assert totals([planned(forecast=None, hours=None)])[1].startswith("no forecast yet of 1")


def test_what_fits_nowhere_is_named_with_its_reason() -> None:
    refused = FORECAST.model_copy(update={"refusal": "one span takes 90,000 MB"})
    said = page([planned(forecast=refused)], CLASSES)
    assert "does not fit" in said
    assert "fits nowhere: 1\n  cwru/net/all/42: fits nowhere: one span takes 90,000 MB" in said
    assert totals([planned()])[-1] == "fits nowhere: none"


def test_the_classes_of_a_list_are_told_apart() -> None:
    one, other = planned(1), planned(2)
    there = other.request.model_copy(update={"hardware": "v100"})
    cells = [one, replace(other, request=there)]
    small = GPU.model_copy(update={"device_memory_mb": 16_000})
    said = page(cells, CLASSES | {"v100": small}).splitlines()
    assert "31,000 / 80,000" in said[1]
    assert "31,000 / 16,000" in said[2]
    assert "by class: 1 on a100-80g, 1 on v100" in said
    many = [planned(seed) for seed in range(ROWS)] + cells[1:]
    folded = page(many, CLASSES | {"v100": small})
    assert [line.split()[1:4] for line in folded.splitlines()[1:3]] == [
        [str(ROWS), "new", "a100-80g"],
        ["1", "new", "v100"],
    ]


def test_many_cells_are_folded_by_dataset_model_and_task_set() -> None:
    cells = [planned(seed) for seed in range(ROWS)]
    cells.append(planned(ROWS, State.DONE))
    said = page(cells, CLASSES).splitlines()
    assert said[1].startswith(f"cwru/net/all  {ROWS} new, 1 done")
    assert said[1].endswith(f"{3 * ROWS} h 00 min")
    assert len(said) < 10


def test_the_table_for_programs_has_every_cell() -> None:
    cells = [planned(seed) for seed in range(3)]
    rows = list(csv.DictReader(io.StringIO(to_csv(cells))))
    assert [row["seed"] for row in rows] == ["0", "1", "2"]
    assert {row["micro_batch_size"] for row in rows} == {"64"}
    assert {row["device_mb"] for row in rows} == {"31000"}
    assert rows[0]["hours"] == "3.0"
    assert to_csv([replace(cells[0], hours=None)]).splitlines()[1].count(",,") >= 1


@pytest.mark.parametrize(
    ("hardware", "told", "needs", "expected"),
    [
        (GPU, {"micro_batch_size": 64}, {"device_mb": 90_000}, True),
        (GPU, {"micro_batch_size": 64}, {"device_mb": 80_000}, False),
        (GPU, {"micro_batch_size": 64}, {"host_mb": 300_000}, False),  # no micro-batch mends that
        (CPU, {"memory_mb": 5_000}, {"host_mb": 6_000}, True),
        (CPU, {"memory_mb": 6_000}, {"host_mb": 6_000}, False),
    ],
)
def test_what_may_not_fit_is_what_a_request_lacks(
    hardware: Hardware, told: dict[str, int], needs: dict[str, int], expected: bool
) -> None:
    is_gpu = hardware is GPU
    forecast = FORECAST.model_copy(update={"device_mb": 1 if is_gpu else None, **needs})
    configured = Forecast.configured(Request.model_validate(told), 512, forecast)
    request = decide(configured, [], hardware, Policy(threads=1, site=SiteClass()))
    assert may_not_fit(request, forecast, hardware) == expected


def test_a_stated_micro_batch_that_is_too_large_is_named() -> None:
    too_large = FORECAST.model_copy(update={"device_mb": 90_000})
    one = replace(planned(forecast=too_large), may_not_fit=True)
    assert " 64 x 8 may not fit " in page([one], CLASSES)
    assert totals([one])[-1] == "micro-batch may not fit: 1; halved where memory runs out"
    assert one.to_json()["may_not_fit"] is True
