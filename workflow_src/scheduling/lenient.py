"""Reads what other versions or a kill may have left: no key that is wrong costs another one."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

Model = TypeVar("Model", bound=BaseModel)


def lenient(model: type[Model], values: JsonValue) -> Model:
    """What `values` holds of `model`; a key that is unknown or not as expected counts for nothing.

    Each key of `model` has a default.
    """
    keys = {field.alias or name for name, field in model.model_fields.items()}
    found = values if isinstance(values, dict) else {}
    known = {key: value for key, value in found.items() if key in keys}
    try:
        return model.model_validate(known)
    except ValidationError as error:
        wrong = {each["loc"][0] for each in error.errors(include_url=False)}
        return model.model_validate({k: v for k, v in known.items() if k not in wrong})
