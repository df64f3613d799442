"""What a cell asks for against what a node has: more is refused before anything is submitted.

Snakemake trims a request to what there is and says nothing; Slurm lets it wait for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from workflow_src.configuration import Hardware
from workflow_src.configuration.schema import Request as Configured
from workflow_src.configuration.validation_errors import as_yaml
from workflow_src.errors import UserError
from workflow_src.scheduling.hardware import larger_in_words
from workflow_src.scheduling.next_request import most_memory_mb


@dataclass(frozen=True)
class Demand:
    """What one cell asks for, before anything was tried.

    Attributes:
        cell: dataset/model/task_set/seed.
        request: what is configured for it.
        by_pattern: keys of it that a pattern of `requests:` sets.
        threads: of torch, a process.
        precision: `training.precision`.
    """

    cell: str
    request: Configured
    by_pattern: frozenset[str]
    threads: int
    precision: str

    def line(self, **keys: int) -> str:
        """The YAML that sets keys of the request: where a pattern sets one, a later pattern."""
        if self.by_pattern & set(keys):
            return as_yaml(("requests",), [{"cells": self.cell, **keys}])
        return as_yaml(("request",), keys)

    def override(self, **keys: int | str) -> str:
        """The YAML that wins over whatever has set keys of `training`."""
        return as_yaml(("overrides",), [{"cells": self.cell, "training": keys}])


def with_capacity(
    demand: Demand, preferred: Mapping[str, Hardware], classes: Mapping[str, Hardware]
) -> list[str]:
    """Names of those of the `preferred` classes whose nodes have what is asked for, in order.

    Raises:
        UserError: none has it; what the first one lacks, with the line that mends it.
    """
    found, lacking = [], []
    for name, hardware in preferred.items():
        try:
            require_capacity(demand, name, hardware, classes)
        except UserError as error:
            lacking.append(error)
        else:
            found.append(name)
    if not found:
        raise lacking[0]
    return found


def require_capacity(
    demand: Demand, name: str, hardware: Hardware, classes: Mapping[str, Hardware]
) -> None:
    """Refuse what no node of class `name` has.

    Raises:
        UserError: memory, time, GPUs, cores or the precision, with the line that mends it.
    """
    request = demand.request
    most = most_memory_mb(hardware)
    if request.memory_mb is not None and request.memory_mb > most:
        _refuse(demand, name, "memory_mb", int(most), larger_in_words(classes, hardware, "host"))
    minutes = hardware.max_runtime_minutes
    stated = request.runtime_minutes
    if minutes is not None and stated is not None and stated > minutes:
        _refuse(demand, name, "runtime_minutes", minutes)
    gpus = hardware.gpus if hardware.accelerator == "cuda" else None
    if gpus is not None and request.devices > gpus:
        _refuse(demand, name, "devices", gpus)
    if hardware.cores is not None:
        _require_cores(demand, name, hardware.cores)
    if demand.precision not in hardware.precisions:
        _refuse_precision(demand, name, hardware, classes)


def _refuse(demand: Demand, name: str, key: str, most: int, hint: str = "") -> NoReturn:
    raise UserError(
        f"A request is more than a node of class {name} offers.",
        where=f"cell {demand.cell}, key `request.{key}`",
        found=str(getattr(demand.request, key)),
        expected=f"at most {most}{hint}",
        remedy=demand.line(**{key: most}),
    )


def _require_cores(demand: Demand, name: str, most: int) -> None:
    """Each device takes its threads of torch and its workers."""
    request, threads = demand.request, demand.threads
    if request.devices * (threads + request.workers) <= most:
        return
    # Workers go first: they change no number.
    fewer_threads = min(threads, most)
    devices = min(request.devices, most // fewer_threads)
    keys = {"devices": devices, "workers": min(request.workers, most // devices - fewer_threads)}
    changed = {key: value for key, value in keys.items() if value != getattr(request, key)}
    lines = [demand.line(**changed)] if changed else []
    if fewer_threads < threads:
        lines.append(demand.override(torch_threads=fewer_threads))
    raise UserError(
        f"A request is more than a node of class {name} offers.",
        where=f"cell {demand.cell}, keys of `request` and `training.torch_threads`",
        found=f"{request.devices * (threads + request.workers)} cores: {request.devices} "
        f"`devices` x ({threads} `torch_threads` + {request.workers} `workers`)",
        expected=f"at most {most}",
        remedy="\n".join(lines),
    )


def _refuse_precision(
    demand: Demand, name: str, hardware: Hardware, classes: Mapping[str, Hardware]
) -> NoReturn:
    having = sorted(
        each
        for each, other in classes.items()
        if other.accelerator == hardware.accelerator and demand.precision in other.precisions
    )
    # Another half precision keeps the memory that was counted on.
    half = [each for each in hardware.precisions if each != "fp32"]
    there = f"; classes that have it: {', '.join(having)}" if having else ""
    raise UserError(
        f"A node of class {name} does not compute in {demand.precision}.",
        where=f"cell {demand.cell}, key `training.precision`",
        found=demand.precision,
        expected=f"{' or '.join(hardware.precisions)}{there}",
        remedy=demand.override(precision=half[0] if half else hardware.precisions[0]),
    )
