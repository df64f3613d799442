"""What tests of data share."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..recordings import RECORDINGS


@pytest.fixture(scope="session")
def data_root() -> Path:
    if not (RECORDINGS / "MANIFEST.csv").is_file():
        pytest.skip("the reference recordings are not here: set PHM_DATA_ROOT to their folder")
    return RECORDINGS
