"""Which files of a folder are recordings of one kind, and what the others are."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workflow_src.configuration.patterns import natural_key
from workflow_src.data.inspection.contents import arrays_in, look
from workflow_src.data.sources.folder.listing import everything, list_below
from workflow_src.data.sources.folder.readers import READERS, ending_of
from workflow_src.errors import BadData, UserError, first_line

FAMILIES = 60  # of which one file each is opened


@dataclass(frozen=True)
class Chosen:
    """The files to make a rig of, with their ending, and notes on the others."""

    files: list[str]
    ending: str
    notes: list[str]


def choose_files(folder: Path) -> Chosen:
    """The largest set of files, by bytes, in as many folders and of the same columns.

    Raises ``UserError`` where the folder is missing or holds no file that a reader knows.
    """
    if not folder.is_dir():
        raise UserError("There is no such folder.", where=str(folder))
    listing = list_below(folder, everything())
    every = listing.files
    readable = [file for file in every if ending_of(file) and (folder / file).stat().st_size]
    kinds, notes = _kinds(folder, readable)
    notes += listing.notes()
    if not kinds:
        raise UserError(
            "The folder holds no file that can be read as a recording.",
            where=str(folder),
            found="; ".join(notes) or f"{len(every)} files",
            expected=f"files that end in {', '.join(READERS)}",
        )
    size = {kind: sum((folder / f).stat().st_size for f in files) for kind, files in kinds.items()}
    best = max(kinds, key=lambda kind: size[kind])
    files = sorted(kinds[best], key=natural_key)
    left = [file for file in every if file not in set(files)]
    notes += [f"left out: {text}" for text in _counted(left)]
    ending = files[0][-len(ending_of(files[0]) or "") :]
    same = [file for file in files if file.endswith(ending)]
    if len(same) < len(files):
        notes.append(f"left out: {len(files) - len(same)} files that end in other than {ending}")
    return Chosen(same, ending, notes)


Kind = tuple[str, int, object]  # ending, number of folders, number of columns


def _kinds(folder: Path, files: Sequence[str]) -> tuple[dict[Kind, list[str]], list[str]]:
    """Files by what they are, told by one file of each family of names; why some are none."""
    families: dict[tuple[str, int, str], list[str]] = defaultdict(list)
    for file in files:
        name = re.sub(r"[0-9]+", "#", file.rpartition("/")[2])
        families[ending_of(file) or "", file.count("/"), name].append(file)
    kinds: dict[Kind, list[str]] = defaultdict(list)
    notes: list[str] = []
    for number, ((ending, depth, _), members) in enumerate(families.items()):
        try:
            form = _form(folder / members[0], ending) if number < FAMILIES else None
        except BadData as error:
            notes.append(f"cannot be read: {members[0]} ({first_line(error)})")
            continue
        if number >= FAMILIES:  # as most of its kind
            form = max(
                (kind[2] for kind in kinds if kind[:2] == (ending, depth)),
                key=lambda one: len(kinds[ending, depth, one]),
                default=None,
            )
        kinds[ending, depth, form].extend(members)
    return dict(kinds), notes


def _form(path: Path, ending: str) -> object:
    """What files of one kind have in common: the number of columns, or that they hold arrays."""
    if ending == ".npy" or arrays_in(path):
        return "arrays"
    if ending in (".mat", ".npz", ".h5", ".hdf5", ".tdms"):
        raise BadData("The file holds no array of numbers.", where=str(path))
    seen = look(path, None)
    if not seen.numeric or seen.length < 2:
        raise BadData("The file holds no samples.", where=str(path))
    return seen.frame.shape[1]


def _counted(files: Sequence[str]) -> list[str]:
    """Files by name without numbers, the most frequent first."""
    names = Counter(re.sub(r"[0-9]+", "*", file.rpartition("/")[2]) for file in files)
    shown = [f"{count} x {name}" for name, count in names.most_common(8)]
    rest = sum(names.values()) - sum(count for _, count in names.most_common(8))
    return shown + ([f"{rest} others"] if rest else [])
