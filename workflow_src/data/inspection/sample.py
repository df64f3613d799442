"""What a sample of the files of a folder holds, taken together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workflow_src.data.inspection.arrays import choose_array, name_in
from workflow_src.data.inspection.columns import NO_NUMBERS, Columns, sort_columns
from workflow_src.data.inspection.contents import Look, arrays_in, look
from workflow_src.errors import BadData, first_line

LOOKED_AT = 12


@dataclass(frozen=True)
class ReadSample:
    """Files that were opened, what was seen of each, and the array that all have in common."""

    files: list[str]
    looks: list[Look]
    columns: list[Columns]
    array: str | None
    array_question: str | None
    notes: list[str]

    @property
    def lengths(self) -> list[int]:
        """Samples of each file."""
        return [seen.length for seen in self.looks]

    @property
    def others(self) -> dict[int, str]:
        """Columns that are no channels in most files, by position, and what they are.

        A channel that never changes in a single file is still one.
        """
        said = Counter(item for columns in self.columns for item in columns.others.items())
        times = Counter(column for column, _ in said.elements())
        most = {column for column, count in times.items() if 2 * count > len(self.columns)}
        most |= {column for column, reason in said if reason == NO_NUMBERS}
        reason_of: dict[int, str] = {}
        for (column, reason), _ in said.most_common():
            if column in most:
                reason_of.setdefault(column, reason)
        return dict(sorted(reason_of.items()))

    @property
    def channels(self) -> list[int]:
        """Columns of the first file that hold signals."""
        return [i for i in range(self.looks[0].frame.shape[1]) if i not in self.others]


def take_sample(folder: Path, files: Sequence[str]) -> ReadSample:
    """Open files that lie evenly among all, the first two among them (for a step in time)."""
    wanted = min(LOOKED_AT, len(files))
    at = {round(i * (len(files) - 1) / max(wanted - 1, 1)) for i in range(wanted)} | {0}
    picked = [files[i] for i in sorted(at | ({1} if len(files) > 1 else set()))]
    notes: list[str] = []
    held: dict[str, dict[str, tuple[int, ...]]] = {}
    for file in picked:
        with _noted(file, notes):
            held[file] = arrays_in(folder / file)
    several = any(held.values())
    array, question = choose_array(list(held.values())) if several else (None, None)
    found: list[tuple[str, Look, Columns]] = []
    for file, arrays in held.items():
        name = name_in(arrays, array) if several else None
        if several and name is None:
            notes.append(
                f"{file} has no single array {array!r}: it has {', '.join(arrays) or 'none'}"
            )
            continue
        with _noted(file, notes):
            seen = look(folder / file, name)
            found.append((file, seen, sort_columns(seen)))
    return ReadSample(
        [file for file, _, _ in found],
        [seen for _, seen, _ in found],
        [columns for _, _, columns in found],
        array,
        question,
        notes,
    )


@contextmanager
def _noted(file: str, notes: list[str]) -> Iterator[None]:
    """A file that cannot be read is told of in the draft, and left to be mended."""
    try:
        yield
    except BadData as error:
        notes.append(f"cannot be read: {file} ({first_line(error)})")
