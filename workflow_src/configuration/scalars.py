"""Words that YAML takes, without quotes, for something else than what stands there.

YAML 1.1, which the libraries read, knows octal, hexadecimal and base-60 numbers, digits parted by
`_`, dates, and `no` for false; YAML 1.2, which editors know, has other rules. Such a word is asked
about, and never read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple, Union

import yaml

# What a file of YAML may hold, and a message may show.
Yaml = Union[Mapping[str, "Yaml"], Sequence["Yaml"], str, int, float, None]  # noqa: UP007
Reading = str | int | float  # of one word
_DOUBT = "!doubt"  # a tag that no word is written with
_LONGEST_NUMBER = 64  # characters; nobody means a number beyond
_WHOLE = r"(?:0|[1-9][0-9]*)"
_SMALL = r"(?:[eE][-+][0-9]+)?"
# What all who read YAML take for the same number.
_NUMBER = re.compile(rf"[-+]?{_WHOLE}(?:\.[0-9]*{_SMALL})?|\.[0-9]+{_SMALL}")


class Doubt(NamedTuple):
    """Why a word is asked about, and what it may stand for: the text itself comes first."""

    why: str
    readings: tuple[Reading, ...]


class _Form(NamedTuple):
    """Words that are asked about for one reason, and the value that one may stand for."""

    expression: re.Pattern[str]
    why: str
    value: Callable[[str], Reading] | None


def _form(expression: str, why: str, value: Callable[[str], Reading] | None = None) -> _Form:
    return _Form(re.compile(expression), why, value)


def _decimal(text: str) -> int | float:
    digits = text.replace("_", "")
    return int(digits) if re.fullmatch(r"[-+]?[0-9]+", digits) else float(digits)


def _prefixed(text: str) -> int:
    return int(text.replace("_", ""), 0)


def _base_60(text: str) -> int | float:
    total: int | float = 0
    for part in text.lstrip("-+").split(":"):
        total = 60 * total + _decimal(part)
    return -total if text.startswith("-") else total


_BOOLEAN = "some programs take it for {}, others for a word"
# The first that matches speaks.
_FORMS = (
    _form("(?i:y|yes|on)", _BOOLEAN.format("true"), lambda _: True),
    _form("(?i:n|no|off)", _BOOLEAN.format("false"), lambda _: False),
    _form(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "YAML reads a date"),
    _form(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:.*", "YAML reads a date"),
    _form(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?", "YAML counts by sixty", _base_60),
    _form(
        r"[-+]?0(?:[xX][0-9a-fA-F_]+|[oO][0-7_]+|[bB][01_]+)",
        "it is no decimal number",
        _prefixed,
    ),
    _form(
        r"(?=.*_)[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\._*[0-9][0-9_]*)(?:[eE][-+]?[0-9_]+)?",
        "YAML drops the `_` between digits",
        _decimal,
    ),
    _form(
        r"[-+]?0[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?",
        "YAML drops a zero in front, or counts by eight after it",
        _decimal,
    ),
    _form(
        r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?",
        "some programs read a number, others text",
        _decimal,
    ),
)


def doubt(word: str) -> Doubt | None:
    """Why `word`, written without quotes, is asked about; None where it means one thing."""
    if len(word) <= _LONGEST_NUMBER and _NUMBER.fullmatch(word):
        return None
    form = next((form for form in _FORMS if form.expression.fullmatch(word)), None)
    if form is None:
        return None
    return Doubt(form.why, (word, *_values(form, word)))


def doubt_as_text(word: str) -> Doubt | None:
    """Why `word`, a number that stands without quotes where text is meant, is asked about.

    None where the number is printed as it stands there: `600`, `1.5`.
    """
    value = _plain(word)
    if isinstance(value, bool) or not isinstance(value, int | float) or str(value) == word:
        return None
    readings = (word, value) if math.isfinite(value) else (word,)
    return Doubt("text is meant, and the number has other digits", readings)


def _plain(word: str) -> Reading | date | None:
    """What YAML makes of a word without quotes; of one that is no value, as `<<`, that text."""
    loader: Any = yaml.SafeLoader("")  # whose stubs state no types here
    tag = loader.resolve(yaml.ScalarNode, word, (True, False))
    if tag not in loader.yaml_constructors:
        return word
    value: Reading | date | None = loader.construct_object(yaml.ScalarNode(tag, word))
    return value


def _values(form: _Form, word: str) -> list[Reading]:
    if form.value is None or len(word) > _LONGEST_NUMBER:
        return []
    try:
        value = form.value(word)
    except ValueError:  # digits that are none, such as 0x_
        return []
    return [] if value in (float("inf"), float("-inf")) else [value]


class Writer(yaml.SafeDumper):
    """Writes YAML that is read as it was meant: what is asked about without quotes bears them."""

    def represent_mapping(
        self, tag: str, mapping: Any, flow_style: bool | None = None
    ) -> yaml.MappingNode:
        """A mapping, with keys of one letter as they are usual: `y: vibration`."""
        node = super().represent_mapping(tag, mapping, flow_style)
        for key, _ in node.value:
            if is_code(str(key.value)) and doubt(key.value) is not None:
                key.tag = _DOUBT  # what the word resolves to, so that it needs no quotes
        return node


def is_code(key: str) -> bool:
    """Whether a key is one letter: a code such as `N` or a channel `y`, to all who read YAML."""
    return len(key) == 1 and key.isalpha()


for _each in _FORMS:
    # Before a text stands without quotes, it is compared with all that has a meaning of its own.
    Writer.add_implicit_resolver(
        _DOUBT, re.compile(rf"(?:{_each.expression.pattern})\Z", re.DOTALL), None
    )
