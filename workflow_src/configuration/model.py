"""A file of config/models/: a network by its backbone and sizes, or a classic baseline."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Set
from functools import cache
from typing import Any, ClassVar, Literal, Optional, TypeVar

from pydantic import Field, create_model, field_validator, model_validator

from workflow_src.configuration.backbones import (
    SHIPPED,
    BackboneOptions,
    options_of,
    shipped_options,
)
from workflow_src.configuration.base import (
    ConfigError,
    Name,
    StrictModel,
    bounds_and_meaning,
    optional,
)
from workflow_src.configuration.training import TrainingOverrides

M = TypeVar("M", bound=StrictModel)


class Architecture(StrictModel):
    """Sizes that every network has."""

    backbone: str | None = Field(
        None,
        description=f"The backbone on tokens: {', '.join(SHIPPED)}, or a file of your own beside "
        "the model's (docs/extending.md); networks only.",
        examples=["patchtst"],
        json_schema_extra={"anyOf": [{"enum": [*SHIPPED, None]}, {"pattern": r"\.py$"}]},
    )
    embedding: Literal["patch", "hse"] = Field(
        "patch",
        description="Patch embedding with positions, or hybrid spatial embedding (random patches "
        "in training, evenly spaced ones in evaluation).",
        examples=["hse"],
    )
    normalisation: Literal["window", "none"] = Field(
        "window",
        description="Each window and channel by its own mean and deviation (input part only).",
        examples=["none"],
    )
    width: int = Field(64, ge=1, description="Features of a token, D.", examples=[128])
    depth: int = Field(2, ge=1, description="Stacked backbone blocks.", examples=[3])
    patch_length: int = Field(
        64,
        ge=1,
        description="Samples in a patch. At most the window; with `embedding: hse` also longer: "
        "each sample is then held as often as the patch is longer, rounded up.",
        examples=[128],
    )
    patch_count: int = Field(32, ge=1, description="Patches in a window, N.", examples=[64])
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout in the backbone.", examples=[0.1])

    @field_validator("backbone")
    @classmethod
    def _exists(cls, name: str | None) -> str | None:
        if name is None or name in SHIPPED or name.endswith(".py"):
            return name
        near = difflib.get_close_matches(name, SHIPPED, n=1, cutoff=0.3) or SHIPPED
        what = f"There is no backbone `{name}`: expected {', '.join(SHIPPED)}, or a file `*.py`."
        raise ConfigError(what, put={"backbone": near[0]})


class Model(Architecture):
    """A file of config/models/: a network, or a classic baseline without one."""

    # Filled by `model_type`, which also adds their keys.
    backbones: ClassVar[Mapping[str, type[BackboneOptions]]] = {}

    extends: Name | None = Field(
        None, description="Another model whose keys hold unless set here.", examples=["patchtst"]
    )
    kind: Literal["network", "classic"] = Field(
        "network", description="Trained with torch, or a baseline.", examples=["classic"]
    )
    method: Literal["trivial"] | None = Field(
        None, description="Which baseline; classic models only.", examples=["trivial"]
    )
    label: str | None = Field(
        None, description="The model's name in tables; default: its file's.", examples=["PatchTST"]
    )
    training: TrainingOverrides | None = Field(  # type: ignore[valid-type]
        None,
        description="Training keys of this model.",
        examples=[{"learning_rate": 5e-4}],
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Model:
        given = {key for key in self.model_fields_set if getattr(self, key) is not None}
        if self.kind == "classic":
            foreign = sorted(given - {"extends", "kind", "label", "method"})
            if foreign:
                raise ConfigError("A classic model takes `method` and no size.", drop=foreign[0])
            if self.method is None:
                raise ConfigError("A classic model needs `method`.", put={"method": "trivial"})
            return self
        if self.method is not None:
            raise ConfigError("A network takes no `method`.", drop="method")
        if self.backbone is None:
            keys = _examples(self.backbones["patchtst"], given)
            raise ConfigError("A network needs `backbone`.", put={"backbone": "patchtst"} | keys)
        own = self.backbones[self.backbone]
        every = {key for options in self.backbones.values() for key in options.model_fields}
        foreign = sorted(every & given - set(own.model_fields))
        if foreign:
            what = f"The backbone {self.backbone} has no `{foreign[0]}`; its own keys are "
            raise ConfigError(what + ", ".join(own.model_fields) + ".", drop=foreign[0])
        lacking = _examples(own, given)
        if lacking:
            what = f"The backbone {self.backbone} needs {', '.join(lacking)}."
            raise ConfigError(what, put=lacking)
        return self

    def sizes(self) -> dict[str, Any]:
        """Keys of a network's trunk, those of other backbones left out."""
        own = self.backbones[str(self.backbone)]
        given = {
            key: value for key in own.model_fields if (value := getattr(self, key)) is not None
        }
        common = self.model_dump(include=set(Architecture.model_fields))
        return common | own.model_validate(given).model_dump()


def _examples(options: type[BackboneOptions], given: Set[str]) -> dict[str, Any]:
    """Required keys that are not given, each with its example."""
    lacking = {k: f for k, f in options.model_fields.items() if f.is_required() and k not in given}
    return {key: (field.examples or [None])[0] for key, field in lacking.items()}


def with_options(base: type[M], backbones: Mapping[str, type[BackboneOptions]]) -> type[M]:
    """`base` with the keys of all `backbones` beside its own, none of them required."""
    having: dict[str, list[str]] = {}
    fields: dict[str, Any] = {}
    for name, options in backbones.items():
        for key, field in options.model_fields.items():
            having.setdefault(key, []).append(name)
            meaning = f"{', '.join(having[key])}: {field.description or key}"
            told = {**bounds_and_meaning(field), "description": meaning}
            fields[key] = (Optional[field.annotation], Field(None, **told))  # noqa: UP045
    made: type[M] = create_model(base.__name__, __base__=base, __doc__=base.__doc__, **fields)
    return made


@cache
def model_type(own: tuple[tuple[str, str], ...] = ()) -> type[Model]:
    """The keys of a model's file; `own` are backbones of the user's: name and text of the file."""
    backbones = {**shipped_options(), **{name: options_of(text, name) for name, text in own}}
    made = with_options(Model, backbones)
    made.backbones = backbones
    return made


ArchitectureOverrides = optional(
    with_options(Architecture, shipped_options()), without=("backbone",)
)
