"""Text: .csv, .tsv and .txt, packed or not."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_src.configuration.folder import FolderOptions
from workflow_src.data.sources.folder.content import Content, columns, of_matrix
from workflow_src.data.sources.folder.text import decode, separator
from workflow_src.errors import BadData


def read_text(path: Path, _: str | None, options: FolderOptions) -> Content:
    """The columns of a text; the whole of it is in memory, as an encoding allows no less."""
    text = decode(path, options.encoding)
    sep = separator(text)
    cells = first_cells(text, sep)
    present = options.header == "present" or (
        options.header == "detect" and not all(is_number(cell) for cell in cells)
    )
    channels, clock = columns(path, len(cells), cells if present else None, options)
    wanted = sorted({*channels, *([] if clock is None else [clock])})
    try:
        frame = pd.read_csv(
            StringIO(text),
            sep=sep,
            header=None,
            skiprows=1 if present else 0,
            usecols=wanted,
            dtype=np.float64,
            skipinitialspace=True,
        )
    except (ValueError, pd.errors.ParserError) as error:
        raise BadData(
            "A table of samples cannot be read.",
            where=str(path),
            found=f"{error} (columns separated by {sep!r}, header {'' if present else 'not '}"
            "present)",
            remedy="mend the file, or `channels:` (columns that hold numbers) or `header:` of "
            "the rig",
        ) from error
    return of_matrix(path, frame.to_numpy(), wanted, channels, clock)  # (L, wanted) -> (L, C)


def first_cells(text: str, sep: str) -> list[str]:
    """The cells of the first line that is not empty."""
    first = text.lstrip("\n\r").partition("\n")[0].strip()
    return [c.strip().strip('"') for c in (first.split() if sep == r"\s+" else first.split(sep))]


def is_number(text: str) -> bool:
    """Whether a cell can be read as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
