"""Kinds of nodes: what this machine has of a class, and which class has more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from workflow_src.configuration import Hardware
from workflow_src.configuration.validation_errors import as_yaml
from workflow_src.errors import UserError
from workflow_src.limits import MB, Device, Host, cores, devices


@dataclass(frozen=True)
class Machine:
    """What processes of this machine share.

    Attributes:
        host_memory_mb: limit of the control group, or the machine's memory, MB.
        cores: whole cores that this process may use.
        gpus: those that NVML shows to this process.
        device_memory_mb: of the smallest of them, MB; 0 without one.
    """

    host_memory_mb: int
    cores: int
    gpus: int
    device_memory_mb: int

    @staticmethod
    def here() -> Machine:
        """This machine; 15 ms where there is no GPU."""
        gpus = devices()
        memory = min((Device(index).limit for index in range(gpus)), default=0)
        return Machine(Host().limit // MB, cores(), gpus, memory // MB)


def detected(hardware: Hardware) -> Hardware:
    """`hardware`, of which `accelerator: detect` has been found out; any other class as it is."""
    return hardware if hardware.accelerator != "detect" else within(hardware, Machine.here())


def within(hardware: Hardware, machine: Machine) -> Hardware:
    """No more of anything than `machine` has: for cells that run on it, side by side.

    Raises UserError where the class has a GPU and the machine has none.
    """
    accelerator = hardware.accelerator
    if accelerator == "detect":
        accelerator = "cuda" if machine.gpus else "cpu"
    found: dict[str, int | str] = {
        "accelerator": accelerator,
        "host_memory_mb": _least(hardware.host_memory_mb, machine.host_memory_mb),
        "cores": _least(hardware.cores, machine.cores),
    }
    if accelerator == "cuda":
        if not machine.gpus:
            raise UserError(
                "The hardware class has a GPU, but NVML shows none on this machine.",
                where="key `hardware`",
                expected="a class without one, or a scheduler that finds nodes with one",
                remedy="--config hardware=local   # or --profile profiles/slurm-a100",
            )
        found["gpus"] = _least(hardware.gpus, machine.gpus)
        if machine.device_memory_mb:
            found["device_memory_mb"] = _least(hardware.device_memory_mb, machine.device_memory_mb)
    return hardware.model_copy(update=found)


def first_here(preferred: Mapping[str, Hardware], machine: Machine) -> dict[str, Hardware]:
    """The first class of `preferred` that this machine is one of, with no more than it has.

    A single one is taken as it is meant. Raises UserError where there is none.
    """
    for name, hardware in preferred.items():
        if len(preferred) == 1 or _is_one(machine, hardware):
            return {name: within(hardware, machine)}
    has = f"{machine.gpus} GPUs with {machine.device_memory_mb} MB" if machine.gpus else "no GPU"
    raise UserError(
        "This machine is a node of none of the hardware classes.",
        where="key `hardware`",
        found=f"{', '.join(preferred)}; NVML shows {has} here",
        expected="a class that this machine is, or a scheduler that finds nodes",
        remedy="--config hardware=local   # or --profile profiles/slurm-a100",
    )


def _is_one(machine: Machine, hardware: Hardware) -> bool:
    """By its GPUs: of their memory NVML shows a little less than their name says."""
    if hardware.accelerator != "cuda":
        return True
    least_mb = 0.9 * (hardware.device_memory_mb or 0)
    is_known = machine.device_memory_mb > 0  # not where GPU and host share theirs
    return machine.gpus > 0 and (not is_known or machine.device_memory_mb >= least_mb)


def require_one_accelerator(preferred: Mapping[str, Hardware]) -> None:
    """Refuse to let a queue decide whether a cell trains on GPUs.

    Raises:
        UserError: classes with and without GPUs stand in one list.
    """
    first = next(iter(preferred.values())).accelerator
    alike = [name for name, each in preferred.items() if each.accelerator == first]
    if len(alike) < len(preferred):
        raise UserError(
            "Of the hardware classes, some have GPUs and some have none.",
            where="key `hardware`",
            found=", ".join(f"{name} ({each.accelerator})" for name, each in preferred.items()),
            expected="classes of one accelerator: time and memory on the other are no substitute",
            remedy=as_yaml(("hardware",), alike),
        )


def _least(stated: int | None, there: int) -> int:
    return there if stated is None else min(stated, there)


def larger(
    classes: Mapping[str, Hardware], than: Hardware, of: Literal["gpu", "host"] = "gpu"
) -> list[str]:
    """Names of the classes with more memory of that kind for the same accelerator, nearest first.

    Empty where `than` does not state its own: every other class may be larger or not.
    """
    key = "device_memory_mb" if of == "gpu" else "planned_mb"
    own = getattr(than, key)
    if own is None:
        return []
    more = {
        name: getattr(each, key)
        for name, each in classes.items()
        if each.accelerator == than.accelerator and (getattr(each, key) or 0) > own
    }
    return sorted(more, key=lambda name: (more[name], name))


def larger_than_all(
    classes: Mapping[str, Hardware],
    preferred: Mapping[str, Hardware],
    of: Literal["gpu", "host"] = "gpu",
) -> list[str]:
    """Names of the classes that are `larger` than each of `preferred`, nearest first."""
    first, *others = (larger(classes, than, of) for than in preferred.values())
    return [name for name in first if all(name in each for each in others)]


def larger_in_words(
    classes: Mapping[str, Hardware], than: Hardware, of: Literal["gpu", "host"] = "gpu"
) -> str:
    """The nearest larger class and its memory, for the end of a message; "": there is none."""
    names = larger(classes, than, of)
    if not names:
        return ""
    nearest = classes[names[0]]
    memory = nearest.device_memory_mb if of == "gpu" else nearest.planned_mb
    return f"; the next class is {names[0]} with {memory} MB"
