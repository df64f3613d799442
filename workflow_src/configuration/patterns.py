"""Patterns of file names with named parts, and text made from these parts."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PART = re.compile(r"\{([^\W\d]\w*)(:d)?\}|\*")
_NAME = re.compile(r"\{(\w+)\}")


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The expression that a whole relative path must match.

    ``{name}`` is one or more characters other than ``/``, as few as will do; ``{name:d}`` one or
    more digits; a name met again the same text again; ``*`` any characters other than ``/``.
    Raises ``ValueError`` for braces that are none of these.
    """
    expression, end, seen = "", 0, set[str]()
    for part in _PART.finditer(pattern):
        expression += _literal(pattern[end : part.start()], pattern)
        name, digits = part.group(1), part.group(2)
        if name is None:
            expression += "[^/]*"
        elif name in seen:
            expression += f"(?P={name})"
        else:
            expression += f"(?P<{name}>" + (r"[0-9]+" if digits else r"[^/]+?") + ")"
            seen.add(name)
        end = part.end()
    return re.compile(expression + _literal(pattern[end:], pattern))


def _literal(text: str, pattern: str) -> str:
    if "{" in text or "}" in text:
        raise ValueError(f"{pattern!r}: write {{name}} or {{name:d}} for a named part")
    return re.escape(text)


def group_names(pattern: str) -> list[str]:
    """The names of a pattern, in order."""
    return list(compile_pattern(pattern).groupindex)


def template_names(template: str) -> list[str]:
    """The names in braces that a text is made from."""
    return _NAME.findall(template)


def fill(template: str, groups: Mapping[str, str]) -> str:
    """The template with each name in braces replaced; ``KeyError`` for an unknown name."""
    return _NAME.sub(lambda match: groups[match.group(1)], template)


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts ``acc_9`` before ``acc_10``: runs of digits compare as numbers."""
    parts = re.findall(r"[0-9]+|[^0-9]+", text)
    return tuple(
        (0, int(part), part) if part[0] in "0123456789" else (1, 0, part) for part in parts
    )
