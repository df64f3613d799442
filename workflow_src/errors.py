"""Errors that a user can mend; their text is all that is printed."""

from __future__ import annotations

from typing import Literal


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


class OutOfMemory(UserError):
    """Memory ran out and nothing that the request allows made the work smaller."""

    def __init__(self, what: str, *, of: Literal["gpu", "host"], **said: str | None) -> None:
        super().__init__(what, **said)
        self.of = of


class Stopped(Exception):
    """The attempt was told to end, by a signal or by its time, and has saved what it had."""

    def __init__(self, reason: Literal["terminated", "deadline"], message: str) -> None:
        super().__init__(message)
        self.reason = reason


class LockLost(Stopped):
    """Another process holds what this one held: it is to write nothing more."""

    def __init__(self, where: str) -> None:
        super().__init__("terminated", f"another process took over {where}: nothing is written")


def first_line(error: BaseException) -> str:
    """What an error says in one line; its type where it says nothing."""
    return str(error).partition("\n")[0] or type(error).__name__
