"""What every section of a configuration file has in common."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from operator import is_
from pkgutil import resolve_name
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, create_model, field_validator
from pydantic.fields import FieldInfo

from workflow_src.configuration.introspection import NAME, Annotation, members
from workflow_src.configuration.scalars import Yaml, doubt

M = TypeVar("M", bound=BaseModel)
K = TypeVar("K", bound=Hashable)
Name = Annotated[str, Field(pattern=NAME)]
# Strict: `true` is no name of a condition, and no number.
_Int = Annotated[int, Field(strict=True)]
_Float = Annotated[float, Field(strict=True)]
Selector = dict[str, list[str | _Int | _Float]]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]
is_absent = partial(is_, None)  # of a key that is not written where it says nothing


class StrictModel(BaseModel):
    """A section of a file: unknown keys are refused, values never change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _numbers_are_numbers(cls, value: Yaml, info: ValidationInfo) -> Yaml:
        """`true` and `'010'` are numbers to Python, but never to whoever wrote them."""
        _refuse_numbers(value, cls.model_fields[str(info.field_name)].annotation)
        return value


def _refuse_numbers(value: Yaml, annotation: Annotation) -> None:
    """Raise for a boolean or a text that a value of this type would take for a number."""
    types = members(annotation)
    numeric = {int, float, bool} & set(types)
    if isinstance(value, dict):  # of a section each key is looked at there
        of = [get_args(one)[1] for one in types if get_origin(one) is dict]
    else:
        of = [get_args(one)[0] for one in types if get_origin(one) in (list, tuple)]
    if isinstance(value, list | tuple | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            for one in of:
                _refuse_numbers(inner, one)
    elif isinstance(value, bool):
        if bool not in types and _takes_number(annotation):
            raise ValueError("true and false are no numbers")
    elif isinstance(value, str) and numeric and str not in types and doubt(value) is not None:
        raise ValueError(f"{value!r} in quotes is text")


def _takes_number(annotation: Annotation) -> bool:
    """Whether a type takes a number, and what pydantic reads as one: it is not strict."""
    said = getattr(annotation, "__metadata__", ())
    held = [one for part in said for one in (part, *getattr(part, "metadata", ()))]
    if any(getattr(one, "strict", False) for one in held):
        return False
    return annotation in (int, float) or any(map(_takes_number, get_args(annotation)))


def section_at(path: str, kind: type[M]) -> type[M]:
    """The class of sections at ``module:name``, which must be of a `kind`."""
    found = resolve_name(path)
    if not (isinstance(found, type) and issubclass(found, kind)):
        raise TypeError(f"{path} is no class of {kind.__name__}")
    return found


class ConfigError(ValueError):
    """Keys of one section that contradict each other, and the change that mends them.

    `drop` names a key of the section to remove, `put` holds keys to set.
    """

    def __init__(
        self, what: str, *, drop: str | None = None, put: Mapping[str, Yaml] | None = None
    ) -> None:
        super().__init__(what)
        self.drop = drop
        self.put = put


def optional(model: type[BaseModel], without: Sequence[str] = ()) -> type[BaseModel]:
    """The same keys, none of them required: what an override may hold. Null is refused."""
    fields: dict[str, Any] = {  # keywords of create_model, which have other types too
        name: (
            _without_none(field),
            Field(None, validate_default=False, **bounds_and_meaning(field)),
        )
        for name, field in model.model_fields.items()
        if name not in without
    }
    doc = f"Keys of {model.__name__} to set here; the others keep their values."
    made: type[BaseModel] = create_model(
        f"{model.__name__}Overrides", __base__=StrictModel, __doc__=doc, **fields
    )
    return made


def _without_none(field: FieldInfo) -> Annotation:
    """The type of a key without its `| None`: a null in an override would unset nothing."""
    kept = [a for a in getattr(field.annotation, "__args__", ()) if a is not type(None)]
    is_optional = len(kept) < len(getattr(field.annotation, "__args__", ()))
    return kept[0] if is_optional and len(kept) == 1 else field.annotation


def bounds_and_meaning(field: FieldInfo) -> dict[str, Any]:
    """What a key may be and what it means, to declare another one like it."""
    kept: dict[str, Any] = {"description": field.description, "examples": field.examples}
    for bound in field.metadata:
        for key in ("ge", "gt", "le", "lt", "strict"):
            if getattr(bound, key, None) is not None:
                kept[key] = getattr(bound, key)
    return kept


def repeated(values: Sequence[K]) -> list[K]:
    """The values that stand in `values` more than once."""
    return [value for value in dict.fromkeys(values) if list(values).count(value) > 1]
