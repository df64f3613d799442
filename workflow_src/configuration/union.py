"""The keys under ``union:`` of a rig: several rigs as one, for learning across them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field, PositiveFloat, model_validator

from workflow_src.configuration.base import ConfigError, Name, Selector, repeated
from workflow_src.configuration.folder import ChannelKind
from workflow_src.configuration.source_options import SourceOptions


class UnionOptions(SourceOptions):
    """Which recordings of which rigs, and what is made alike: rate, channels, names of classes."""

    SUMMARY = "Options of the union source: several rigs as one."
    EXAMPLE: ClassVar = {"rigs": ["cwru", "uestc"], "rate_hz": 12000}
    OPENED_BY = "workflow_src.data.sources.union:open_union"
    EXCLUDES: ClassVar = {
        "common_rate_hz": "The common rate of a union is its key `union.rate_hz`."
    }

    rigs: list[Name] = Field(
        min_length=2,
        description="Files of config/rigs/; recordings of a class that one of them lacks are left "
        "out, and counted in the manifest.",
        examples=[["cwru", "uestc"]],
    )
    rate_hz: PositiveFloat = Field(
        description="Common sampling rate, at most the lowest of the recordings'. All pass the "
        "same low-pass filter: what lies above half of it is gone.",
        examples=[12000],
    )
    channels: dict[ChannelKind, Annotated[int, Field(ge=1)]] = Field(
        {"vibration": 1},
        min_length=1,
        description="How many channels of each kind: the first ones of a recording, which must "
        "have as many.",
        examples=[{"vibration": 2}],
    )
    select: dict[Name, Selector] = Field(
        {},
        description="Recordings of a rig to use, by column; default: all.",
        examples=[{"cwru": {"rate_hz": [48000]}}],
    )
    classes: dict[Name, dict[str, str]] = Field(
        {},
        description="For a rig whose classes have other names: its own name and the common one.",
        examples=[{"cwru": {"inner race": "inner"}}],
    )

    @model_validator(mode="after")
    def _consistent(self) -> UnionOptions:
        twice = repeated(self.rigs)
        if twice:
            once = list(dict.fromkeys(self.rigs))
            if len(once) < 2:
                raise ConfigError(f"`rigs` names `{twice[0]}` alone.", drop="rigs")
            raise ConfigError(f"`rigs` names `{twice[0]}` twice.", put={"rigs": once})
        for key in ("select", "classes"):
            given = getattr(self, key)
            strange = [rig for rig in given if rig not in self.rigs]
            if strange:
                kept = {rig: value for rig, value in given.items() if rig in self.rigs}
                what = f"`{key}` speaks of `{strange[0]}`, which `rigs` does not name."
                raise ConfigError(what, put={key: kept})
        return self

    def member_rigs(self) -> Sequence[str]:
        """The rigs that it is made of."""
        return self.rigs
