"""TDMS of National Instruments: the channels of one group, read one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from workflow_src.configuration.folder import FolderOptions
from workflow_src.data.sources.folder.clock import rate_of_clock
from workflow_src.data.sources.folder.content import (
    Content,
    chosen,
    columns,
    damage_named,
    package,
    rate_keys,
)
from workflow_src.data.sources.folder.rates import UNSTATED, Stated, agreed, one_rate, stated_rate
from workflow_src.errors import BadData

if TYPE_CHECKING:  # a package that few need
    from nptdms import TdmsChannel, TdmsFile

_LEAD_IN, _BIG_ENDIAN = 28, 1 << 6  # bytes before the metadata of a segment, and a flag in them
RATE_TOLERANCE = 1e-6  # of one clock, stated for each channel


def list_tdms(path: Path) -> dict[str, tuple[int, ...]]:
    """Samples and channels by name of each group that holds any."""
    with _opened(path) as file:
        return {
            name: (max(len(channel) for channel in found), len(found))
            for name, found in _groups(file).items()
        }


def tdms_names(path: Path, array: str | None) -> list[str]:
    """The names of a group's channels."""
    with _opened(path) as file:
        groups = _groups(file)
        return [channel.name for channel in groups[chosen(path, array, list(groups), "group")]]


def read_tdms(path: Path, array: str | None, options: FolderOptions) -> Content:
    """Channels of the group ``array``, and the rate of `wf_increment`, their seconds a sample.

    The index beside a file is not used: the file alone, whose sum is kept, says what is read.
    Raises ``BadData`` if the channels are not of one length and one rate.
    """
    with _opened(path) as file:
        groups = _groups(file)
        name = chosen(path, array, list(groups), "group")
        found, where = groups[name], f"{path}, group {name!r}"
        channels, clock = columns(where, len(found), [c.name for c in found], options)
        used = [found[column] for column in [*channels, *([] if clock is None else [clock])]]
        _require_one_length(where, used)
        signal = np.empty((len(used[0]), len(channels)), np.float32)
        for column, channel in enumerate(used[: len(channels)]):
            signal[:, column] = channel[:]
        stated = _stated_rate(where, file, used, options)
        if clock is not None:
            stated = agreed(where, rate_of_clock(where, used[-1][:]), stated)
    return Content(signal, *stated)


@contextmanager
def _opened(path: Path) -> Iterator[TdmsFile]:
    tdms = package("nptdms", "npTDMS", path)
    with damage_named(path), path.open("rb") as raw, tdms.TdmsFile.open(raw) as file:
        if file.file_status.incomplete_final_segment or not _is_whole(path):
            raise EOFError("the last segment has less data than it says")
        yield file


def _is_whole(path: Path) -> bool:
    """Whether the last segment ends with the file: a library leaves out one that is cut early.

    A segment begins with `TDSm`, flags (one of the order of bytes), the version, and how many bytes
    there are from its lead-in to the next segment (National Instruments, TDMS file format).
    A file that was cut between two segments cannot be told from a shorter one.
    """
    size, at = path.stat().st_size, 0
    with path.open("rb") as raw:
        while at < size:
            raw.seek(at)
            lead_in = raw.read(_LEAD_IN)
            if len(lead_in) < _LEAD_IN or not lead_in.startswith(b"TDSm"):
                return False
            order: Literal["big", "little"] = "big" if lead_in[4] & _BIG_ENDIAN else "little"
            at += _LEAD_IN + int.from_bytes(lead_in[12:20], order)
    return at == size


def _groups(file: TdmsFile) -> dict[str, list[TdmsChannel]]:
    """The channels that hold samples, by the name of their group."""
    found = {group.name: [c for c in group.channels() if len(c)] for group in file.groups()}
    return {name: channels for name, channels in found.items() if channels}


def _require_one_length(where: str, channels: list[TdmsChannel]) -> None:
    text = [c.name for c in channels if np.dtype(c.dtype).kind not in "iuf"]
    if text:
        raise BadData(
            "A channel does not hold real numbers.",
            where=where,
            found=", ".join(text),
            remedy="name the others under `folder:` of the rig: `channels: [...]`",
        )
    if len({len(channel) for channel in channels}) != 1:
        raise BadData(
            "The channels of a group have different lengths.",
            where=where,
            found=", ".join(f"{c.name}: {len(c)} samples" for c in channels),
            remedy="name those of one length under `folder:` of the rig, e.g.\n"
            f"`channels: [{channels[0].name}]`",
        )


def _stated_rate(
    where: str, file: TdmsFile, used: list[TdmsChannel], options: FolderOptions
) -> Stated:
    if options.ignore_stated_rate:
        return UNSTATED
    steps = {c.name: float(c.properties.get("wf_increment", 0.0)) for c in used}
    first = next(iter(steps.values()))
    if any(abs(step - first) > RATE_TOLERANCE * abs(first) for step in steps.values()):
        raise BadData(
            "The channels of a group have different sampling rates.",
            where=where,
            found=", ".join(f"{name}: wf_increment {step:g} s" for name, step in steps.items()),
            remedy="name those of one rate under `folder:` of the rig: `channels: [...]`",
        )
    if first > 0:
        return stated_rate(options, where, "wf_increment of the channels", 1.0 / first)
    for owner, held in (("the group", file[used[0].group_name]), ("the file", file)):
        keys = rate_keys(held.properties)
        if keys:
            values = {f"property {key!r} of {owner}": held.properties[key] for key in keys}
            return one_rate(options, where, values)
    return UNSTATED
