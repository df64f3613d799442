"""Windows that lie stacked in an array or in a table: (windows, samples), perhaps channels.

Ready-made sets hold windows that were cut from somewhere, often with an overlap, or shuffled. So
each is a recording of its own, unless the rig says that one follows the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workflow_src.configuration.folder import FolderOptions
from workflow_src.data.sources.folder.content import (
    BLOCK,
    Content,
    Samples,
    columns,
    from_array,
    require_real,
    single,
)
from workflow_src.errors import BadData

AXES = {"rows": "first", "columns": "last"}


def from_array_or_stack(
    where: str,
    samples: Samples,
    options: FolderOptions,
    stated: tuple[float | None, str] = (None, ""),
    *,
    reversed_axes: bool = False,
) -> Content:
    """The content of an array: of one recording, or of stacked windows where the rig says so."""
    if options.stacked is None:
        return from_array(where, samples, options, stated, reversed_axes=reversed_axes)
    return _from_stack(where, samples, options, stated, reversed_axes)


def _from_stack(
    where: str,
    samples: Samples,
    options: FolderOptions,
    stated: tuple[float | None, str],
    reversed_axes: bool,
) -> Content:
    """Windows of (samples,), (samples, channels) or (channels, samples), one after the other.

    A block of windows is in memory beside the signal. ``reversed_axes`` is of a file that stores
    the axes of its owner the other way round. Raises ``BadData`` for another shape.
    """
    require_real(where, samples)
    form = _form_of(where, tuple(samples.shape), options, reversed_axes)
    # Of the channels of a window as many are to be declared as of those of a recording.
    chosen, _ = columns(where, form.width, None, options.model_copy(update={"stacked": None}))
    signal = np.empty((form.windows, form.length, len(chosen)), np.float32)
    at_once = max(1, BLOCK // form.length)
    for start in range(0, form.windows, at_once):
        part = slice(start, min(start + at_once, form.windows))
        index: list[slice[int | None]] = [slice(None)] * len(samples.shape)
        index[form.stored] = part
        block = np.asarray(samples[tuple(index)])
        block = np.moveaxis(block.T if reversed_axes else block, form.stack, 0)
        if form.turned:
            block = block.reshape(-1, form.width, form.length).transpose(0, 2, 1)
        block = block.reshape(-1, form.length, form.width)
        signal[part] = single(block[:, :, chosen])
    return _content(signal, options, stated)


class _StackForm(NamedTuple):
    """How windows lie: their axis as the owner and as the file counts it, and what each is."""

    stack: int
    stored: int
    windows: int
    length: int
    width: int
    turned: bool  # (channels, samples)


def _form_of(
    where: str, stored: tuple[int, ...], options: FolderOptions, reversed_axes: bool
) -> _StackForm:
    assert options.stacked is not None
    shape = stored[::-1] if reversed_axes else stored  # as the owner says it
    last = len(shape) - 1
    stack = 0 if options.stacked.along == "rows" else last
    inner = [length for axis, length in enumerate(shape) if axis != stack and length != 1]
    turned = len(inner) == 2 and options.samples_along == "columns"
    length, width = [*(reversed(inner) if turned else inner), 1, 1][:2]
    if last < 1 or len(inner) > 2 or 0 in shape or length < width:
        raise _no_stack(where, shape, options)
    in_file = last - stack if reversed_axes else stack
    return _StackForm(stack, in_file, shape[stack], length, width, turned)


def stack_of_table(content: Content, options: FolderOptions) -> Content:
    """A table (rows, columns) as windows, where the rig says that each row or column is one."""
    if options.stacked is None:
        return content
    table = content.signal if options.stacked.along == "rows" else content.signal.T
    signal = np.ascontiguousarray(table)[:, :, np.newaxis]  # (windows, samples, 1)
    stack = _content(signal, options, (content.rate_hz, content.rate_place))
    return replace(stack, notes=content.notes)


def _content(
    signal: NDArray[np.float32], options: FolderOptions, stated: tuple[float | None, str]
) -> Content:
    """(windows, samples, channels) one after the other, as one window where none is torn off."""
    assert options.stacked is not None
    windows = len(signal) if options.stacked.gaps == "unknown" else 1
    return Content(signal.reshape(-1, signal.shape[2]), *stated, windows=windows)


def parted(content: Content) -> Iterator[Content]:
    """The content of each window of its own."""
    length = len(content.signal) // content.windows
    for window in range(content.windows):
        own = content.signal[window * length : (window + 1) * length]
        yield replace(content, signal=own, windows=1)


def _no_stack(where: str, shape: tuple[int, ...], options: FolderOptions) -> BadData:
    assert options.stacked is not None
    along = options.stacked.along
    return BadData(
        "An array holds no stacked windows.",
        where=where,
        found=f"shape {shape}, windows along the {along} (the {AXES[along]} axis), "
        f"`samples_along: {options.samples_along}`",
        expected="(windows, samples), (windows, samples, channels) or, by `samples_along: "
        "columns`, (windows, channels, samples), with more samples than channels; the windows "
        "last by `along: columns`",
        remedy="mend `along:` under `stacked:`, or `samples_along:`, or remove `stacked:`",
    )
