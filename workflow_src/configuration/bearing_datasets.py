"""The keys under ``bearing_datasets:`` of a rig."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from workflow_src.configuration.base import ConfigError, Name
from workflow_src.configuration.folder import ChannelKind, Lookup, Text, as_written
from workflow_src.configuration.source_options import SourceOptions

# Written as a list of pairs: the order decides what a model is given, and whoever sorts the keys
# of JSON (params of rules, identities) would lose it.
Channels = Annotated[
    dict[str, ChannelKind],
    Field(min_length=1),
    BeforeValidator(lambda value: _unpaired(value)),
    PlainSerializer(lambda value: list(value.items()), return_type=list[tuple[str, str]]),
]


def _unpaired(value: Any) -> Any:  # before anything is checked
    """A list of pairs, as it is written for jobs, as the dictionary that it was read from."""
    pairs = isinstance(value, list) and all(isinstance(p, list | tuple) for p in value)
    return dict(value) if pairs and all(len(pair) == 2 for pair in value) else value


class BearingDatasetsOptions(SourceOptions):
    """A rig that the package bearing-datasets fetches and builds, or a private one in its form."""

    SUMMARY = "Options of the bearing_datasets source."
    EXAMPLE: ClassVar = {"name": "ims"}
    OPENED_BY = "workflow_src.data.sources.bearing_datasets:open_built"
    BUILT_BY = "workflow_src.data.sources.bearing_datasets.building:build_rig"
    NOT_IDENTITY = frozenset({"build"})

    name: str | None = Field(
        None,
        description="Name of a dataset of the package (`bearing-datasets list`).",
        examples=["hit_sm"],
    )
    definition: str | None = Field(
        None,
        description="Instead of `name`: folder of a private definition (`dataset.yaml` and "
        "`builder.py`), beside the rig's YAML.",
        examples=["definitions/femto"],
    )
    root: str = Field(
        "bearing_datasets",
        description="Folder of the raw and the built files, below `data_root` or absolute.",
        examples=["/data/bearing_datasets"],
    )
    files: list[str] | None = Field(
        None,
        min_length=1,
        description="Patterns of the raw files to fetch and build; left out: all of them.",
        examples=[["SpectraQuest*"]],
    )
    as_name: Name | None = Field(
        None,
        description="Name below `root` of what is built; left out: that of the dataset.",
        examples=["hit_sm_spectraquest"],
    )
    build: bool = Field(
        True,
        strict=True,
        description="Whether to build what is not yet built, where Snakemake runs; false: an error "
        "that names the command.",
        examples=[False],
    )
    channels: Channels | None = Field(
        None,
        description="Channels to use and the kind of each, in this order; left out: all of a "
        "recording, each of the kind that its quantity says.",
        examples=[{"DE": "vibration", "FE": "vibration"}],
    )
    fields: dict[str, Text | Lookup] = Field(
        {},
        description="Fields of a recording where the package's own columns do not say them: text "
        "with columns in braces, or {from: column, values: {text: value}}.",
        examples=[{"unit_id": "{native_label}", "condition": "{speed_rpm}rpm"}],
    )

    @model_validator(mode="after")
    def _consistent(self) -> BearingDatasetsOptions:
        if self.name is None and self.definition is None:
            raise ConfigError(
                "Neither `name` nor `definition` says what to read.", put={"name": "ims"}
            )
        if self.name is not None and self.definition is not None:
            raise ConfigError(
                "Give either `name` or `definition`, and not both.", drop="definition"
            )
        if self.files is not None and self.as_name is None:
            what = "A part of a dataset needs a name of its own, beside the whole."
            raise ConfigError(what, put={"as_name": f"{self.name or 'my'}_part"})
        if "rate_hz" in self.fields:
            kept = as_written(self.fields, without={"rate_hz"})
            raise ConfigError("The rate is the package's: no field sets it.", put={"fields": kept})
        return self

    def table_beside(self) -> str | None:
        """The folder of a private definition."""
        return self.definition

    def data_paths(self) -> Sequence[str]:
        """Where raw and built files lie."""
        return (self.root,)

    def is_built_first(self) -> bool:
        """Unless the rig says that it is built already."""
        return self.build
