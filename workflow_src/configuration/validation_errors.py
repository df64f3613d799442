"""What is said of a wrong key: file, key, found, allowed, the nearest name, the YAML to write."""

from __future__ import annotations

import copy
import difflib
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import ErrorDetails

from workflow_src.configuration.base import ConfigError
from workflow_src.configuration.introspection import (
    KeyType,
    allowed,
    example,
    is_section,
    keys_of,
    literals,
    members,
    place,
)
from workflow_src.configuration.lines import ABSENT, COMMAND_LINE, Loc, said_at, value_at
from workflow_src.configuration.scalars import Writer, Yaml, doubt
from workflow_src.errors import UserError

_LONGEST = 300  # characters of a value in a message


class _Given(NamedTuple):
    """What was validated, and where it stands."""

    model: type[BaseModel]
    values: Mapping[str, JsonValue]
    files: Sequence[Path]
    section: Loc


def explained(
    model: type[BaseModel],
    values: Mapping[str, JsonValue],
    files: Sequence[Path],
    section: Loc,
    error: ValidationError,
) -> UserError:
    """What is said of the first wrong key of `values`, which are no `model`.

    `files` are searched, the first that holds the key is named; `section` is where `values`
    stands in them (a name in task_sets.yaml).
    """
    return _explain(_Given(model, values, files, section), error)


def dotted(path: Loc) -> str:
    """`overrides[0].training.epochs`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def as_yaml(path: Loc, value: Yaml) -> str:
    """`value` under `path` as the YAML that a user would write."""
    for part in reversed(path):
        value = [value] if isinstance(part, int) else {part: value}
    return _written(value, flow=None).rstrip()


def as_flow(value: Yaml) -> str:
    """`value` as YAML on one line."""
    return _written(value, flow=True, width=10**6).removesuffix("\n").removesuffix("\n...")


def as_argument(key: str, value: Yaml) -> str:
    """The argument of the command line that gives `value` to `key` of the run."""
    text = as_flow(value)
    if not re.search(r"""["\\]|''""", text):  # a shell's own quotes are single
        text = text.replace("'", '"')
    return f"--config {shlex.quote(f'{key}={text}')}"


def _written(value: Yaml, flow: bool | None, width: int = 80) -> str:
    return yaml.dump(
        value, Dumper=Writer, default_flow_style=flow, sort_keys=False, width=width,
        allow_unicode=True,
    )  # fmt: skip


# ------------------------------------------------------------------------------- which error


def _explain(given: _Given, error: ValidationError) -> UserError:
    found = [(_path(given.values, e), e) for e in error.errors()]
    # An unknown key explains a missing one (`dataset:` for `datasets:`), so it comes first.
    path, first = next((pair for pair in found if pair[1]["type"] == "extra_forbidden"), found[0])
    more = len({path for path, _ in found}) - 1
    tail = f" ({more} more after this one)" if more else ""
    if first["type"] == "extra_forbidden":
        return _unknown(given, path, tail)
    if first["type"] == "missing":
        return _missing(given, path, tail)
    raised = first.get("ctx", {}).get("error")
    if isinstance(raised, ConfigError):
        return _mistake(given, path, raised, tail)
    return _wrong(given, path, raised, tail)


def _path(values: Mapping[str, JsonValue], error: ErrorDetails) -> Loc:
    """Where an error is, without what pydantic adds (the branch of a union, `[key]`)."""
    path: Loc = ()
    here: Yaml = values
    for part in error["loc"]:
        if isinstance(here, dict):
            # A mapping's key may have been a number in YAML.
            key = next((k for k in here if k == part or str(k) == str(part)), ABSENT)
            if key is not ABSENT:
                path, here = (*path, part), here[key]
        elif isinstance(here, list | tuple) and isinstance(part, int) and part < len(here):
            path, here = (*path, part), here[part]
    return (*path, error["loc"][-1]) if error["type"] == "missing" else path


# ------------------------------------------------------------------------------- what is said


def _unknown(given: _Given, path: Loc, tail: str) -> UserError:
    key, parent = str(path[-1]), place(given.model, path[:-1])
    known = {
        name: section
        for section in (members(parent.annotation) if parent else [])
        if is_section(section)
        for name in keys_of(section)
    }
    value = value_at(given.values, path)
    near = _nearest_key(given, path, known)
    twice = near is not None and near[0] in value_at(given.values, path[:-1])
    if near is None or (len(near) == 1 and twice):
        nearest = f"; the nearest is `{near[0]}`, which is set." if near else "."
        remedy = _without(given, path)
    else:
        target = (*path[:-1], *near)
        nearest = f"; the nearest is `{dotted(near)}`."
        remedy = _mended(given, target, value, without=path)
    return UserError(
        f"There is no key `{dotted(given.section + path)}`{nearest}{tail}",
        where=said_at(given.files, given.section + path, value),
        found=_short(as_yaml((key,), value)),
        expected="one of " + ", ".join(sorted(known)),
        remedy=remedy,
    )


def _nearest_key(given: _Given, path: Loc, known: Mapping[str, type[BaseModel]]) -> Loc | None:
    """The key that was meant, below the section: of a like name, or of this name one deeper."""
    key = str(path[-1])
    near = difflib.get_close_matches(key, list(known), n=1, cutoff=0.6)
    if near:
        return (near[0],)
    for name, section in known.items():
        for inner in members(keys_of(section)[name].annotation):
            if is_section(inner) and key in keys_of(inner):
                return (name, key)
    return None


def _missing(given: _Given, path: Loc, tail: str) -> UserError:
    here = place(given.model, path)
    return UserError(
        f"The key `{dotted(given.section + path)}` is missing.{tail}",
        where=said_at(given.files, given.section + path[:-1], ABSENT),
        expected=allowed(here) if here else None,
        remedy=_mended(given, path, example(here) if here else None),
    )


def _mistake(given: _Given, path: Loc, mistake: ConfigError, tail: str) -> UserError:
    line = (*path, mistake.drop) if mistake.drop else path
    remedy = _without(given, line)
    if mistake.put is not None:
        remedy = _to_write(given, line, path, dict(mistake.put))
        if any(isinstance(part, int) for part in path):
            merged = {**value_at(given.values, path), **mistake.put}
            remedy = _mended(given, path, merged)
        elif path and path[-1] in mistake.put:  # said by the key itself
            remedy = _to_write(given, line, path[:-1], dict(mistake.put))
    where = said_at(given.files, given.section + line, value_at(given.values, line))
    name = dotted(given.section + path)
    value = _short(as_yaml(path[-1:], value_at(given.values, path))) if path else None
    return UserError(
        f"{mistake}{tail}", where=f"{where}, key `{name}`" if name else where, found=value,
        remedy=remedy,
    )  # fmt: skip


def _wrong(given: _Given, path: Loc, raised: Exception | None, tail: str) -> UserError:
    here, value = place(given.model, path), value_at(given.values, path)
    why = f": {raised}." if raised else "."
    return UserError(
        f"The key `{dotted(given.section + path)}` has a value that is not allowed{why}{tail}",
        where=said_at(given.files, given.section + path, value),
        found=_short(as_yaml((), value)),
        expected=allowed(here) if here else None,
        remedy=_mended(given, path, value),
    )


# ------------------------------------------------------------------------------- the remedy


def _mended(given: _Given, path: Loc, value: Yaml, without: Loc | None = None) -> str:
    """The YAML that mends `path`: with `value` or the nearest allowed one; a list is whole."""
    for candidate in _candidates(given.model, path, value):
        values = copy.deepcopy(dict(given.values))
        if without is not None:
            del value_at(values, without[:-1])[without[-1]]
        _put(values, path, candidate)
        if _is_right(given.model, values, path):
            break
    lists = [i for i, part in enumerate(path) if isinstance(part, int)]
    stop = lists[0] if lists else len(path)
    text = _to_write(given, without or path, path[:stop], value_at(values, path[:stop]))
    readings = _comma_readings(value)
    here = place(given.model, path)
    whole = here is not None and float not in members(here.annotation)
    if lists or whole or len(readings) < 2 or candidate != readings[0]:
        return text
    return f"{text}  # or {readings[1]}, if the comma is one of decimals"


def _to_write(given: _Given, wrong: Loc, path: Loc, value: Yaml) -> str:
    """What sets `path` to `value`: YAML, or an argument where what is at `wrong` came by one."""
    by_argument = _is_argument(given, wrong)
    for part in reversed(path if by_argument else ()):
        value = {str(part): value}
    if not by_argument or not isinstance(value, dict) or len(value) != 1:
        return as_yaml(given.section + path, value)
    ((key, inner),) = value.items()
    return as_argument(key, inner)


def _without(given: _Given, path: Loc) -> str:
    if _is_argument(given, path):
        return f"remove `{dotted(path)}` from --config"
    return f"remove the line `{dotted(given.section + path)}:`"


def _is_argument(given: _Given, path: Loc) -> bool:
    """Whether what stands at `path` of a run was given on the command line."""
    holder = value_at(given.values, path[:-1]) if path else None
    present = path and (path[-1] in holder if isinstance(holder, dict) else holder is not None)
    value = value_at(given.values, path)
    return bool(present) and said_at(given.files, given.section + path, value) == COMMAND_LINE


def _candidates(model: type[BaseModel], path: Loc, value: Yaml) -> Iterator[Yaml]:
    yield value
    here = place(model, path)
    if here is None:
        return
    words = [str(word) for word in literals(here.annotation)]
    yield from difflib.get_close_matches(str(value), words, n=1, cutoff=0.3)
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)  # `study: 5`: a name of digits bears quotes
    if isinstance(value, bool) or (value is None and isinstance(path[-1], int)):
        yield as_flow(value)  # `[null]`, where text stands
    if not isinstance(value, dict | list):
        yield [value]  # `datasets: cwru`
    if isinstance(value, str):  # `Learning Rate` for a name, `8,5` for a number
        yield value.strip().lower().replace(" ", "_")
        yield from _comma_readings(value)
        asked = doubt(value)  # `'1_000'` for a number
        yield from asked.readings[1:] if asked else ()
    yield from _examples(here)


def _comma_readings(value: Yaml) -> list[int | float]:
    """The numbers that a text with commas may stand for: `25,600` with thousands comes first."""
    if not isinstance(value, str):
        return []
    readings: list[int | float] = []
    if re.fullmatch(r"[-+]?[1-9]\d{0,2}(,\d{3})+", value):
        readings.append(int(value.replace(",", "")))
    if re.fullmatch(r"[-+]?[1-9]\d{0,2}(,\d{3})+\.\d+", value):
        readings.append(float(value.replace(",", "")))
    if re.fullmatch(r"[-+]?(\d+|[1-9]\d{0,2}(\.\d{3})+),\d+", value):
        readings.append(float(value.replace(".", "").replace(",", ".")))
    return readings


def _examples(here: KeyType) -> Iterator[JsonValue]:
    yield example(here)
    if here.field is not None and not here.below:
        yield here.field.get_default(call_default_factory=True)


def _is_right(model: type[BaseModel], values: Mapping[str, JsonValue], path: Loc) -> bool:
    try:
        model.model_validate(values)
    except ValidationError as error:
        wrong = [_path(values, e) for e in error.errors()]
        return not any(p[: len(path)] == path for p in wrong)
    return True


def _put(values: Any, path: Loc, value: Yaml) -> None:  # in mappings and lists alike
    for part in path[:-1]:
        if isinstance(values, dict) and not isinstance(values.get(part), dict | list):
            values[part] = {}
        values = values[part]
    values[path[-1]] = value


def _short(text: str) -> str:
    text = text.removesuffix("\n...")
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " ..."
