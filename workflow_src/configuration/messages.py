"""What is said of a wrong key: file, key, found, allowed, the nearest name, the YAML to write."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from workflow_src.errors import UserError

Loc = tuple[str | int, ...]


def checked(
    model: type[BaseModel], values: Mapping[str, Any], files: Sequence[Path], section: Loc = ()
) -> Any:
    """`values` as `model`, or a UserError about the first wrong key.

    `files` are searched, the first that holds the key is named; `section` is where `values`
    stands in them (a name in task_sets.yaml).
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _explain(model, values, error, files, section) from None


def _explain(
    model: type[BaseModel],
    values: Mapping[str, Any],
    error: ValidationError,
    files: Sequence[Path],
    section: Loc,
) -> UserError:
    # An unknown key explains a missing one (`dataset:` for `datasets:`), so it comes first.
    errors = error.errors()
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    path: Loc = tuple(part for part in first["loc"] if part != "[key]")
    more = len(errors) - 1
    tail = f" ({more} more after this one)" if more else ""
    where = locate(files, section + path, missing=first["type"] == "missing")
    dotted = ".".join(map(str, section + path))
    if first["type"] == "extra_forbidden":
        return _unknown_key(model, values, path, dotted, where, tail)
    if first["type"] == "missing":
        example = _example(model, path)
        return UserError(
            f"The key `{dotted}` is missing.{tail}",
            where=where,
            expected=_allowed(model, path) or first["msg"],
            remedy=_missing_remedy(path, example),
        )
    return UserError(
        f"The key `{dotted}` has a value that is not allowed.{tail}",
        where=where,
        found=f"{first['input']!r}",
        expected=_allowed(model, path) or first["msg"],
        remedy=as_yaml(section + path, _better(model, path, first["input"])),
    )


def _missing_remedy(path: Loc, example: Any) -> str:
    if path == ("hardware",):
        return (
            "use a profile, for example `snakemake --profile profiles/local`; beside --config it "
            "must be named again (`--config study=mine hardware=local`), since --config replaces "
            "the whole `config:` of a profile"
        )
    return as_yaml(path, example)


def _unknown_key(
    model: type[BaseModel], values: Mapping[str, Any], path: Loc, dotted: str, where: str, tail: str
) -> UserError:
    known = sorted(_keys_at(model, path[:-1]))
    near = difflib.get_close_matches(str(path[-1]), known, n=1, cutoff=0.5)
    value = _value_at(values, path)
    remedy = (
        as_yaml((*path[:-1], near[0]), value)
        if near
        else f"remove the line `{path[-1]}:`; nothing reads it"
    )
    return UserError(
        f"There is no key `{dotted}`" + (f"; the nearest is `{near[0]}`." if near else ".") + tail,
        where=where,
        found=f"{path[-1]}: {value!r}",
        expected="one of " + ", ".join(known),
        remedy=remedy,
    )


def locate(files: Sequence[Path], path: Loc, *, missing: bool = False) -> str:
    """`file, line N` of the first file that holds `path`; the last resort is the command line."""
    for file in files:
        line = _line(file, path[:-1] if missing else path)
        if line is not None:
            return f"{file}, line {line}"
    if missing and files:
        return str(files[-1])
    return "--config on the command line, or `config:` of the profile"


def _line(file: Path, path: Loc) -> int | None:
    try:
        node = yaml.compose(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return None
    line = 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            pairs = {key.value: (key, value) for key, value in node.value}
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
    return line


def as_yaml(path: Loc, value: Any) -> str:
    """`value` under `path` as the YAML that a user would write."""
    nested: Any = value
    for part in reversed(path):
        nested = [nested] if isinstance(part, int) else {part: nested}
    return str(yaml.safe_dump(nested, sort_keys=False, default_flow_style=None)).rstrip()


def _value_at(values: Any, path: Loc) -> Any:
    for part in path:
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            return None
    return values


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if isinstance(annotation, types.GenericAlias | types.UnionType) or typing.get_origin(
        annotation
    ):
        return [m for arg in typing.get_args(annotation) for m in _models_in(arg)]
    return []


def _model_at(model: type[BaseModel], path: Loc) -> type[BaseModel] | None:
    here: type[BaseModel] | None = model
    for part in path:
        if isinstance(part, int):
            continue
        field = here.model_fields.get(part) if here else None
        inner = _models_in(field.annotation) if field else []
        here = inner[0] if inner else None
    return here


def _keys_at(model: type[BaseModel], path: Loc) -> list[str]:
    here = _model_at(model, path)
    return list(here.model_fields) if here else []


def _field_at(model: type[BaseModel], path: Loc) -> Any:
    names = [i for i, part in enumerate(path) if isinstance(part, str)]
    while names:
        last = names.pop()
        here = _model_at(model, path[:last])
        if here and path[last] in here.model_fields:
            return here.model_fields[str(path[last])]
    return None


def _allowed(model: type[BaseModel], path: Loc) -> str:
    field = _field_at(model, path)
    if field is None:
        return ""
    text = _type_in_words(field.annotation)
    bounds = [
        f"{sign} {getattr(bound, name)}"
        for bound in field.metadata
        for name, sign in (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))
        if getattr(bound, name, None) is not None
    ]
    return " ".join([text, " and ".join(bounds)]).strip() + f" ({field.description})"


def _type_in_words(annotation: Any) -> str:
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return "one of " + ", ".join(str(a) for a in args)
    if origin is typing.Annotated:
        return _type_in_words(args[0])
    if origin is list:
        return f"a list: {_type_in_words(args[0])}"
    if origin is dict:
        return "a mapping"
    if args:
        return " or ".join(_type_in_words(a) for a in args if a is not type(None))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "keys " + ", ".join(annotation.model_fields)
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return names.get(annotation, str(annotation))


def _literals(annotation: Any) -> list[str]:
    if typing.get_origin(annotation) is typing.Literal:
        return [str(a) for a in typing.get_args(annotation)]
    return [text for arg in typing.get_args(annotation) for text in _literals(arg)]


def _better(model: type[BaseModel], path: Loc, found: Any) -> Any:
    field = _field_at(model, path)
    if field is None:
        return "..."
    near = difflib.get_close_matches(str(found), _literals(field.annotation), n=1, cutoff=0.4)
    return near[0] if near else _example(model, path)


def _example(model: type[BaseModel], path: Loc) -> Any:
    field = _field_at(model, path)
    return field.examples[0] if field is not None and field.examples else "..."
