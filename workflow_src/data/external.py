"""Samples that stay where they lie: read in place from the users' own HDF5 files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from workflow_src.artifacts.store_manifest import LinkedFile
from workflow_src.errors import BadData

CHANNELS = "channels"  # attribute of the group that holds the links; below it one a recording


@dataclass(frozen=True)
class ExternalSamples:
    """Where the samples of a recording lie: a data set of an HDF5 file, perhaps some channels.

    The data set is (L,), (L, C) or (L, C, 1), of any real numbers; ``channels`` are the columns
    of (L, C) that are the recording's, None for all.
    """

    file: Path
    dataset: str
    channels: tuple[int, ...] | None = None


def as_signal(
    samples: NDArray[np.generic], channels: tuple[int, ...] | None
) -> NDArray[np.float32]:
    """Samples (L,), (L, C) or (L, C, 1) of any real type -> signal (L, chosen C), float32.

    What float32 cannot hold becomes infinite. Raises ``ValueError`` for another shape, for numbers
    that are not real, ``IndexError`` for a channel that there is not.
    """
    if samples.dtype.kind not in "iuf":
        raise ValueError(f"dtype {samples.dtype}, which is no real number")
    if samples.ndim == 3 and samples.shape[2] == 1:
        samples = samples[:, :, 0]  # (L, C, 1) -> (L, C)
    if samples.ndim == 1:
        samples = samples[:, np.newaxis]  # (L,) -> (L, 1)
    if samples.ndim != 2:
        raise ValueError(f"shape {samples.shape}, neither (L,) nor (L, C) nor (L, C, 1)")
    if channels is not None:
        samples = samples[:, list(channels)]  # (L, C) -> (L, chosen)
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(samples, dtype=np.float32)


def write_link(group: h5py.Group, recording_id: str, place: ExternalSamples) -> None:
    """Make ``group[recording_id]`` an external link to `place`; no sample is copied."""
    group[recording_id] = h5py.ExternalLink(str(place.file), f"/{place.dataset}")
    if place.channels is not None:
        beside = group.file.require_group(CHANNELS)
        beside[recording_id] = np.asarray(place.channels, np.int64)


def external_channels(file: h5py.File, recording_id: str) -> tuple[int, ...] | None:
    """The channels of a link that are the recording's, None for all."""
    if CHANNELS not in file or recording_id not in file[CHANNELS]:
        return None
    return tuple(int(channel) for channel in file[CHANNELS][recording_id])


def state(file: Path) -> LinkedFile:
    """What `file` is now."""
    found = file.stat()
    return LinkedFile(size=found.st_size, mtime_s=int(found.st_mtime))


def require_unchanged(links: Mapping[str, LinkedFile], remedy: str) -> None:
    """Raise ``BadData`` with the remedy for an external file that is missing or has changed."""
    for name, kept in links.items():
        try:
            now = state(Path(name))
        except OSError as error:
            raise BadData(
                "A file that a rig's store reads in place is missing.",
                where=name,
                found=str(error),
                remedy=f"put it back; or, if it lies elsewhere now, {remedy}",
            ) from error
        if now != kept:
            raise BadData(
                "A file that a rig's store reads in place has changed since the store was made.",
                where=name,
                found=_in_words(now),
                expected=_in_words(kept),
                remedy=remedy,
            )


def _in_words(kept: LinkedFile) -> str:
    return f"{kept.size} bytes, last change at {kept.mtime_s} s since 1970"
