"""Commas within numbers that look like columns, or like decimals, are asked about."""

from __future__ import annotations

import numpy as np
import pytest

from .folder_rows import book, refusal, remedied, rows, signal, write

NOISE = np.random.default_rng(0).standard_normal((3000, 2)) * 3


def commas(*columns):
    return [
        ",".join(f"{v:.1f}".replace(".", ",") for v in row) for row in zip(*columns, strict=True)
    ]


@pytest.mark.parametrize("head", [[], ["acc"]])
@pytest.mark.parametrize("per_unit", [1, 2, 5, 10])
def test_positive_numbers_of_one_decimal_between_commas(tmp_path, head, per_unit):
    values = np.round(NOISE[:, 0] * per_unit) / per_unit + 50
    write(tmp_path, "\n".join([*head, *commas(values)]))
    read = remedied(tmp_path, refusal(tmp_path, "decimal comma", "decimal: ','"))
    np.testing.assert_array_equal(read[:, 0], values.astype(np.float32))


@pytest.mark.parametrize("head", [[], ["a,b"]])
def test_two_columns_of_one_decimal_between_commas(tmp_path, head):
    write(tmp_path, "\n".join([*head, *commas(NOISE[:, 0] + 50, NOISE[:, 1] + 70)]))
    refusal(tmp_path, *(["decimal comma", "another separator"] if not head else []))


@pytest.mark.parametrize("head", [[], ["acc"], ["a,b"]])
def test_points_for_thousands_before_a_decimal_comma(tmp_path, head):
    values = np.round(NOISE[:, 0] * 500, 1)
    table = str.maketrans({",": ".", ".": ","})
    write(tmp_path, "\n".join([*head, *(f"{value:,.1f}".translate(table) for value in values)]))
    if head == ["a,b"]:  # a name for each says that they are columns
        assert signal(tmp_path)[0].shape == (3000, 2)
        return
    read = remedied(tmp_path, refusal(tmp_path, "decimal comma", "thousands: ."))
    np.testing.assert_array_equal(read[:, 0], values.astype(np.float32))


def test_a_decimal_comma_beside_whole_numbers_between_commas(tmp_path):
    values = commas(NOISE[:, 1] + 70)
    write(tmp_path, "\n".join(f"{i % 9},{text}" for i, text in enumerate(values)))
    message = refusal(tmp_path, "decimal comma", "another separator")
    assert remedied(tmp_path, message).shape == (3000, 3)


def test_columns_of_whole_numbers_are_no_decimals(tmp_path):
    rng = np.random.default_rng(1)
    counts = rng.integers(-2000, 2000, 300)
    plain = {
        "signed": (counts, rng.integers(-9, 9, 300)),
        "large": (counts, rng.integers(0, 99, 300)),
        "labels": (counts, rng.integers(0, 3, 300)),
        "classes": (counts, rng.integers(1, 5, 300)),
        "digits first": (rng.integers(0, 10, 300), counts),
    }
    for columns in plain.values():
        values = np.array(columns).T
        write(tmp_path, "\n".join(rows(form="{}", columns=values)))
        np.testing.assert_array_equal(signal(tmp_path)[0], values)
    digits = np.array([counts, rng.integers(0, 10, 300)]).T
    write(tmp_path, "\n".join(["adc,state", *rows(form="{}", columns=digits)]))
    np.testing.assert_array_equal(signal(tmp_path)[0], digits)  # a name for each says it


# -- a late comma among whole numbers --------------------------------------------------------------


@pytest.mark.parametrize("late", ["1,234", "-2,345"])
def test_a_late_comma_among_whole_numbers_is_one_of_thousands(tmp_path, late):
    values = np.round(NOISE[:, 0] * 100).astype(int)
    lines = [f"{v}\t{w:.3f}" for v, w in zip(values, NOISE[:, 1], strict=True)]
    write(tmp_path, "\n".join([*lines[:2500], f"{late}\t5.000", *lines[2500:]]))
    read = remedied(tmp_path, refusal(tmp_path, "line 2501, column 0", "thousands: ','"))
    assert read[2500].tolist() == [int(late.replace(",", "")), 5]
    cells = [(int(v),) for v in values[:300]]
    book(tmp_path, [("acc",), *cells, (late,), *cells])
    options = {"files": "u{unit}.xlsx"}
    message = refusal(tmp_path, "row 302, column 0", "thousands: ','", **options)
    assert remedied(tmp_path, message, **options)[300, 0] == int(late.replace(",", ""))


def test_a_late_comma_among_points_is_one_of_thousands(tmp_path):
    lines = [f"{v * 300:.1f}" for v in NOISE[:300, 0]]
    write(tmp_path, "\n".join([*lines, "1,234", *lines]))
    assert remedied(tmp_path, refusal(tmp_path, "line 301", "thousands: ','"))[300, 0] == 1234
    write(tmp_path, "\n".join([*lines, "1,5", *lines]))
    refusal(tmp_path, "line 301, column 0", "does not hold a number")


def test_a_late_comma_among_fractions_of_a_sheet_may_be_either(tmp_path):
    cells = [(float(v),) for v in NOISE[:300, 0]]
    book(tmp_path, [("acc",), *cells, ("1,234",), *cells])
    options = {"files": "u{unit}.xlsx"}
    message = refusal(tmp_path, "row 302", "thousands: ','", **options)
    assert remedied(tmp_path, message, **options)[300, 0] == pytest.approx(1.234)
