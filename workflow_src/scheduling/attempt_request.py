"""All that one attempt is told, and the forms in which it travels: each is made of the fields.

    request ─► resources of Snakemake ─► flags of `train` ─► JSON for the process ─► journal

What a resource or a flag cannot be, `None`, is 0 there: the whole share.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

from pydantic import Field, JsonValue, ValidationError, ValidationInfo, field_validator

from workflow_src.configuration.introspection import takes_text
from workflow_src.configuration.schema import RequestKeys
from workflow_src.scheduling.lenient import lenient
from workflow_src.scheduling.rank_share import largest_share


@dataclass(frozen=True)
class Resource:
    """How Snakemake calls a field, where not by its own name; None: it is no resource."""

    name: str | None


class AttemptRequest(RequestKeys):
    """What is told to an attempt: nothing of it changes a number beyond rounding.

    Where the whole of something is there to be taken, that is `None`.
    """

    memory_mb: Annotated[int | None, Resource("training_mb")] = Field(
        None, ge=1, description="Host memory of all its processes, MB; default: all there is."
    )
    runtime_minutes: Annotated[int | None, Resource("runtime")] = Field(
        None, ge=1, description="Time that was asked for; default: it may run for ever."
    )
    device_mb: int | None = Field(
        None, ge=1, description="Memory that it is to need of each GPU, MB; default: not known."
    )
    attempt: int = Field(1, ge=1, description="Its number in this run of Snakemake.")
    hardware: str = Field("", description="Name of the hardware class.")
    accelerator: Literal["cpu", "cuda"] = Field("cpu", description="cpu or cuda.")
    refused: bool = Field(False, description="There is no use in training: only say why.")
    run: Annotated[str, Resource(None)] = Field(
        "", description="Name of the run of Snakemake that it belongs to."
    )
    anew: Annotated[str, Resource(None)] = Field(
        "",
        description="Name of the run that was told to train this cell from its first step "
        "(`--forcerun`), which its further attempts go on with; default: what is there is gone on "
        "with.",
    )

    @field_validator("*", mode="before")
    @classmethod
    def _nothing_is_the_whole(cls, value: JsonValue, info: ValidationInfo) -> JsonValue:
        """Texts say 0, and so do older journals."""
        is_whole = value == 0 and cls.model_fields[str(info.field_name)].default is None
        return None if is_whole else value

    def spans_at_once(self, batch_size: int, ranks: int) -> int:
        """The micro-batch of one of `ranks` processes that share batches of `batch_size` spans."""
        share = largest_share(batch_size, ranks)
        return min(self.micro_batch_size or share, share)

    @staticmethod
    def read(values: JsonValue) -> AttemptRequest:
        """What a journal tells, of whatever version."""
        return lenient(AttemptRequest, values)

    def told(self) -> dict[str, int | str]:
        """The resources that the flags of `train` are made of."""
        return {resource: _as_resource(getattr(self, name)) for name, resource in _RESOURCES}

    @staticmethod
    def flags() -> str:
        """The part of the training rule's shell text that passes the resources on."""
        return " ".join(f"{_flag(name)} {{resources.{of}}}" for name, of in _RESOURCES)

    @staticmethod
    def add_flags(parser: argparse.ArgumentParser) -> None:
        """Add what `flags` passes on; what is not given has its default."""
        for name, _ in _RESOURCES:
            read, said = partial(_read_flag, name), AttemptRequest.model_fields[name].description
            parser.add_argument(_flag(name), type=read, default=argparse.SUPPRESS, help=said)

    @staticmethod
    def of_flags(options: argparse.Namespace, run: str = "", anew: str = "") -> AttemptRequest:
        """What the flags of a command say, and the run that gave it."""
        given = {name: value for name, value in vars(options).items() if name in _NAMES}
        return AttemptRequest.model_validate(given | {"run": run, "anew": anew})


def _resources() -> Iterator[tuple[str, str]]:
    """Each field that is a flag, and the resource of Snakemake that it is made of."""
    for name, field in AttemptRequest.model_fields.items():
        marks = [mark.name for mark in field.metadata if isinstance(mark, Resource)]
        if (resource := marks[0] if marks else name) is not None:
            yield name, resource


_RESOURCES = tuple(_resources())
_NAMES = {name for name, _ in _RESOURCES}


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _as_resource(value: float | str | None) -> int | str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:g}"
    return 0 if value is None else int(value)


def _read_flag(name: str, text: str) -> float | str | bool | None:
    kind = AttemptRequest.model_fields[name].annotation
    try:
        number = None if takes_text(kind) else json.loads(text)
        value = text if number is None else bool(number) if kind is bool else number
        read: float | str | bool | None = getattr(
            AttemptRequest.model_validate({name: value}), name
        )
    except ValidationError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error.errors()[0]['msg']}") from None
    except json.JSONDecodeError:
        raise argparse.ArgumentTypeError(f"{text} is no number") from None
    return read
