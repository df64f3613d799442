"""LabVIEW measurements: what the header says, the times and the rows agree, or it is asked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workflow_src.data.sources.folder import FolderOptions, FolderSource
from workflow_src.errors import BadData, UserError

FIELDS = {"unit_id": "{unit}", "condition": "c", "run_id": "{unit}"}
SIGNAL = np.round(np.random.default_rng(0).standard_normal(600) * 3, 6)
TIMES = np.arange(600) / 1000
HEAD = """LabVIEW Measurement
Writer_Version\t2
Separator\tTab
{sign}X_Columns\t{columns}
***End_of_Header***

Channels\t1
Samples\t{samples}
X_Dimension\tTime
Delta_X\t{step}
***End_of_Header***
X_Value\tAcc\tComment
"""


def write(
    root: Path,
    times: Any = TIMES,
    digits: str = "%.6f",
    decimal: str = ".",
    **header: Any,
) -> None:
    said = {"sign": "Decimal_Separator\t.\n", "columns": "One", "samples": 600, "step": "0.001"}
    lines = [
        f"{digits % t}\t{x:.6f}".replace(".", decimal) for t, x in zip(times, SIGNAL, strict=True)
    ]
    if header.get("columns") == "No":
        lines = ["\t" + line.partition("\t")[2] for line in lines]
    (root / "u1.lvm").write_text(HEAD.format(**said | header) + "\n".join(lines) + "\n")


def read(root: Path, **options: Any) -> tuple[float | None, list[str]]:
    given = {"path": ".", "files": "u{unit}.lvm", "rate_hz": "unknown", "fields": FIELDS}
    source = FolderSource(FolderOptions(**{**given, **options}), root, root)
    (made,) = source.recordings()
    np.testing.assert_array_equal(made.signal[:, 0], SIGNAL.astype(np.float32))
    return made.rate_hz, source.notes


def refused(root: Path, *texts: str, **options: Any) -> str:
    with pytest.raises(BadData) as caught:
        read(root, **options)
    for text in ("u1.lvm", *texts):
        assert text in str(caught.value), caught.value
    return str(caught.value)


def with_gap() -> Any:
    times = TIMES.copy()
    times[300:] += 5
    return times


def overruled(root: Path, said: str) -> None:
    assert re.search(r"`rate_hz: \S+` with `ignore_stated_rate: true`", said)
    assert read(root, rate_hz=1000.0, ignore_stated_rate=True)[0] == 1000


@pytest.mark.parametrize(
    ("times", "says"),
    [
        (with_gap(), "rows 299 and 300"),
        (np.r_[TIMES[:300], TIMES[:300]], "rows 299 and 300"),
        (np.delete(np.arange(601) / 1000, 200), "rows 199 and 200"),
        (2 * TIMES, "two sampling rates"),
    ],
)
def test_times_that_contradict_the_step_are_refused(tmp_path, times, says):
    write(tmp_path, times)
    overruled(tmp_path, refused(tmp_path, says))
    write(tmp_path, times, step="")  # the times alone
    if says != "two sampling rates":
        overruled(tmp_path, refused(tmp_path, says))


@pytest.mark.parametrize(
    ("rate", "digits", "step"),
    [
        (1000, "%.6f", "0.001"),
        (1000, "%.3f", "0.001"),
        (51_200, "%.6f", "1.953125E-5"),
        (1e6, "%.6f", "0.000001"),
        (1.6e6, "%.6f", "6.25E-7"),
        (51_200, "%.4f", "1.953125E-5"),
        (1000, "%.6E", "1.000000E-3"),
    ],
)
def test_times_of_few_digits_tell_what_they_can(tmp_path, rate, digits, step):
    write(tmp_path, np.arange(600) / rate, digits, step=step)
    assert read(tmp_path)[0] == pytest.approx(rate, rel=1e-3)
    times = np.arange(600) / rate
    times[300:] += 5
    write(tmp_path, times, digits, step=step)
    refused(tmp_path, "rise")


def test_rows_are_counted(tmp_path):
    write(tmp_path, samples=1200)
    refused(tmp_path, "cut short", "600 rows", "1200")
    write(tmp_path, samples=300)  # one header before two blocks
    assert any("300, and 600 rows" in note for note in read(tmp_path)[1])


@pytest.mark.parametrize("columns", ["One", "No"])
@pytest.mark.parametrize("step", ["0,001", "0.001"])
@pytest.mark.parametrize("sign", ["", "Decimal_Separator\t.\n"])
def test_a_decimal_comma_that_the_header_does_not_say_is_asked_about(tmp_path, sign, step, columns):
    write(tmp_path, decimal=",", sign=sign, step=step, columns=columns)
    assert "decimal: ','" in refused(tmp_path, "decimal comma")
    assert read(tmp_path, decimal=",")[0] == 1000


@pytest.mark.parametrize("step", ["n/v", "0", "-0.001", "1 ms"])
def test_a_step_that_is_none_is_named(tmp_path, step):
    write(tmp_path, step=step)
    overruled(tmp_path, refused(tmp_path, "Delta_X", step))


def test_a_measurement_without_times_has_the_rate_of_its_step(tmp_path):
    write(tmp_path, columns="No")
    assert read(tmp_path)[0] == 1000
    with pytest.raises(UserError, match="contradicts"):
        read(tmp_path, rate_hz=2000.0)
