"""Reads YAML files: a file as keys, and a file above the one that it extends."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import JsonValue

from workflow_src.configuration.lines import shown
from workflow_src.configuration.strict_yaml import TextPlace, parse
from workflow_src.errors import UserError


def read(file: Path) -> dict[str, JsonValue]:
    """The keys of `file`.

    UserError: it is missing, no YAML or no mapping, has a key twice or a word of two readings.
    """
    try:
        text = file.read_text(encoding="utf-8")
        values = parse(text, TextPlace(shown(file)))
    except FileNotFoundError:
        raise _missing(file) from None
    except UnicodeDecodeError as error:
        raise UserError(
            "A configuration file is not text in UTF-8.",
            where=shown(file),
            found=f"byte {error.object[error.start]:#x} at position {error.start}",
            remedy=f"iconv -f LATIN1 -t UTF-8 {shown(file)}",
        ) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise _no_yaml(file, text, error) from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UserError(
            "A configuration file must hold keys.",
            where=shown(file),
            found=type(values).__name__,
            expected="lines of the form `key: value`",
        )
    return values


def _missing(file: Path) -> UserError:
    there = sorted(p.stem for p in file.parent.glob("*.yaml"))
    near = difflib.get_close_matches(file.stem, there, n=1, cutoff=0.4)
    return UserError(
        f"There is no `{file.stem}` in {file.parent.name}/.",
        where=shown(file),
        expected="one of " + ", ".join(there) if there else "a file there",
        remedy=f"write `{near[0]}` in its place" if near else f"create {shown(file)}",
    )


def _no_yaml(file: Path, text: str, error: Exception) -> UserError:
    mark = getattr(error, "problem_mark", None)
    lines = text.splitlines()
    line = mark.line if mark is not None else 0
    return UserError(
        "A configuration file is not YAML.",
        where=f"{shown(file)}, line {line + 1}",
        found=lines[line] if line < len(lines) else None,
        expected=getattr(error, "problem", None) or str(error),
        remedy="mend this line or the one above: spaces (no tabs) before a key, a space after its "
        "colon, closed brackets and quotes",
    )


def read_extended(
    folder: Path, name: str, seen: tuple[str, ...] = ()
) -> tuple[dict[str, JsonValue], list[Path]]:
    """The keys of `name` above those that it `extends`, and the files, the strongest first."""
    file = folder / f"{name}.yaml"
    values = read(file)
    parent = values.get("extends")
    if parent is None:
        return values, [file]
    if parent in (*seen, name):
        raise UserError(
            f"`extends` turns in a circle: {' -> '.join((*seen, name, parent))}.",
            where=shown(file),
            found=f"extends: {parent}",
            remedy="remove the line `extends:`",
        )
    base, files = read_extended(folder, str(parent), (*seen, name))
    return merged(base, values), [file, *files]


def merged(base: Mapping[str, JsonValue], over: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """`over` above `base`: mappings are merged key by key, everything else is replaced."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            value = merged(below, value)
        result[key] = value
    return result
