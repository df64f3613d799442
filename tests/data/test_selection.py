"""What a selector takes: the text as it stands, else the one text that is the same number."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.data.selection import select
from workflow_src.errors import UserError

from ..examples import examples


def chosen(cells, values, column="unit_id"):
    table = pd.DataFrame({column: cells})
    return [cells[i] for i in np.flatnonzero(select(table, {column: values}, "key `select`"))]


@pytest.mark.parametrize(
    ("cells", "values", "expected"),
    [
        (["1.1", "1.10", "2"], ["1.10"], ["1.10"]),
        (["1.1", "1.10", "2"], ["1.1"], ["1.1"]),
        (["1", "01", "1e0"], ["01"], ["01"]),
        (["1", "01", "1e0"], [1], ["1"]),
        (["008", "009", "010", "011"], [10, 11], ["010", "011"]),
        (["008", "009", "010", "011"], ["010"], ["010"]),
        (["600.0", "1200.0", "1200.0"], [1200], ["1200.0", "1200.0"]),
        (["600", "1200"], ["1200.0"], ["1200"]),
        (["a", "", "nan"], ["nan"], ["nan"]),
        (["a", ""], [""], [""]),
        (["1_1", "11"], ["1_1"], ["1_1"]),
        (["1_1", "11"], [11], ["11"]),
        ([" u1 ", "u2"], ["u1"], [" u1 "]),
    ],
)
def test_text_first_then_the_only_equal_number(cells, values, expected):
    assert chosen(cells, values) == expected


def test_a_column_of_numbers_is_selected_by_number_and_never_by_nan():
    rates = [12000.0, 48000.0, float("nan")]
    assert chosen(rates, [12000], "rate_hz") == [12000.0]
    assert chosen(rates, ["48000"], "rate_hz") == [48000.0]
    with pytest.raises(UserError, match="No recording has rate_hz = nan"):
        chosen(rates, ["nan"], "rate_hz")


@pytest.mark.parametrize(("cells", "value"), [(["01", "1e0"], 1), (["1.10", "1.1000"], "1.1")])
def test_a_number_that_several_texts_are_is_refused_with_all_of_them(cells, value):
    with pytest.raises(UserError) as caught:
        chosen([*cells, "a"], ["a", value])
    said = str(caught.value)
    assert "is the number of several values" in said
    mended = yaml.safe_load(said.partition("remedy:")[2])
    assert mended == {"unit_id": ["a", *cells]}
    assert chosen([*cells, "a"], mended["unit_id"]) == [*cells, "a"]


def test_the_remedy_prints_its_quotes():
    with pytest.raises(UserError) as caught:
        chosen(["007", "014"], ["0071"])
    assert re.search(r"remedy: +unit_id: \['007'\]", str(caught.value))
    with pytest.raises(UserError) as caught:
        select(pd.DataFrame({"unit_id": ["007", "a, b"]}), {"unit": ["x"]}, "key `select`")
    assert yaml.safe_load(str(caught.value).partition("remedy:")[2]) == {"unit_id": ["007", "a, b"]}


texts = st.text("01.e_-na ", min_size=1, max_size=4).filter(lambda text: text == text.strip())


@examples(300)
@given(st.lists(texts, min_size=1, max_size=6), st.data())
def test_a_text_of_the_table_selects_its_own_rows_alone(cells, data):
    wanted = data.draw(st.lists(st.sampled_from(cells), min_size=1, max_size=3))
    assert chosen(cells, wanted) == [cell for cell in cells if cell in wanted]
