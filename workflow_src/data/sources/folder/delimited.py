"""Text: .csv, .tsv, .txt and .lvm, packed or not."""

from __future__ import annotations

from pathlib import Path

from workflow_src.configuration.folder import FolderOptions
from workflow_src.data.sources.folder.content import Content, columns, of_matrix, real_channels
from workflow_src.data.sources.folder.lvm import BEGINNING, read_lvm
from workflow_src.data.sources.folder.text import utf8
from workflow_src.data.sources.folder.text_table import find_table, numbers_of, require_blank


def read_text(path: Path, _: str | None, options: FolderOptions) -> Content:
    """The columns of a text; the whole of it is in memory, as an encoding allows no less."""
    text = utf8(path, options.encoding)
    if text.startswith(BEGINNING) and options.skip_lines is None:
        return read_lvm(path, text, options)
    table = find_table(path, text, options)
    layout = table.layout
    channels, clock = columns(path, layout.width, layout.names, options)
    wanted = sorted({*channels, *([] if clock is None else [clock]), *layout.blank})
    matrix = numbers_of(table, wanted)
    require_blank(table, wanted, matrix)
    notes = layout.notes
    if table.lines.has_blank_rows:
        notes += ("rows of separators alone, behind the samples, are none",)
    if options.channels is None:
        held = {i: matrix[:, wanted.index(i)] for i in channels}
        channels, dropped = real_channels(path, layout.names, layout.blank, held)
        notes += dropped
    return of_matrix(path, matrix, wanted, channels, clock, notes)
