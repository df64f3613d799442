"""Runs of a text of YAML: as it is shipped, or changed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import yaml

from .draw import Draw
from .loaded import Loader
from .shipped import Source, blocks, files
from .studies import STUDIES
from .typed import differences
from .verdict import Verdict
from .yaml_mutants import KINDS, Mutant


@dataclass(frozen=True)
class Typed:
    """A text in the place of a source."""

    source: Source
    mutant: Mutant

    @property
    def about(self) -> str:
        """The file and its change."""
        return f"{self.source.whence}: {self.mutant.about}"

    def raw(self) -> bytes:
        """The bytes of the file."""
        return self.mutant.text.encode(self.mutant.encoding, "replace")


@cache
def shipped() -> tuple[Source, ...]:
    """Every text that must be accepted as it is."""
    return (*files(), *blocks(), *STUDIES)


def as_shipped(place: int) -> Typed:
    """One of `shipped`, unchanged."""
    source = shipped()[place]
    return Typed(source, Mutant(source.around + source.text, "as it is shipped", harmless=True))


def changed(kind: str, draw: Draw) -> Typed:
    """A text under one kind of change; small studies as often as all that is shipped."""
    while True:
        source = draw.choice(STUDIES if draw.random() < 0.5 else shipped())
        mutant = KINDS[kind](draw, source.around + source.text)
        if mutant is not None:
            return Typed(source, mutant)


def judged(typed: Typed, loader: Loader) -> tuple[Verdict, str]:
    """Whether what the product takes from a text is what is typed in it; raises what it does."""
    values = loader.values(typed.source, typed.raw())
    try:
        node = yaml.compose(typed.mutant.text.lstrip("\ufeff"))
    except yaml.YAMLError as error:
        return Verdict.WRONG, f"{typed.about}: accepted, and no YAML: {error}"
    found = list(differences(node, values)) if node is not None else []
    if not found:
        return Verdict.EQUAL, ""
    lost = re.search("typed twice|not among", found[0]) is not None
    return Verdict.SILENT if lost else Verdict.WRONG, f"{typed.about}: {'; '.join(found[:3])}"


def refused(typed: Typed, message: str) -> tuple[Verdict, str]:
    """The verdict on a refusal, which names the file, or the key where files were combined."""
    if typed.mutant.harmless:
        return Verdict.INVALID, f"{typed.about}: {message}"
    if not re.search(rf"{re.escape(typed.source.name)}|\.yaml|`\w+", message):
        return Verdict.UNNAMED, f"{typed.about}: {message}"
    return Verdict.REFUSED, message
