"""Every edit changes the code in one place and leaves it code."""

from __future__ import annotations

import pytest

from .__main__ import AREAS, ROOT, drawn
from .edits import count, edit

CODE = '''
def share(a: int = 3, *, b: bool = True) -> float:
    """Not this 1 < 2."""
    if a < 2 and b:
        raise ValueError(f"{a + 1} is too few")
    print(a)
    return max(a, 7) / 2
'''


def test_each_is_one_change_of_what_the_code_does() -> None:
    made = [edit(CODE, number) for number in range(count(CODE))]
    found = [(one.was.split("\n")[0], one.becomes.split("\n")[0]) for one in made]
    assert sorted(found) == sorted(
        [
            ("if a < 2 and b:", "if not (a < 2 and b):"),
            ("a < 2 and b", "a < 2 or b"),
            ("a < 2", "a <= 2"),
            ("2", "3"),
            ("print(a)", "None"),
            ("return max(a, 7) / 2", "return None"),
            ("max(a, 7) / 2", "max(a, 7) * 2"),
            ("max(a, 7)", "min(a, 7)"),
            ("7", "8"),
            ("2", "3"),
        ]
    )
    assert len({one.code for one in made}) == len(found)


@pytest.mark.slow
def test_a_draw_is_that_of_its_seed_and_of_every_area() -> None:
    one, again, other = (list(drawn(ROOT, 12, seed, list(AREAS))) for seed in (1, 1, 2))
    assert one == again != other
    assert {mutant.area for mutant in one} == set(AREAS)
    for mutant in one:
        compile(mutant.edit.code, mutant.file, "exec")
