"""The varying parts of file names, and the pattern of names with these parts in braces."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_SEPARATORS = re.compile(r"([\W_])")
_RUNS = re.compile(r"[0-9]+|[^\W\d_]+")


@dataclass(frozen=True, eq=False)
class Slot:
    """A part of names that varies: its text in each file, and the words that stand beside it."""

    values: tuple[str, ...]
    level: int  # 0 for the first folder
    before: str = ""
    after: str = ""

    @property
    def digits(self) -> bool:
        """Whether it is a number in every name."""
        return all(value.isdecimal() and value.isascii() for value in self.values)


@dataclass(frozen=True)
class Names:
    """The names of files of one kind, as what they have in common and what varies."""

    parts: tuple[str | Slot, ...]

    @property
    def slots(self) -> list[Slot]:
        """The slots, each once, in order."""
        return list(dict.fromkeys(part for part in self.parts if isinstance(part, Slot)))

    def pattern(self, name_of: Mapping[Slot, str]) -> str:
        """The pattern for ``files:``; a slot that is met again is without its kind."""
        text, seen = "", set[Slot]()
        for part in self.parts:
            if isinstance(part, str):
                text += re.sub(r"[{}*]", "*", part)  # which mean something in a pattern
                continue
            kind = ":d" if part.digits and part not in seen else ""
            text += "{" + name_of[part] + kind + "}"
            seen.add(part)
        return text


Column = tuple[str, ...]  # one text a file


def common_names(files: Sequence[str], ending: str) -> Names:
    """What the names of files, all in the same number of folders, have in common."""
    split = [file[: -len(ending)].split("/") for file in files]
    columns: list[tuple[Column, int]] = []
    for level, strings in enumerate(zip(*split, strict=True)):
        if level:
            columns.append((("/",) * len(files), level))
        columns += [(column, level) for column in _level(strings)]
    columns.append(((files[0][-len(ending) :],) * len(files), len(split[0])))
    slots: dict[Column, Slot] = {}
    parts: list[str | Slot] = []
    for place, (column, level) in enumerate(columns):
        if len(set(column)) == 1:
            parts.append(column[0])
            continue
        before = columns[place - 1][0] if place else ("",)
        after = columns[place + 1][0]
        beside = [c[0] if len(set(c)) == 1 and c[0].isalpha() else "" for c in (before, after)]
        parts.append(slots.setdefault(column, Slot(column, level, *beside)))
    return Names(tuple(parts))


def _level(strings: Column) -> list[Column]:
    """Columns of what one folder's, or the files', names consist of."""
    if len(set(strings)) == 1:
        return [strings]
    pieces = [_SEPARATORS.split(text) for text in strings]  # word, separator, word, ...
    if len({tuple(piece[1::2]) for piece in pieces}) == 1:
        columns = [c for column in zip(*pieces, strict=True) for c in _word(column) if any(c)]
        # A name in braces stands for one character at least.
        return columns if all(all(column) for column in columns) else [strings]
    return _anchored(strings, pieces)


def _word(column: Column) -> list[Column]:
    """A column as runs of letters and digits, where all its texts have the same runs."""
    runs = [_RUNS.findall(text) for text in column]
    forms = {tuple(run[0].isdecimal() for run in found) for found in runs}
    if len(forms) != 1 or any("".join(r) != text for r, text in zip(runs, column, strict=True)):
        return [column]
    return list(zip(*runs, strict=True)) if runs[0] else [column]


def _anchored(strings: Column, pieces: list[list[str]]) -> list[Column]:
    """Numbers and constants that all names end in, and before them one text that varies."""
    tail: list[Column] = []
    while all(len(piece) > 2 for piece in pieces):
        separators, words = (tuple(piece[end] for piece in pieces) for end in (-2, -1))
        fixed = len(set(words)) == 1 or all(w.isdecimal() and w.isascii() for w in words)
        if len(set(separators)) != 1 or not fixed:
            break
        tail = [separators, words, *tail]
        pieces = [piece[:-2] for piece in pieces]
    left = tuple("".join(piece) for piece in pieces)
    return [left, *tail] if all(left) else [strings]
