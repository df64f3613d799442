"""Which recordings and which of their channels a dataset uses."""

from __future__ import annotations

import difflib
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow_src.configuration.schema import Selector
from workflow_src.configuration.validation_errors import as_flow, as_yaml
from workflow_src.errors import BadData, UserError

_MOST = 20  # values that a message lists


def select(table: pd.DataFrame, selector: Selector, where: str) -> NDArray[np.bool_]:
    """Which rows of `table` bear, in each column of `selector`, one of its values: (n,) bool.

    Values match by their text. Where no row bears the text, a number takes the one text that is
    the same number: 1200 finds 1200.0, and 10 the unit 010. Raises ``UserError`` for a column or
    a value that the table does not have, for a number that several texts are, and where no row is
    left; `where` names the key.
    """
    chosen = np.ones(len(table), dtype=np.bool_)
    for column, values in selector.items():
        if column not in table.columns:
            raise _unknown_column(table, column, where)
        texts = table[column].map(_text)
        present = {text: number_of(text) for text in sorted(set(texts))}
        meant = [_meant(present, column, values, i, where) for i in range(len(values))]
        chosen &= texts.isin(meant).to_numpy()
    if not chosen.any():
        raise UserError(
            "No recording is selected.",
            where=where,
            found=f"{dict(selector)}, of {len(table)} recordings",
            expected="values that at least one recording bears together",
        )
    return chosen


def _text(cell: str | float) -> str:
    """A cell as text, without blanks around it; of a missing number none."""
    return "" if isinstance(cell, float) and math.isnan(cell) else str(cell).strip()


def number_of(text: str) -> float | None:
    """The number that a text is, or None; `1_2` and `nan` are names."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in text else None


def _meant(
    present: Mapping[str, float | None],
    column: str,
    values: Sequence[str | float],
    i: int,
    where: str,
) -> str:
    """The text that ``values[i]`` selects, of those `present` with the numbers that they are."""
    text = _text(values[i])
    if text in present:
        return text
    number = number_of(text)
    equal = [other for other, its in present.items() if its is not None and its == number]
    if len(equal) == 1:
        return equal[0]
    found = f"{column}: {listed(present)}"
    if equal:
        whole = [v for j in range(len(values)) for v in (equal if j == i else [values[j]])]
        raise UserError(
            f"{column} = {as_flow(values[i])} is the number of several values.",
            where=where,
            found=found,
            expected=f"one of {', '.join(map(as_flow, equal))}",
            remedy=as_yaml((column,), whole) + "   # all of them, or those that are meant",
        )
    near = difflib.get_close_matches(text, list(present), n=1)
    nearest = [near[0] if j == i else values[j] for j in range(len(values))] if near else None
    raise UserError(
        f"No recording has {column} = {as_flow(values[i])}.",
        where=where,
        found=found,
        remedy=None if nearest is None else as_yaml((column,), nearest),
    )


def _unknown_column(table: pd.DataFrame, column: str, where: str) -> UserError:
    near = difflib.get_close_matches(column, list(table.columns), n=1, cutoff=0.5)
    return UserError(
        f"Recordings have no column `{column}`"
        + (f"; the nearest is `{near[0]}`." if near else "."),
        where=where,
        expected="one of " + ", ".join(table.columns),
        remedy=as_yaml((near[0],), sorted({_text(c) for c in table[near[0]]})[:_MOST])
        if near
        else None,
    )


def listed(values: Iterable[Hashable], most: int = _MOST) -> str:
    """The different values as one line, sorted; at most `most` of them, and how many there are."""
    names = sorted({str(value) for value in values})
    return ", ".join(names[:most]) + (f", ... ({len(names)} in all)" if len(names) > most else "")


# ------------------------------------------------------------------------------- channels


def channel_indexes(kinds: str, wanted: Sequence[str]) -> list[int]:
    """Indexes of the channels of the `wanted` kinds; `kinds` is joined by ``|``, as in a store."""
    return [i for i, kind in enumerate(kinds.split("|")) if kind in wanted]


def common_channels(used: pd.DataFrame, wanted: Sequence[str], where: str) -> list[str]:
    """The kinds of the channels in use, in order; they must agree over all recordings."""
    first: tuple[str, list[str]] | None = None
    for kinds, group in used.groupby("channel_kinds", sort=False):
        names = str(kinds).split("|")
        chosen = [names[i] for i in channel_indexes(str(kinds), wanted)]
        recording = str(group["recording_id"].iloc[0])
        if not chosen:
            raise UserError(
                "A recording has no channel of the kinds in use.",
                where=f"{where}, recording {recording!r} ({len(group)} like it)",
                found=f"channels {kinds}",
                expected=f"channel_kinds: {list(wanted)}",
                remedy=as_yaml(("channel_kinds",), sorted(set(names))),
            )
        first = first or (recording, chosen)
        if chosen != first[1]:
            raise BadData(
                "Recordings differ in their channels.",
                where=f"{where}, recordings {first[0]!r} and {recording!r}",
                found=f"{len(first[1])} channels {first[1]}, {len(chosen)} channels {chosen}",
                remedy="name the channels that all have under `channels:` of the rig, or leave "
                "recordings out by `select:` of the dataset",
            )
    assert first is not None
    return first[1]
