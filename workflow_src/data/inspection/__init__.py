"""A draft of a rig and of a dataset from what a folder's files are named and hold.

What is guessed bears a mark, and the draft is tried before it is shown: its pattern is matched
with the files, and the first recordings are read.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workflow_src.configuration import Rig
from workflow_src.configuration.drafts import MARK, Values, draft
from workflow_src.configuration.folder import FolderOptions
from workflow_src.data.inspection.dataset import guess_dataset
from workflow_src.data.inspection.files import choose_files
from workflow_src.data.inspection.names import common_names
from workflow_src.data.inspection.rig import guess_rig
from workflow_src.data.inspection.roles import find_roles
from workflow_src.data.inspection.sample import ReadSample, take_sample
from workflow_src.data.recordings import check
from workflow_src.data.sources.folder import FolderSource
from workflow_src.data.sources.folder.table import list_entries
from workflow_src.errors import UserError, first_line

TRIED = 3  # recordings that are read by the draft before it is shown


@dataclass(frozen=True)
class Drafts:
    """The texts of config/rigs/<name>.yaml and config/datasets/<name>.yaml."""

    name: str
    rig: str
    dataset: str

    def __str__(self) -> str:
        return (
            f"# Two drafts. Look at each line that bears `{MARK}`, correct it, remove the mark.\n"
            f"# ---- config/rigs/{self.name}.yaml\n{self.rig}\n"
            f"# ---- config/datasets/{self.name}.yaml\n{self.dataset}"
        )


def inspect(folder: Path, name: str | None = None, data_root: Path | None = None) -> Drafts:
    """Drafts of a rig and a dataset of the recordings in a folder, under the name of the folder.

    ``path`` is given below ``data_root``, where the folder lies there, else as absolute. Raises
    ``UserError`` where the folder holds nothing that a reader knows.
    """
    folder = folder.expanduser().resolve()
    chosen = choose_files(folder)
    names = common_names(chosen.files, chosen.ending)
    roles = find_roles(names, chosen.files)
    sample = take_sample(folder, chosen.files)
    if not sample.files:
        raise UserError(
            "None of the files that were opened can be read.",
            where=str(folder),
            found="\n".join(sample.notes),
        )
    values, questions = guess_rig(_below(folder, data_root), chosen.files, names, roles, sample)
    options = Rig.model_validate(values).options
    assert isinstance(options, FolderOptions)
    entries, _ = list_entries(options, folder, folder)
    name = name or re.sub(r"[^a-z0-9]+", "_", folder.name.lower()).strip("_") or "rig"
    seen = [*_seen(sample), *sample.notes, *chosen.notes, _tried(values, folder)]
    stacked = options.stacked is not None
    keys, asked = guess_dataset(name, entries, min(sample.lengths), stacked=stacked)
    return Drafts(name, draft("rig", values, questions, seen), draft("dataset", keys, asked))


def _below(folder: Path, data_root: Path | None) -> str:
    root = None if data_root is None else data_root.expanduser().resolve()
    if root is not None and folder != root and folder.is_relative_to(root):
        return folder.relative_to(root).as_posix()
    return folder.as_posix()


def _seen(sample: ReadSample) -> list[str]:
    widths = [seen.frame.shape[1] for seen in sample.looks]
    opened = f"opened: {len(sample.files)} files of {_range(sample.lengths)} samples"
    lines = [f"{opened}; columns: {_range(widths)}"]
    names = sample.looks[0].names
    if names:
        lines.append(f"columns of the first: {', '.join(names)}")
    return lines


def _range(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def _tried(values: Values, folder: Path) -> str:
    """Whether the draft reads the first recordings, and what is in the way where it does not."""
    options = Rig.model_validate(values).options
    assert isinstance(options, FolderOptions)
    source = FolderSource(options.model_copy(update={"path": str(folder)}), None, folder)
    count = 0
    try:
        for recording in itertools.islice(source.recordings(), TRIED):
            check(recording)
            count += 1
    except UserError as error:
        return f"NOT YET READ by this draft: {first_line(error)}"
    return f"tried: the first {count} recordings are read by this draft"
