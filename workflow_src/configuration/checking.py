"""Values as one of our sections, or an error about the first that is wrong."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from workflow_src.configuration.introspection import members, place
from workflow_src.configuration.lines import ABSENT, Loc, said_at, value_at, words_at
from workflow_src.configuration.scalars import Reading, Yaml, doubt_as_text
from workflow_src.configuration.strict_yaml import two_readings
from workflow_src.configuration.validation_errors import as_yaml, dotted, explained

M = TypeVar("M", bound=BaseModel)


def checked(
    model: type[M], values: Mapping[str, JsonValue], files: Sequence[Path], section: Loc = ()
) -> M:
    """`values` as `model`, or a UserError about the first wrong key.

    `files` are searched, the first that holds the key is named; `section` is where `values`
    stands in them (a name in task_sets.yaml).
    """
    for path in _numbers_as_text(model, values, ()):
        _require_own_digits(values, files, section, path)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise explained(model, values, files, section, error) from None


def _numbers_as_text(model: type[BaseModel], values: Yaml, path: Loc) -> Iterator[Loc]:
    """Where a number stands and text may: a name, a unit, a value to select by."""
    if isinstance(values, dict):
        for key, value in values.items():
            yield from _numbers_as_text(model, value, (*path, str(key)))
    elif isinstance(values, list):
        for i, value in enumerate(values):
            yield from _numbers_as_text(model, value, (*path, i))
    elif isinstance(values, int | float) and not isinstance(values, bool):
        here = place(model, path)
        if here is not None and str in members(here.annotation):
            yield path


def _require_own_digits(
    values: Mapping[str, JsonValue], files: Sequence[Path], section: Loc, path: Loc
) -> None:
    """Refuse `1.10` where text may stand: it would become the text 1.1."""
    words = words_at(files, section + path)
    doubt = doubt_as_text(words[0]) if words else None
    if doubt is None:
        return
    where = said_at(files, section + path, ABSENT)  # of the file that has these words
    lists = [i for i, part in enumerate(path) if isinstance(part, int)]
    whole = path[: lists[0]] if lists else path  # a list is shown whole

    def remedy(reading: Reading) -> str:
        mended = copy.deepcopy(dict(values))
        holder = value_at(mended, path[:-1])
        holder[path[-1]] = reading
        return as_yaml(section + whole, value_at(mended, whole))

    name = dotted(section + path)
    raise two_readings(words[0], doubt, f"{where}, key `{name}`", words[0], remedy)
