"""Bytes of the tensors that are alive while code runs, real or fake."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Phase(NamedTuple):
    """Where a step is: forward, backward, optimizer, ...; the component that is computed."""

    phase: str
    component: str | None


class LiveBytes(TorchDispatchMode):
    """Counts the storages that operators put out, each from its making to its end.

    Storages that are there before, such as weights, count from `hold` on.

    Args:
        within: bytes that an operator takes and gives back within itself, of it and its arguments.

    Attributes:
        now: bytes alive.
        peak: most of them at once.
        peaks: most of them at once in each phase; of phases that `mark` was told.
        largest: bytes of the largest storage.
        changes: bytes of each storage in the order of making, negative at its end.
    """

    def __init__(self, within: Callable[[Any, Sequence[Any]], int] = lambda *_: 0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._within = within
        self.now = self.peak = self.largest = 0
        self.peaks: dict[Phase, int] = {}
        self.changes: list[tuple[int, int]] = []  # number of the storage, bytes
        self._phase: Phase | None = None
        self._alive: dict[int, weakref.ref[Any]] = {}
        self._made = 0

    def mark(self, phase: str, component: str | None) -> None:
        """What is computed from here on."""
        self._phase = Phase(phase, component)
        self._note()

    def hold(self, tensors: Iterable[Tensor]) -> None:
        """Count what was there before."""
        for tensor in tensors:
            self._add(tensor)

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run an operator and count what it put out."""
        result = func(*args, **(kwargs or {}))
        within = self._within(func, args)
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._add(leaf)
        self._note(within)
        return result

    def _add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = id(storage)
        if key in self._alive:
            return
        size, number = storage.nbytes(), self._made
        self._made += 1

        def gone(_: object) -> None:
            del self._alive[key]
            self.now -= size
            self.changes.append((number, -size))

        self._alive[key] = weakref.ref(storage, gone)
        self.now += size
        self.largest = max(self.largest, size)
        self.changes.append((number, size))
        self._note()

    def _note(self, within: int = 0) -> None:
        now = self.now + within
        self.peak = max(self.peak, now)
        if self._phase is not None:
            self.peaks[self._phase] = max(self.peaks.get(self._phase, 0), now)
