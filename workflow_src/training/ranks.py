"""Processes that share each batch, one a device: sums over them, and what they agree on.

Each rank takes its share of the logical batch; gradients, losses and counts are *summed* over
ranks, never averaged, so that a step is that of one process. Torch's DistributedDataParallel is
not used: it reduces inside a backward pass, of which a step has many, and a rank that ran out of
memory in the middle of one would leave the others waiting.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Ranks:
    """This process, `rank` of `count`."""

    rank: int = 0
    count: int = 1

    @staticmethod
    def join(accelerator: str) -> Ranks:
        """Meet the other processes that the environment names; alone where it names none."""
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count == 1:
            return Ranks()
        if not dist.is_initialized():
            if accelerator == "cuda":
                torch.cuda.set_device(int(os.environ["RANK"]))
            dist.init_process_group("nccl" if accelerator == "cuda" else "gloo")
        return Ranks(dist.get_rank(), count)

    @property
    def first(self) -> bool:
        """Whether this one writes what one process would write."""
        return self.rank == 0

    def device(self, accelerator: str) -> torch.device:
        """Where this rank computes."""
        return torch.device("cuda", self.rank) if accelerator == "cuda" else torch.device("cpu")

    def wait(self) -> None:
        """Return when all have come here."""
        if self.count > 1:
            dist.barrier()

    def largest(self, value: int, device: torch.device) -> int:
        """The largest of what the ranks say; so all take the same decision at the same step."""
        if self.count == 1:
            return value
        said = torch.tensor(value, device=device)
        dist.all_reduce(said, dist.ReduceOp.MAX)
        return int(said)

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Each parameter's gradient becomes the sum over ranks, one parameter at a time."""
        if self.count == 1:
            return
        for parameter in parameters:
            if parameter.grad is None:  # a rank whose share of the batch was empty
                parameter.grad = torch.zeros_like(parameter)
            dist.all_reduce(parameter.grad)

    def summed(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The sum over ranks of each scalar, in one exchange."""
        if self.count == 1 or not values:
            return dict(values)
        stacked = torch.stack(list(values.values()))
        dist.all_reduce(stacked)
        return dict(zip(values, stacked.unbind(), strict=True))

    def gathered(self, state: Tensor) -> list[Tensor]:
        """The tensor of every rank, in their order; shapes may differ, and it is small."""
        if self.count == 1:
            return [state]
        states = [state] * self.count
        dist.all_gather_object(states, state.cpu())
        return [each.to(state.device) for each in states]
