"""Every line of the registry is a source: options that say what a rig needs, and their reader."""

from __future__ import annotations

import inspect
from pkgutil import resolve_name

import pytest

from workflow_src.configuration.base import section_at
from workflow_src.configuration.schema import Rig
from workflow_src.configuration.source_options import SourceOptions
from workflow_src.configuration.sources import SOURCES
from workflow_src.configuration.validation_errors import as_yaml

KEYS = {"unit": "g", "amplitude_comparable": False}


@pytest.mark.parametrize("name", SOURCES)
def test_a_rig_of_its_example_names_its_reader(name: str) -> None:
    rig = Rig.model_validate({**KEYS, "source": name, name: dict(SOURCES[name].EXAMPLE)})
    assert type(rig.options) is SOURCES[name]
    opener = resolve_name(rig.options.OPENED_BY)
    assert list(inspect.signature(opener).parameters) == ["options", "context"]


@pytest.mark.parametrize("name", SOURCES)
def test_a_rig_without_its_keys_is_given_them(name: str) -> None:
    with pytest.raises(ValueError, match=f"needs the key `{name}`") as caught:
        Rig.model_validate({**KEYS, "source": name})
    (error,) = caught.value.errors()  # type: ignore[attr-defined]
    put = error["ctx"]["error"].put
    assert Rig.model_validate({**KEYS, "source": name, **put}).source == name
    assert as_yaml((name,), put[name])


def test_what_is_no_source_is_refused_with_its_path() -> None:
    with pytest.raises(TypeError, match=r"errors:BadData is no class of SourceOptions"):
        section_at("workflow_src.errors:BadData", SourceOptions)
