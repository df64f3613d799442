"""Errors that a user can mend; their text is all that is printed."""

from __future__ import annotations


class UserError(Exception):
    """What was found, what was expected, where, and the line or command that mends it."""

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        found: str | None = None,
        expected: str | None = None,
        remedy: str | None = None,
    ) -> None:
        lines = [what]
        lines += [
            f"  {label:<9} " + text.replace("\n", "\n" + " " * 12)
            for label, text in (
                ("where:", where),
                ("found:", found),
                ("expected:", expected),
                ("remedy:", remedy),
            )
            if text
        ]
        super().__init__("\n".join(lines))


class BadData(UserError):
    """The data themselves are at fault: trying again does not help."""


class Diverged(UserError):
    """A loss or a gradient became NaN or infinite."""
