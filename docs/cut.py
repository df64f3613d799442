"""Cuts one figure out of a rig's page, as the SVG that it holds.

    .venv/bin/python docs/cut.py data/bearing_sim/rig.html outer docs/rig-outer.svg

The figure is the one beneath the heading of that name.
"""

from __future__ import annotations

import base64
import re
import sys
from pathlib import Path


def figure(page: str, heading: str) -> bytes:
    """The image that follows the heading."""
    found = re.search(rf">{re.escape(heading)}</h[23]>.*?base64,([^\"]+)\"", page, re.DOTALL)
    if found is None:
        sys.exit(f"The page has no heading {heading!r} with a figure.")
    return base64.b64decode(found[1])


if __name__ == "__main__":
    source, name, target = sys.argv[1:]
    Path(target).write_bytes(figure(Path(source).read_text(encoding="utf-8"), name))
