"""Where a value stands: the file and its line."""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import JsonValue

from workflow_src.configuration.scalars import Yaml

Loc = tuple[str | int, ...]
COMMAND_LINE = "--config on the command line, or `config:` of the profile"


class Absent(Enum):
    """In place of a value where there is none: null is one."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


def shown(file: Path) -> str:
    """A path as it is best typed: below the working directory relative to it."""
    path, here = Path(os.path.abspath(file)), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def said_at(files: Sequence[Path], path: Loc, value: Yaml | Absent) -> str:
    """`file, line N` of the first file that says `value` at `path`."""
    for file in files:
        line = _line(file, path, value)
        if line is not None:
            return f"{shown(file)}, line {line}"
    if value is ABSENT and files:
        return shown(files[0])
    return COMMAND_LINE


def words_at(files: Sequence[Path], path: Loc) -> list[str]:
    """The word that each file which has `path` holds there, as it is written."""
    nodes = (_found(file, path) for file in files)
    return [found[1].value for found in nodes if found and isinstance(found[1], yaml.ScalarNode)]


def value_at(values: Any, path: Loc) -> Any:  # mappings and lists alike, as far as it leads
    """What `values` holds at `path`, None where it leads to nothing."""
    for part in path:
        if isinstance(values, dict) and part not in values:
            part = next((key for key in values if str(key) == str(part)), part)
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            return None
    return values


def _line(file: Path, path: Loc, value: Yaml | Absent) -> int | None:
    found = _found(file, path)
    if found is None:
        return None
    line, _, there = found
    # --config may have put another value over the one of the file.
    says = value is ABSENT or isinstance(value, dict) or value_at(there, path) == value
    return line if says else None


def _found(file: Path, path: Loc) -> tuple[int, yaml.Node | None, JsonValue] | None:
    """The line of `path` in `file`, its node, and all that the file holds."""
    try:
        text = file.read_text(encoding="utf-8")
        loader = yaml.SafeLoader(text)
        node, there = loader.get_single_node(), yaml.safe_load(text)
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return None
    line = 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            loader.flatten_mapping(node)  # what `<<` merges stands in it
            pairs = {key.value: (key, inner) for key, inner in node.value}
            if str(part) not in pairs:
                return None
            key, node = pairs[str(part)]
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            if part >= len(node.value):
                return None
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return None
    return line, node, there
