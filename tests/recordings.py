"""Where tests find the public recordings."""

from __future__ import annotations

import os
from pathlib import Path

RECORDINGS = Path(os.environ.get("PHM_DATA_ROOT") or Path(__file__).parents[2] / "shared" / "data")
