"""State of every generator of random numbers: torch, CUDA, numpy, python."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class SavedState(TypedDict):
    """A `RandomState` in types that load without running code."""

    torch_cpu: Tensor
    torch_cuda: list[Tensor]
    numpy: tuple[str, Tensor, int, int, float]
    python: tuple[int, Tensor, float | None]


@dataclass(frozen=True)
class RandomState:
    """What `now` found and `restore` brings back; taken before each step, so it is cheap."""

    torch_cpu: Tensor
    torch_cuda: list[Tensor]  # of the device in use, if any
    numpy: tuple[str, NDArray[np.uint32], int, int, float]  # as its legacy generator states it
    python: tuple[int, tuple[int, ...], float | None]

    @staticmethod
    def now() -> RandomState:
        """The present state."""
        legacy = np.random.get_state(legacy=True)
        assert isinstance(legacy, tuple)
        return RandomState(
            torch.get_rng_state(),
            [torch.cuda.get_rng_state()] if torch.cuda.is_initialized() else [],
            legacy,
            random.getstate(),
        )

    def restore(self) -> None:
        """Go back to this state."""
        torch.set_rng_state(self.torch_cpu)
        if self.torch_cuda and torch.cuda.is_available():
            torch.cuda.set_rng_state(self.torch_cuda[0])
        np.random.set_state(self.numpy)
        random.setstate(self.python)

    def to_checkpoint(self) -> SavedState:
        """What a checkpoint keeps of it."""
        kind, keys, position, has_normal, normal = self.numpy
        version, words, following = self.python
        return {
            "torch_cpu": self.torch_cpu,
            "torch_cuda": self.torch_cuda,
            "numpy": (
                kind,
                torch.from_numpy(keys.astype(np.int64)),
                int(position),
                int(has_normal),
                float(normal),
            ),
            "python": (version, torch.tensor(words), following),
        }

    @staticmethod
    def from_checkpoint(saved: SavedState) -> RandomState:
        """What `to_checkpoint` gave."""
        kind, keys, position, has_normal, normal = saved["numpy"]
        version, words, following = saved["python"]
        return RandomState(
            saved["torch_cpu"],
            saved["torch_cuda"],
            (kind, keys.numpy().astype(np.uint32), position, has_normal, normal),
            (version, tuple(words.tolist()), following),
        )
