"""What a classic model is told that asks for features which do not exist."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from workflow_src.classic.problem import Problem
from workflow_src.errors import UserError
from workflow_src.features.table import KINDS


@pytest.mark.parametrize(
    ("asked", "mended"),
    [
        (["shapes", "age"], ["shape", "age"]),
        (["age", "log_amplitudes"], ["age", "log_amplitude"]),
        (["shape", "shpae"], ["shape"]),
        (["fault_line", "energy"], ["fault_lines", "energies"]),
    ],
)
def test_an_unknown_kind_is_named_and_the_remedy_works(
    make_problem: Callable[..., Problem], asked: list[str], mended: list[str]
) -> None:
    problem = make_problem("bearing")
    rows = problem.train()
    with pytest.raises(UserError) as error:
        problem.described(rows, asked)
    text = str(error.value)
    assert f"`{next(kind for kind in asked if kind not in KINDS)}`" in text
    assert all(kind in text for kind in KINDS)
    found = eval(text.partition("remedy:")[2].strip(), {"problem": problem, "rows": rows})
    np.testing.assert_array_equal(found.values, problem.described(rows, mended).values)


def test_any_kind_has_a_nearest(make_problem: Callable[..., Problem]) -> None:
    problem = make_problem("bearing")
    for kind in ("", "?", "kurtosis", "Ж" * 40):
        with pytest.raises(UserError, match="the nearest are"):
            problem.described(problem.train(), [kind])
