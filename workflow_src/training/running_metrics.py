"""Metrics of a part while training: constant in size and in cost a step, whole at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from workflow_src.tasks.objective import Objective
from workflow_src.training.ranks import Ranks


class RunningMetrics:
    """A meter a task over the whole part, and one that sees the present batch.

    A batch may have to be computed again; what its first computation had counted is dropped then,
    and joins the part only once the batch is done.
    """

    def __init__(self, objectives: Sequence[Objective], ranks: Ranks) -> None:
        self.meters = {objective.name: objective.meter() for objective in objectives}
        self._whole = {objective.name: objective.meter() for objective in objectives}
        self._ranks = ranks

    def keep(self) -> None:
        """What the present batch counted joins the part."""
        for name, meter in self.meters.items():
            self._whole[name].merge(meter.state)
            meter.reset()

    def drop(self) -> None:
        """What the present batch counted is forgotten."""
        for meter in self.meters.values():
            meter.reset()

    def reset(self) -> None:
        """Start a part."""
        self.drop()
        for meter in self._whole.values():
            meter.reset()

    def settle(self) -> None:
        """The first rank takes over what all have counted; all of them must call this."""
        for meter in self._whole.values():
            first, *others = self._ranks.gathered(meter.state)
            if not others:
                return
            meter.reset()
            if self._ranks.first:
                for state in (first, *others):
                    meter.merge(state)

    def compute(self) -> dict[str, float]:
        """`<task>_<metric>` over the part; with several ranks, on the first one after `settle`."""
        found: dict[str, float] = {}
        for name, meter in self._whole.items():
            found |= {f"{name}_{metric}": value for metric, value in meter.compute().items()}
        return found

    def state_dict(self) -> dict[str, Tensor]:
        """The part so far."""
        return {name: meter.state for name, meter in self._whole.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on in the middle of a part."""
        for name, meter in self._whole.items():
            meter.state = state[name]
