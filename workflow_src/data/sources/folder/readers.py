"""Which reader reads which kind of file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

from workflow_src.configuration.folder import FileFormat, FolderOptions
from workflow_src.data.sources.folder.content import Content
from workflow_src.data.sources.folder.delimited import read_text
from workflow_src.data.sources.folder.hdf5 import read_hdf5
from workflow_src.data.sources.folder.matlab import read_mat
from workflow_src.data.sources.folder.numpy_files import read_npy, read_npz
from workflow_src.data.sources.folder.parquet import read_parquet
from workflow_src.data.sources.folder.spreadsheet import read_sheet
from workflow_src.data.sources.folder.stacks import stack_of_table
from workflow_src.data.sources.folder.tdms import read_tdms
from workflow_src.data.sources.folder.wav import read_wav
from workflow_src.errors import BadData

READERS: dict[str, Callable[[Path, str | None, FolderOptions], Content]] = {
    ".csv": read_text,
    ".csv.gz": read_text,
    ".tsv": read_text,
    ".tsv.gz": read_text,
    ".txt": read_text,
    ".txt.gz": read_text,
    ".lvm": read_text,
    ".mat": read_mat,
    ".npy": read_npy,
    ".npz": read_npz,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
    ".parquet": read_parquet,
    ".xlsx": read_sheet,
    ".wav": read_wav,
    ".tdms": read_tdms,
}
TABLES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz", ".parquet", ".xlsx")

# What `format` means, by an ending of its files.
FORMATS: dict[FileFormat, str] = {
    name: ".txt" if name == "text" else f".{name}" for name in get_args(FileFormat)
}


def ending_of(name: str) -> str | None:
    """The ending of a file's name that a reader knows, None if none does."""
    return next((ending for ending in READERS if name.lower().endswith(ending)), None)


def read_content(path: Path, array: str | None, options: FolderOptions) -> Content:
    """Read the channels of one file, by its ending or as ``format`` says.

    ``array`` names the array of a .mat, .h5 or .npz file, the group of a .tdms or the sheet of an
    .xlsx (``*`` for any text), None the only one. Raises ``BadData`` naming the file if it is
    damaged, empty or not as ``options`` say.
    """
    if path.stat().st_size == 0:
        raise BadData("A file is empty.", where=str(path), remedy="fetch the file again")
    ending = ending_of(path.name) if options.format is None else FORMATS[options.format]
    if ending is None:
        raise BadData(
            "No reader for this kind of file.",
            where=str(path),
            expected=f"a name that ends in {', '.join(READERS)}",
            remedy=f"say what it holds under `folder:` of the rig, one of {', '.join(FORMATS)}:\n"
            "format: text",
        )
    if options.stacked is not None and ending in (".wav", ".tdms"):
        raise BadData(
            f"A file that ends in {ending} holds channels, and no stacked windows.",
            where=str(path),
            remedy="remove `stacked:` under `folder:` of the rig",
        )
    content = READERS[ending](path, array, options)
    return stack_of_table(content, options) if ending in TABLES else content
