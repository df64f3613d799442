"""What a model says of the place that a path of keys leads to: type, bounds, meaning, example."""

from __future__ import annotations

import types
import typing
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeGuard

from pydantic import BaseModel, JsonValue
from pydantic.fields import FieldInfo

if TYPE_CHECKING:
    from typing_extensions import TypeForm

Path = tuple[str | int, ...]
Annotation: TypeAlias = "TypeForm[Any] | None"  # as pydantic types what a key is declared as

_NAMES: dict[Annotation, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
}
# Of files and folders that a configuration names.
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
_NAME_IN_WORDS = "of letters, digits, `_`, `.` and `-`, a letter or digit first"
_SIGNS = (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))


class KeyType(NamedTuple):
    """The type at a path, the key that it belongs to, and the rest of the path below that key."""

    annotation: Annotation
    field: FieldInfo | None
    below: Path


def keys_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The keys of a section as they are written (`from`, not the attribute behind it)."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def place(model: Annotation, path: Path) -> KeyType | None:
    """Follow `path` from `model`; None where it leads to nothing."""
    here: KeyType | None = KeyType(model, None, ())
    for part in path:
        here = _step(here, part) if here is not None else None
    return here


def _step(here: KeyType, part: str | int) -> KeyType | None:
    below = (*here.below, part)
    for member in members(here.annotation):
        origin, args = typing.get_origin(member), typing.get_args(member)
        if is_section(member):
            if part in keys_of(member):
                field = keys_of(member)[str(part)]
                return KeyType(field.annotation, field, ())
        elif origin is dict and isinstance(part, str):
            return KeyType(args[1], here.field, below)
        elif origin in (list, tuple) and isinstance(part, int):
            return KeyType(args[0], here.field, below)
    return None


def members(annotation: Annotation) -> list[Annotation]:
    """The alternatives of a type, without None and without what only annotates them."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return members(args[0])
    if origin in (typing.Union, types.UnionType):
        return [m for arg in args if arg is not type(None) for m in members(arg)]
    return [annotation]


def is_section(annotation: Annotation) -> TypeGuard[type[BaseModel]]:
    """Whether a type is a section of keys."""
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def sections(annotation: Annotation) -> list[type[BaseModel]]:
    """The sections that a type holds, itself or in lists and mappings."""
    found: list[type[BaseModel]] = []
    for member in members(annotation):
        if is_section(member):
            found.append(member)
        elif typing.get_origin(member) in (list, tuple, dict):
            for arg in typing.get_args(member):
                found += sections(arg)
    return found


def literals(annotation: Annotation) -> list[str]:
    """The words that a type allows, in lists as well."""
    if typing.get_origin(annotation) is typing.Literal:
        return list(typing.get_args(annotation))
    return [word for arg in typing.get_args(annotation) for word in literals(arg)]


def takes_text(annotation: Annotation) -> bool:
    """Whether a text may stand in a value of this type, itself or in lists and mappings."""
    if is_section(annotation) or annotation in (str, Any):
        return True
    return bool(literals(annotation)) or any(map(takes_text, typing.get_args(annotation)))


def example(here: KeyType) -> JsonValue:
    """An example of the value at a place."""
    examples = here.field.examples if here.field is not None else None
    value: JsonValue = examples[0] if examples else None
    for part in here.below:
        if isinstance(value, dict) and value:
            value = value[str(part)] if part in value else next(iter(value.values()))
        elif isinstance(value, list | tuple) and value:
            value = value[0]
    return value


def allowed(here: KeyType) -> str:
    """Type, bounds and meaning in words."""
    text = " ".join(filter(None, [in_words(here.annotation), bounds(here)]))
    return f"{text} ({here.field.description})" if here.field is not None else text


def bounds(here: KeyType) -> str:
    """The bounds of a number, e.g. `>= 1 and < 4`; the letters of a name."""
    metadata = list(here.field.metadata) if here.field is not None and not here.below else []
    if typing.get_origin(here.annotation) is typing.Annotated:
        for said in typing.get_args(here.annotation)[1:]:
            metadata += said.metadata if isinstance(said, FieldInfo) else [said]
    if any(getattr(bound, "pattern", None) == NAME for bound in metadata):
        return _NAME_IN_WORDS
    return " and ".join(
        f"{sign} {getattr(bound, name):g}"
        for bound in metadata
        for name, sign in _SIGNS
        if getattr(bound, name, None) is not None
    )


def in_words(annotation: Annotation) -> str:
    """A type as a user would call it."""
    return " or ".join(_member_in_words(member) for member in members(annotation))


def _member_in_words(member: Annotation) -> str:
    origin, args = typing.get_origin(member), typing.get_args(member)
    if origin is typing.Literal:
        return "one of " + ", ".join(map(str, args))
    if origin in (list, tuple):
        return f"a list, each {in_words(args[0])}"
    if origin is dict:
        return f"a mapping to {in_words(args[1])}"
    if is_section(member):
        return "keys " + ", ".join(keys_of(member))
    return _NAMES.get(member, str(member))
