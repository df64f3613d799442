"""How many columns a file may have before somebody has to say that they are channels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from workflow_src.configuration.folder import MOST_COLUMNS, FolderOptions
from workflow_src.errors import BadData

OF_STACKED = """\
where each row is a window of samples, under `folder:` of the rig:
  stacked: {along: rows}   # or columns"""


def require_width(
    where: Path | str, count: int, names: Sequence[str] | None, options: FolderOptions
) -> None:
    """Raise ``BadData`` unless `count` columns are those that the rig declares, or few.

    Many columns are declared by `column_count:`; a few of many may be chosen by their names. Of
    windows that are stacked in a table the columns are samples.
    """
    declared = options.column_count
    if declared is not None and declared != count:
        raise BadData(
            "A file has another number of columns than the rig says.",
            where=str(where),
            found=f"{count} columns",
            expected=f"column_count: {declared}",
            remedy="mend `column_count:` or `samples_along:` under `folder:` of the rig",
        )
    chosen = options.channels or ()
    by_name = names is not None and all(isinstance(column, str) for column in chosen)
    used = len(chosen) if chosen and by_name else count
    if declared is None and options.stacked is None and used > MOST_COLUMNS:
        raise BadData(
            f"{count} columns: are they channels, or the samples of windows that are stacked?",
            where=str(where),
            found=f"{count} columns, time along the {options.samples_along}",
            expected=f"at most {MOST_COLUMNS} columns, or their number declared",
            remedy=f"{OF_STACKED}\nwhere they are {count} channels:\n  column_count: {count}",
        )


def require_alike(where: Path | str, names: Sequence[str] | None, options: FolderOptions) -> None:
    """Raise ``BadData`` for a word among the numbered columns of stacked windows: a label?"""
    if options.stacked is None or options.channels is not None or names is None:
        return
    stems = [re.sub(r"[-+.eE\d]*\d[.\d]*$", "", name) for name in names]
    common, count = Counter(stems).most_common(1)[0]
    numbered = [i for i, stem in enumerate(stems) if stem == common and names[i] != stem]
    odd = [name for name, stem in zip(names, stems, strict=True) if name and stems.count(stem) == 1]
    if not odd or len(numbered) < count or 2 * count <= len(names):
        return
    raise BadData(
        "A column of stacked windows is named otherwise than the others: a label?",
        where=str(where),
        found=f"{', '.join(map(repr, odd[:5]))} beside {names[numbered[0]]!r} to "
        f"{names[numbered[-1]]!r}",
        expected=f"samples alone (windows along the {options.stacked.along})",
        remedy="under `folder:` of the rig the columns that are samples; or all, if all are:\n"
        f"  channels: {numbered}\n  channels: {list(range(len(names)))}",
    )
