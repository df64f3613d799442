"""Which array of files that hold several is the signal."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase


def choose_array(held: Sequence[Mapping[str, tuple[int, ...]]]) -> tuple[str | None, str | None]:
    """The name for ``array:`` of files that hold these arrays, and why it is a guess.

    None where each file has but one. Otherwise the name, with * for its digits, that is met once
    in every file; of several such, that of the largest array.
    """
    if all(len(arrays) == 1 for arrays in held):
        return None, None
    forms = list(dict.fromkeys(re.sub(r"[0-9]+", "*", name) for arrays in held for name in arrays))
    exact = list(dict.fromkeys(name for arrays in held for name in arrays))
    once = [f for f in exact + forms if all(len(_matching(f, arrays)) == 1 for arrays in held)]
    found = ", ".join(forms[:8]) + (", ..." if len(forms) > 8 else "")
    if not once:
        best = max(forms, key=lambda form: sum(len(_matching(form, a)) == 1 for a in held))
        lacking = sum(len(_matching(best, arrays)) != 1 for arrays in held)
        return best, f"of {found}; {lacking} of {len(held)} files do not have it once"
    best = max(once, key=lambda form: _size(held[0][_matching(form, held[0])[0]]))
    return best, f"of {found}; which of them is meant?"


def _matching(form: str, arrays: Mapping[str, tuple[int, ...]]) -> list[str]:
    return [form] if form in arrays else [name for name in arrays if fnmatchcase(name, form)]


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def name_in(arrays: Mapping[str, tuple[int, ...]], array: str | None) -> str | None:
    """The name of one file's array that ``array:`` stands for, None where none or several do."""
    matching = list(arrays) if array is None else _matching(array, arrays)
    return matching[0] if len(matching) == 1 else None
