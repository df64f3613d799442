"""Puts files between their marks in the Markdown pages, so that a page never tells old numbers.

    .venv/bin/python docs/fill.py README.md docs/results.md

A mark is `<!-- begin PATH -->` ... `<!-- end -->`; PATH is below the working directory, where the
studies lie that the page's commands made. `.md` files are put in as they are, others as a block.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

MARK = re.compile(r"(<!-- begin (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: str) -> str:
    """The page with every marked file in its place."""

    def content(match: re.Match[str]) -> str:
        path = Path(match[2])
        text = path.read_text(encoding="utf-8").strip("\n")
        if path.suffix != ".md":
            text = f"```\n{text}\n```"
        return f"{match[1]}\n{text}\n\n{match[3]}"

    return MARK.sub(content, page)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        page = Path(name)
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
