"""Sound: .wav with PCM integers or floats, mapped from the disk, and the rate that it states."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile

from workflow_src.configuration.folder import FolderOptions
from workflow_src.data.sources.folder.content import Content, damage_named, from_array
from workflow_src.data.sources.folder.rates import stated_rate
from workflow_src.errors import BadData


def read_wav(path: Path, _: str | None, options: FolderOptions) -> Content:
    """The channels of a file in the numbers that it stores; those of 8 bits less 128, their zero.

    Raises ``BadData`` for a compressed file, and for one that is shorter than it says.
    """
    with damage_named(path):
        rate_hz, samples = _read(path)
    if not samples.size:
        raise BadData(
            "A .wav file says that it holds no samples.",
            where=str(path),
            found=f"0 bytes of samples in its header, {path.stat().st_size} bytes in all",
            expected="a recording that was closed when it ended",
            remedy="ffmpeg -ignore_length 1 -i in.wav -c:a copy out.wav",
        )
    if samples.dtype == np.uint8:
        samples = samples.astype(np.int16) - 128
    stated = stated_rate(options, path, "header of the file", rate_hz)
    return from_array(str(path), samples, options, stated)


def _read(path: Path) -> tuple[int, NDArray[Any]]:
    """Rate and samples (L,) or (L, C)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks other than samples
        try:
            return wavfile.read(path, mmap=True)
        except ValueError as error:
            if "3-byte" in str(error):
                return _read_24_bits(path)
            if "Unknown wave file format" not in str(error):
                raise
            raise BadData(
                "A .wav file is compressed.",
                where=str(path),
                found=str(error).partition(".")[0],
                expected="PCM integers or floats",
                remedy="ffmpeg -i in.wav -c:a pcm_s16le out.wav",
            ) from error


def _read_24_bits(path: Path) -> tuple[int, NDArray[Any]]:
    warnings.filterwarnings("error", message="Reached EOF")
    try:
        rate_hz, samples = wavfile.read(path)
    except wavfile.WavFileWarning as error:
        raise EOFError(str(error)) from error
    return rate_hz, samples >> 8  # scipy gives them as the upper part of 32 bits
