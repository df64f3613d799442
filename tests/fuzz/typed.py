"""What a scalar of YAML means to whoever typed it, by a rule of this file's own.

A quoted scalar is its text. An unquoted one is its text, or the number that a human reads: digits
are decimal whatever stands before them, `_` groups digits, `0x`, `0o` and `0b` say their base. No
other sign makes a number: neither colons, nor commas, nor dashes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import yaml

_DECIMAL = re.compile(r"[-+]?(\d[\d_]*\.?\d*|\.\d+)([eE][-+]?\d+)?")
_BASES = {"0x": 16, "0o": 8, "0b": 2}
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_NOTHING = ("", "~", "null")
# Names of what recordings bear: a number there is a name, to be written as it is typed.
_NAMES = re.compile(r"\.(test|train|select)\.[^.]+\[\d+\]$")


def number_of(text: str) -> float | None:
    """The number that a human reads, None where it is none."""
    digits = text.strip().lower()
    base = _BASES.get(digits.lstrip("+-")[:2])
    if base is not None:
        try:
            return float(int(digits.replace("_", ""), base))
        except ValueError:
            return None
    if digits.lstrip("+-") in (".inf", "inf"):
        return -math.inf if digits.startswith("-") else math.inf
    if not _DECIMAL.fullmatch(digits):
        return None
    value = float(digits.replace("_", ""))
    return value if math.isfinite(value) else None


def means(value: Any, text: str, *, quoted: bool) -> bool:
    """Whether an accepted value is what the scalar says."""
    if isinstance(value, str):
        return value == text
    if isinstance(value, bool):
        return text.strip().lower() in (_TRUE if value else _FALSE)
    if value is None:
        return not quoted and text.lower() in _NOTHING
    if isinstance(value, int | float):
        number = number_of(text)
        return number is not None and math.isclose(number, value, rel_tol=1e-12)
    return False


def differences(node: yaml.Node, value: Any, path: str = "") -> Iterator[str]:
    """Places at which an accepted value is not what the tree of scalars says.

    Keys that are not typed have defaults, and are not looked at.
    """
    if isinstance(node, yaml.ScalarNode):
        same = means(value, node.value, quoted=node.style is not None)
        if _NAMES.search(path):
            same = str(value) == node.value
        if not same and not _empty(node, value):
            yield f"{path}: {value!r} where {_shown(node)} was typed"
    elif isinstance(node, yaml.SequenceNode):
        if not isinstance(value, list | tuple) or len(value) != len(node.value):
            yield f"{path}: {value!r} where a list of {len(node.value)} was typed"
            return
        for place, (inner, own) in enumerate(zip(node.value, value, strict=True)):
            yield from differences(inner, own, f"{path}[{place}]")
    elif isinstance(node, yaml.MappingNode):
        yield from _of_mapping(node, value, path)


def _of_mapping(node: yaml.MappingNode, value: Any, path: str) -> Iterator[str]:
    if isinstance(value, list | tuple) and all(isinstance(v, tuple) for v in value):
        value = dict(value)  # keys whose order counts are kept as pairs
    if not isinstance(value, dict):
        yield f"{path}: {value!r} where keys were typed"
        return
    seen: set[str] = set()
    for key, inner in node.value:
        name = str(key.value)
        if name in seen:
            yield f"{path}.{name}: typed twice"
        elif name not in value:
            yield f"{path}.{name}: typed, and not among {list(value)}"
        else:
            yield from differences(inner, value[name], f"{path}.{name}")
        seen.add(name)


def _empty(node: yaml.ScalarNode, value: Any) -> bool:
    """A key without a value, where a section of defaults is meant."""
    return node.style is None and node.value.lower() in _NOTHING and isinstance(value, dict)


def _shown(node: yaml.ScalarNode) -> str:
    mark = node.style if node.style in ("'", '"') else ""
    return f"{mark}{node.value}{mark}"
