"""A split as a table of spans and its summary, on disk and in memory."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from hashlib import file_digest, sha256
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from workflow_src.artifacts.split_summary import SplitSummary
from workflow_src.errors import BadData
from workflow_src.files import write_text

_TEXTS = ("recording_id", "unit_id", "run_id", "condition", "part")
ROW_COLUMNS = ("span", "recording_id", "unit_id", "run_id", "condition", "start", "part")
_TABLE, _SUMMARY = "split.csv", "split.json"
_AT_ONCE = 1 << 15  # rows that are text for a moment


@dataclass(frozen=True)
class SplitTable:
    """A row a span, and what was found about the parts.

    ``rows`` has the columns ROW_COLUMNS; ``span`` counts from 0, ``start`` is in samples,
    ``part`` is train, val or test.
    """

    rows: pd.DataFrame
    summary: SplitSummary


def write_split(split: SplitTable, folder: Path) -> None:
    """Write ``split.csv`` and ``split.json`` to `folder`, each complete or not at all.

    ``split.json`` holds the SHA-256 of the rows and of its own keys as well.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = split.rows.to_csv(index=False, lineterminator="\n")
    write_text(folder / _TABLE, rows)
    split.summary.sealed(sha256(rows.encode()).hexdigest()).write(folder / _SUMMARY)


def read_split(folder: Path) -> SplitTable:
    """Read what ``write_split`` wrote; missing, damaged or edited files are ``BadData``.

    Texts are categories: a row takes some 30 bytes, not hundreds, of which there may be millions.
    """
    try:
        summary = SplitSummary.read(folder / _SUMMARY)
        if summary.sha256 is not None:
            _require_sum(folder / _TABLE, summary.sha256.rows)
        rows, spans = _read_rows(folder / _TABLE), summary.spans
        if len(rows) != spans.train + spans.val + spans.test:
            raise ValueError(f"{len(rows)} rows, {asdict(spans)} spans")
    except (OSError, KeyError, ValueError) as error:
        raise BadData(
            "A split cannot be read.",
            where=str(folder),
            found=f"{type(error).__name__}: {error}",
            remedy=SplitSummary.remedy(folder / _SUMMARY),
        ) from error
    return SplitTable(rows, summary)


def _require_sum(path: Path, expected: str) -> None:
    with path.open("rb") as file:
        if file_digest(file, "sha256").hexdigest() != expected:
            raise ValueError(f"{path.name} is not what was written: its SHA-256 is another")


def _read_rows(path: Path) -> pd.DataFrame:
    """The rows of split.csv, a few at a time as text: pandas would read "007" as a category 7."""
    types: dict[str, type] = {**dict.fromkeys(_TEXTS, str), "span": np.int64, "start": np.int64}
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
