"""The first rows of a table: samples without a value, names that are numbers, blank lines."""

from __future__ import annotations

import numpy as np
import openpyxl
import pandas as pd
import pytest
from openpyxl.styles import Font

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
