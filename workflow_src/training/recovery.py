"""Work that runs out of memory is done again, smaller, with the same result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from pydantic import JsonValue

from workflow_src.errors import OutOfMemory, first_line
from workflow_src.scheduling.events import AT_START, Levers, Shrank
from workflow_src.training.assembly import MultiTaskNetwork
from workflow_src.training.out_of_memory import Memory, exhausted, free
from workflow_src.training.randomness import RandomState
from workflow_src.training.ranks import Ranks

T = TypeVar("T")
CPU = torch.device("cpu")
_CODES: tuple[Memory | None, ...] = (None, "host", "gpu")


class Recovery:
    """The micro-batch size in force, and the rungs below it.

    A piece of work that runs out of memory is undone and done again at half the size; at one
    sample with activations recomputed; and then the attempt ends with what was tried. All ranks
    agree before any of them goes on, or they would wait for each other for ever.

    Attributes:
        size: samples in memory at once; it never grows within an attempt.
        told: the size at which the attempt began.
        rungs: what was made smaller so far, and why.
    """

    def __init__(
        self,
        network: MultiTaskNetwork,
        size: int,
        *,
        checkpointing: bool = False,
        ranks: Ranks | None = None,
        tell: Callable[[Shrank], object] = lambda event: None,
    ) -> None:
        self.network = network
        self.size = self.told = size
        self.ranks = ranks or Ranks()
        self.tell = tell
        self.checkpointing = checkpointing
        self.rungs: list[dict[str, JsonValue]] = []

    @property
    def checkpointing(self) -> bool:
        """Whether activations are recomputed in the backward pass."""
        return self.network.trunk.backbone.checkpointing

    @checkpointing.setter
    def checkpointing(self, value: bool) -> None:
        self.network.trunk.backbone.checkpointing = value

    def state_dict(self) -> dict[str, Any]:
        """Size and rung, and the size that was asked for."""
        return {
            "told": self.told,
            "size": self.size,
            "checkpointing": self.checkpointing,
            "rungs": self.rungs,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """What an attempt has learned holds for those that are told the same."""
        self.rungs = [*state["rungs"], *self.rungs]
        if state["told"] == self.told:
            self.size = state["size"]
            self.checkpointing |= state["checkpointing"]

    def begin_beside(
        self, others_mb: float, needed_mb: float, limit_mb: float, device: torch.device = CPU
    ) -> None:
        """Begin at a smaller size where another process holds memory of the GPU.

        Args:
            others_mb: that others hold; 0: none.
            needed_mb: what the size in force is to need.
            limit_mb: memory of the GPU.
            device: where ranks exchange.
        """
        size, free_mb = self.size, limit_mb - others_mb
        while others_mb and size > 1 and needed_mb * size > free_mb * self.size:
            size //= 2
        size = -self.ranks.largest(-size, device)
        if size < self.size:
            before, self.size = self._levers(), size
            # A later attempt that finds it free is told otherwise, and begins with the whole.
            self.told = size
            said = f"others hold {others_mb:,.0f} of {limit_mb:,.0f} MB, and {needed_mb:,.0f} MB "
            said += "were to be used" if others_mb else "were to be used: so on another rank's GPU"
            self._say(before, AT_START, "gpu", said)

    def run(
        self,
        during: str,
        work: Callable[[int], T],
        undo: Callable[[], object] = lambda: None,
        device: torch.device = CPU,
    ) -> T:
        """What `work(size)` returns at the first size at which every rank has the memory.

        Args:
            during: training, validation or prediction, for messages.
            work: may be called again after it failed; it must not exchange anything with other
                ranks.
            undo: takes back what a failed call did.
            device: where ranks exchange.

        Raises:
            OutOfMemory: it fails at one sample too.
        """
        while True:
            state = RandomState.now()
            failed: Memory | None = None
            result: T | None = None
            said = ""
            try:
                result = work(self.size)
            except Exception as error:
                failed = exhausted(error)
                if failed is None:
                    raise
                said = first_line(error)
            # Outside of `except`: the traceback holds what the failed call had in memory.
            failed = _CODES[self.ranks.largest(_CODES.index(failed), device)]
            if failed is None:
                return result  # type: ignore[return-value]
            del result
            undo()
            free()
            state.restore()
            self._shrink(during, failed, said)

    def _shrink(self, during: str, of: Memory, said: str) -> None:
        before = self._levers()
        if self.size > 1:
            self.size //= 2
        elif during == "training" and not self.checkpointing:
            self.checkpointing = True
        else:
            raise self._exhausted(during, of, said)
        self._say(before, during, of, said or "another rank ran out")
        if self.ranks.first:
            print(
                f"out of {of} memory in {during} at micro-batch {before['micro_batch']}: the same "
                f"step again at {self.size}" + (", recomputing activations" * self.checkpointing),
                flush=True,
            )

    def _levers(self) -> dict[str, int | bool]:
        return {"micro_batch": self.size, "activation_checkpointing": self.checkpointing}

    def _say(self, before: dict[str, int | bool], during: str, of: Memory, said: str) -> None:
        after = self._levers()
        self.rungs.append({"of": of, "during": during, "before": {**before}, "after": {**after}})
        self.tell(
            Shrank(
                of=of,
                during=during,
                before=Levers.model_validate(before),
                after=Levers.model_validate(after),
                message=said,
            )
        )

    def _exhausted(self, during: str, of: Memory, said: str) -> OutOfMemory:
        tried = f"micro-batch {self.told} down to 1"
        tried += ", recomputing activations" if self.checkpointing else ""
        larger = "request:\n  memory_mb: <more>" if of == "host" else "a GPU with more memory"
        return OutOfMemory(
            f"Out of {'GPU' if of == 'gpu' else 'host'} memory in {during}: one span does not fit.",
            of=of,
            found=said or "another rank ran out",
            expected=f"room for one span; tried: {tried}",
            remedy=f"{larger}\nthen it goes on from the checkpoint; or a smaller model",
        )
