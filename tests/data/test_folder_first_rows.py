"""The first rows of a table: samples without a value, names that are numbers, blank lines."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from .folder_rows import BOTH, LENGTH, SINE, book, close, refusal, remedied, rows, signal, write

ONE = BOTH[:, :1]


# -- values that a spreadsheet program did not find ------------------------------------------------


@pytest.mark.parametrize("head", [[], ["a,b"], ["# bench", "# a,b"], ["a,b", "g,g"]])
@pytest.mark.parametrize("first", ["#N/A,0.5", "#N/A,#N/A", "#DIV/0!,0.5", "#VALUE!,#REF!"])
def test_no_value_in_the_first_row_is_no_comment(tmp_path, head, first):
    write(tmp_path, "\n".join([*head, first, *rows()]))
    place = "sample 0" if "#N/A" in first else f"line {len(head) + 1}, column 0"
    refusal(tmp_path, place)


@pytest.mark.parametrize("head", [[], ["acc"]])
@pytest.mark.parametrize("first", ["#N/A", "#NA", "#DIV/0!", "#NUM!", "#NV", "#¡VALOR!"])
def test_no_value_above_one_column_is_no_name(tmp_path, head, first):
    write(tmp_path, "\n".join([*head, first, *rows(columns=ONE)]))
    place = "sample 0" if "#N" in first and "!" not in first else f"line {len(head) + 1}"
    refusal(tmp_path, place if first != "#NV" else "line")


@pytest.mark.parametrize("first", ["#DIV/0!", "#N/A"])
def test_no_value_in_the_first_row_of_a_sheet(tmp_path, first):
    for content in ([(first, first), *BOTH.tolist()], [("a", "b"), (0.5, first), *BOTH.tolist()]):
        book(tmp_path, content)
        refusal(tmp_path, f"row {len(content) - LENGTH}", files="u{unit}.xlsx")


# -- blank lines above one column ------------------------------------------------------------------


@pytest.mark.parametrize("head", [[], ["# bench 5"]])
def test_blank_lines_above_samples_of_one_column_are_asked_about(tmp_path, head):
    write(tmp_path, "\n".join([*head, "", "", *rows(columns=ONE)]))
    message = refusal(tmp_path, f"line {len(head) + 1}", f"skip_lines: {len(head) + 2}")
    close(remedied(tmp_path, message), ONE)
    write(tmp_path, "\n".join(["", "acc", *rows(columns=ONE)]))
    close(signal(tmp_path)[0], ONE)


# -- whole numbers in the first row ----------------------------------------------------------------


def quantised(seed, first=3.0):
    """Noise at a tenth, which begins with a whole number (3000, 1)."""
    noise = np.round(np.random.default_rng(seed).standard_normal((3000, 1)) * 3, 1) + 0.0
    noise[0] = first
    return noise


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("first", [3.0, 0.0, -2.0])
def test_a_whole_number_among_shortest_ones_is_a_sample(tmp_path, seed, first):
    samples = quantised(seed, first)
    write(tmp_path, "\n".join(rows(form="{:g}", columns=samples)))
    np.testing.assert_array_equal(signal(tmp_path)[0], samples.astype(np.float32))


@pytest.mark.parametrize(
    ("first", "form"),
    [
        ("5", "{:.2f}"),
        ("0", "{:.1f}"),
        ("0", "{!r}"),
        ("0,0", "{:.3f}"),
        ("5,7", "{:.5f}"),
        ("25600,2", "{!r}"),
        ("1,0", "{:.4e}"),
    ],
)
def test_whole_numbers_above_others_are_asked_about(tmp_path, first, form):
    channels = first.count(",") + 1
    samples = np.random.default_rng(0).standard_normal((500, channels)) * 3
    lines = rows(form=form, columns=samples.tolist())
    write(tmp_path, "\n".join([first, *lines]))
    message = refusal(tmp_path, "line 1", first.replace(",", ", "), "header: absent")
    expected = np.array([[float(cell) for cell in line.split(",")] for line in lines], np.float32)
    np.testing.assert_array_equal(remedied(tmp_path, message), expected)
    read = signal(tmp_path, header="absent")[0]
    np.testing.assert_array_equal(read[1:], expected)
    assert read[0].tolist() == [float(cell) for cell in first.split(",")]


def test_whole_numbers_beside_a_column_of_whole_numbers_are_asked_about(tmp_path):
    lines = [f"{i % 7},{a:.5f}" for i, a in enumerate(SINE)]
    for first in ("25600,2", "0,1"):
        write(tmp_path, "\n".join([first, *lines]))
        close(remedied(tmp_path, refusal(tmp_path, "line 1"))[:, 1:], ONE)


@pytest.mark.parametrize("first", ["0,1", "1,2", "0,1,2"])
@pytest.mark.parametrize("form", ["{:.6f}", "{!r}"])
def test_columns_that_are_counted_above_other_numbers_are_names(tmp_path, first, form):
    samples = np.random.default_rng(0).standard_normal((3000, first.count(",") + 1))
    body = rows(form=form, columns=samples.tolist())
    write(tmp_path, "\n".join([first, *body]))
    read, notes = signal(tmp_path)
    assert len(read) == 3000
    assert "numbered names" in notes[0]
    # A whole number anywhere says that the first row may be one of samples.
    whole = ["3" + ",0.5" * first.count(",")] * 2
    write(tmp_path, "\n".join([first, *body[:2900], *whole, *body[2900:]]))
    assert len(remedied(tmp_path, refusal(tmp_path, "line 1"))) == 3002


def test_a_whole_number_above_numbers_of_few_digits_is_a_sample_and_noted(tmp_path):
    samples = np.random.default_rng(0).standard_normal((500, 1)) + 0.0001
    write(tmp_path, "\n".join(["3", *rows(form="{:.5g}", columns=samples)]))
    read, notes = signal(tmp_path)
    assert read[0] == 3
    assert "the first row, 3, is taken for a sample" in notes[0]


def test_whole_numbers_above_a_sheet_are_asked_about(tmp_path):
    samples = np.random.default_rng(0).standard_normal((300, 2))
    options = {"files": "u{unit}.xlsx"}
    book(tmp_path, [(0.0, 1.0), *samples.tolist()])
    message = refusal(tmp_path, "line 1", "header: absent", **options)
    close(remedied(tmp_path, message, **options), samples)
    assert len(signal(tmp_path, header="absent", **options)[0]) == 301
    pd.DataFrame(samples).to_excel(tmp_path / "u1.xlsx")  # an index without a name tells
    close(signal(tmp_path, **options)[0], samples)
