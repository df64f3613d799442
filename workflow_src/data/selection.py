"""Which recordings and which of their channels a dataset uses."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow_src.configuration.keys import Selector
from workflow_src.configuration.messages import as_yaml
from workflow_src.errors import BadData, UserError


def select(table: pd.DataFrame, selector: Selector, where: str) -> NDArray[np.bool_]:
    """Which rows of `table` bear, in each column of `selector`, one of its values: (n,) bool.

    1200, "1200" and 1200.0 are one value. Raises ``UserError`` for a column or a value that the
    table does not have and where no row is left; `where` names the key.
    """
    chosen = np.ones(len(table), dtype=np.bool_)
    for column, values in selector.items():
        if column not in table.columns:
            raise _unknown_column(table, column, where)
        present = table[column].map(_canonical)
        wanted = {_canonical(value): value for value in values}
        for key, value in wanted.items():
            if key not in set(present):
                raise UserError(
                    f"No recording has {column} = {value!r}.",
                    where=where,
                    found=f"{column}: {listed(table[column])}",
                    remedy=_nearest_value(table, column, values, value),
                )
        chosen &= present.isin(list(wanted)).to_numpy()
    if not chosen.any():
        raise UserError(
            "No recording is selected.",
            where=where,
            found=f"{dict(selector)}, of {len(table)} recordings",
            expected="values that at least one recording bears together",
        )
    return chosen


def _canonical(value: Any) -> str:
    """One text for all ways to write a number; other values as they are, missing ones as ''."""
    text = str(value).strip()
    if "_" in text:  # Python reads 1_2 as twelve; in a name it is a name
        return text
    try:
        number = float(text)
    except ValueError:
        return text
    if math.isnan(number):
        return ""
    return repr(number) if math.isfinite(number) else text


def _unknown_column(table: pd.DataFrame, column: str, where: str) -> UserError:
    near = difflib.get_close_matches(column, list(table.columns), n=1, cutoff=0.5)
    return UserError(
        f"Recordings have no column `{column}`"
        + (f"; the nearest is `{near[0]}`." if near else "."),
        where=where,
        expected="one of " + ", ".join(table.columns),
        remedy=f"{near[0]}: {listed(table[near[0]])}" if near else None,
    )


def _nearest_value(
    table: pd.DataFrame, column: str, values: Sequence[Any], wrong: Any
) -> str | None:
    present = sorted(set(table[column].map(_canonical)))
    near = difflib.get_close_matches(_canonical(wrong), present, n=1)
    return as_yaml((column,), [near[0] if v == wrong else v for v in values]) if near else None


def listed(values: Iterable[Any], most: int = 20) -> str:
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
