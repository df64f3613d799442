"""The file that HDF5 writes to, so that a full disk is an error and no crash."""

from __future__ import annotations

import os
from pathlib import Path


class Sink:
    """The file that HDF5 writes to, which takes everything and remembers the first failure.

    HDF5 cannot close a file that it cannot write to, and may crash the process later on. So what
    does not fit on the disk is dropped here, HDF5 closes, and the failure is raised afterwards.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b", buffering=0)
        self._error: OSError | None = None
        self.seek, self.tell = self._file.seek, self._file.tell
        self.read, self.readinto = self._file.read, self._file.readinto

    def write(self, data: bytes | memoryview) -> int:
        """Write as much as fits; all of it is said to be written."""
        left = memoryview(data)
        while left.nbytes and self._error is None:
            try:
                left = left[self._file.write(left) :]
            except OSError as error:
                self._error = error
        return memoryview(data).nbytes

    def truncate(self, size: int) -> int:
        """Cut or lengthen the file."""
        try:
            self._file.truncate(size)
        except OSError as error:
            self._error = self._error or error
        return size

    def flush(self) -> None:
        """Nothing is held back here."""

    def raise_failure(self) -> None:
        """Raise what the first write that failed raised."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def sync(self) -> None:
        """Put the bytes on the disk."""
        os.fsync(self._file.fileno())
