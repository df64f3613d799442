"""The files that docs/extending.md shows."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
_SECTION = re.compile(r"^## (.+)\n((?:(?!^## ).*\n)*)", re.MULTILINE)
_BLOCK = re.compile(r"^```\w+\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(section: str) -> dict[str, str]:
    """The files that a section of the page shows, by the path in their first line."""
    page = (REPOSITORY / "docs" / "extending.md").read_text(encoding="utf-8")
    return dict(_BLOCK.findall(dict(_SECTION.findall(page))[section]))
