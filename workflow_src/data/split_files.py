"""A split as a table of spans and its facts, on disk and in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from workflow_src.errors import BadData
from workflow_src.files import write_text

_TEXTS = ("recording_id", "unit_id", "run_id", "condition", "part")
ROW_COLUMNS = ("span", "recording_id", "unit_id", "run_id", "condition", "start", "part")
_TABLE, _FACTS, _SUMS = "split.csv", "split.json", "sha256"
_AT_ONCE = 1 << 15  # rows that are text for a moment


@dataclass(frozen=True)
class SplitTable:
    """A row a span, and what was found about the parts.

    ``rows`` has the columns ROW_COLUMNS; ``span`` counts from 0, ``start`` is in samples,
    ``part`` is train, val or test. ``facts`` is plain JSON.
    """

    rows: pd.DataFrame
    facts: dict[str, Any]


def truncation_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the score of truncated runs needs of a split's facts; empty where none is truncated."""
    if "truncation" not in facts:
        return {}
    longest = max(facts["training_lives_s"].values(), default=None)
    return {"truncation": facts["truncation"], "longest_training_life_s": longest}


def write_split(split: SplitTable, folder: Path) -> None:
    """Write ``split.csv`` and ``split.json`` to `folder`, each complete or not at all.

    ``split.json`` holds the SHA-256 of the rows and of the other facts as well.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = split.rows.to_csv(index=False, lineterminator="\n")
    sums = {"rows": sha256(rows.encode()).hexdigest(), "facts": _sum_of(split.facts)}
    write_text(folder / _TABLE, rows)
    write_text(folder / _FACTS, json.dumps({**split.facts, _SUMS: sums}, indent=1) + "\n")


def read_split(folder: Path) -> SplitTable:
    """Read what ``write_split`` wrote; missing, damaged or edited files are ``BadData``.

    Texts are categories: a row takes some 30 bytes, not hundreds, of which there may be millions.
    """
    try:
        facts: dict[str, Any] = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        sums = facts.get(_SUMS, {})
        facts = whole_facts(facts)
        _require_sum(folder / _TABLE, sums.get("rows"))
        rows = _read_rows(folder / _TABLE)
        if len(rows) != sum(facts["spans"].values()):
            raise ValueError(f"{len(rows)} rows, {facts['spans']} spans")
    except (OSError, KeyError, ValueError) as error:
        raise BadData(
            "A split cannot be read.",
            where=str(folder),
            found=f"{type(error).__name__}: {error}",
            remedy=f"rm {folder / _TABLE} {folder / _FACTS}   # the next run makes it again",
        ) from error
    return SplitTable(rows, facts)


def whole_facts(content: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of ``split.json``, without its sums; ``ValueError`` if they were edited.

    A split of before there were sums is taken as it is.
    """
    facts = {name: value for name, value in content.items() if name != _SUMS}
    if _SUMS in content and content[_SUMS]["facts"] != _sum_of(facts):
        raise ValueError(f"{_FACTS} is not what was written: its SHA-256 is another")
    return facts


def _sum_of(facts: Mapping[str, Any]) -> str:
    return sha256(json.dumps(facts, indent=1).encode()).hexdigest()


def _require_sum(path: Path, expected: str | None) -> None:
    with path.open("rb") as file:
        if expected is not None and file_digest(file, "sha256").hexdigest() != expected:
            raise ValueError(f"{path.name} is not what was written: its SHA-256 is another")


def _read_rows(path: Path) -> pd.DataFrame:
    """The rows of split.csv, a few at a time as text: pandas would read "007" as a category 7."""
    types: dict[str, Any] = {**dict.fromkeys(_TEXTS, str), "span": np.int64, "start": np.int64}
    with pd.read_csv(
        path, dtype=types, usecols=list(ROW_COLUMNS), keep_default_na=False, chunksize=_AT_ONCE
    ) as chunks:
        parts = [chunk.astype(dict.fromkeys(_TEXTS, "category")) for chunk in chunks]
    columns = {
        name: union_categoricals([part[name] for part in parts])
        if name in _TEXTS
        else np.concatenate([part[name].to_numpy() for part in parts])
        for name in ROW_COLUMNS
    }
    return pd.DataFrame(columns)
