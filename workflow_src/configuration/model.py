"""A file of config/models/: a network by its backbone and sizes, or a classic model."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence, Set
from functools import cache
from typing import Any, ClassVar, Literal, Optional, TypeVar

from pydantic import Field, JsonValue, create_model, field_validator, model_validator

from workflow_src.configuration.backbones import SHIPPED, BackboneOptions, shipped_backbones
from workflow_src.configuration.base import (
    ConfigError,
    Name,
    StrictModel,
    bounds_and_meaning,
    optional,
)
from workflow_src.configuration.classic_models import SHIPPED as METHODS
from workflow_src.configuration.classic_models import ClassicOptions, shipped_methods
from workflow_src.configuration.model_files import ModelOptions, options_of
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
        return _known("backbone", name, SHIPPED)


def _known(key: str, name: str | None, names: Sequence[str]) -> str | None:
    """The `name` that `key` says: one of `names`, or a file of the user's own."""
    if name is None or name in names or name.endswith(".py"):
        return name
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.3) or names
    what = f"There is no {key} `{name}`: expected {', '.join(names)}, or a file `*.py`."
    raise ConfigError(what, put={key: near[0]})


class Model(Architecture):
    """A file of config/models/: a network, or a classic model."""

    # Filled by `model_type`, which also adds their keys.
    backbones: ClassVar[Mapping[str, type[BackboneOptions]]] = {}
    methods: ClassVar[Mapping[str, type[ClassicOptions]]] = {}

    extends: Name | None = Field(
        None, description="Another model whose keys hold unless set here.", examples=["patchtst"]
    )
    kind: Literal["network", "classic"] = Field(
        "network", description="Trained with torch, or without.", examples=["classic"]
    )
    method: str | None = Field(
        None,
        description=f"What a classic model does: {', '.join(METHODS)}, or a file of your own "
        "beside the model's (docs/extending.md); classic models only.",
        examples=["trivial"],
        json_schema_extra={"anyOf": [{"enum": [*METHODS, None]}, {"pattern": r"\.py$"}]},
    )
    label: str | None = Field(
        None, description="The model's name in tables; default: its file's.", examples=["PatchTST"]
    )
    training: TrainingOverrides | None = Field(  # type: ignore[valid-type]
        None,
        description="Training keys of this model.",
        examples=[{"learning_rate": 5e-4}],
    )

    @field_validator("method")
    @classmethod
    def _method_exists(cls, name: str | None) -> str | None:
        return _known("method", name, METHODS)

    @model_validator(mode="after")
    def _one_kind(self) -> Model:
        given = {key for key in self.model_fields_set if getattr(self, key) is not None}
        if self.kind == "network":
            if self.method is not None:
                raise ConfigError("A network takes no `method`.", drop="method")
            self._require_own("backbone", self.backbones, "patchtst", given)
            return self
        own = set(self.methods[self.method].model_fields) if self.method else set()
        foreign = sorted(given & {*Architecture.model_fields, "training"} - own)
        if foreign:
            raise ConfigError("A classic model takes `method` and no size.", drop=foreign[0])
        self._require_own("method", self.methods, "trivial", given)
        return self

    def _require_own(
        self, key: str, every: Mapping[str, type[ModelOptions]], usual: str, given: Set[str]
    ) -> None:
        """Of the keys of all models none but the own ones may be given, and those must be."""
        name = getattr(self, key)
        if name is None:
            lacking = _examples(every[usual], given)
            raise ConfigError(f"A {self.kind} needs `{key}`.", put={key: usual, **lacking})
        own = every[name]
        foreign = sorted(given - set(own.model_fields) - set(Model.model_fields))
        if foreign:
            has = ", ".join(own.model_fields) or "none"
            what = f"The {key} {name} has no `{foreign[0]}`; its own keys are {has}."
            raise ConfigError(what, drop=foreign[0])
        lacking = _examples(own, given)
        if lacking:
            what = f"The {key} {name} needs {', '.join(lacking)}."
            raise ConfigError(what, put=lacking)

    def sizes(self) -> dict[str, JsonValue]:
        """Keys of a network's trunk, those of other backbones left out."""
        common = self.model_dump(include=set(Architecture.model_fields))
        return common | self._own(self.backbones[str(self.backbone)])

    def classic(self) -> dict[str, JsonValue]:
        """Keys of a classic model, those of other ones left out."""
        return {"method": self.method} | self._own(self.methods[str(self.method)])

    def _own(self, options: type[ModelOptions]) -> dict[str, JsonValue]:
        keys = options.model_fields
        given = {key: value for key in keys if (value := getattr(self, key)) is not None}
        return options.model_validate(given).model_dump()


def _examples(options: type[ModelOptions], given: Set[str]) -> dict[str, JsonValue]:
    """Required keys that are not given, each with its example."""
    lacking = {k: f for k, f in options.model_fields.items() if f.is_required() and k not in given}
    return {key: (field.examples or [None])[0] for key, field in lacking.items()}


def with_options(base: type[M], every: Mapping[str, type[ModelOptions]]) -> type[M]:
    """`base` with the keys of `every` backbone or method beside its own, none of them required."""
    having: dict[str, list[str]] = {}
    fields: dict[str, Any] = {}  # keywords of create_model, which have other types too
    for name, options in every.items():
        for key, field in options.model_fields.items():
            having.setdefault(key, []).append(name)
            meaning = f"{', '.join(having[key])}: {field.description or key}"
            told = {**bounds_and_meaning(field), "description": meaning}
            fields[key] = (Optional[field.annotation], Field(None, **told))  # noqa: UP045
    made: type[M] = create_model(base.__name__, __base__=base, __doc__=base.__doc__, **fields)
    return made


# A file of the user's own: the key that names it, its name there, and its text.
OwnKey = Literal["backbone", "method"]
OwnFile = tuple[OwnKey, str, str]


@cache
def model_type(own: OwnFile | None = None) -> type[Model]:
    """The keys of a model's file, with those of its `own` file."""
    backbones, methods = dict(shipped_backbones()), dict(shipped_methods())
    if own is not None:
        key, name, text = own
        if key == "backbone":
            backbones[name] = options_of(text, name, BackboneOptions)
        else:
            methods[name] = options_of(text, name, ClassicOptions)
    made = with_options(Model, {**backbones, **methods})
    made.backbones, made.methods = backbones, methods
    return made


ArchitectureOverrides = optional(
    with_options(Architecture, shipped_backbones()), without=("backbone",)
)
