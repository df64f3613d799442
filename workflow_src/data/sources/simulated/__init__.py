"""Simulated rigs: vibration from published models, the same bytes for the same seed."""

from __future__ import annotations

from collections.abc import Iterator

from workflow_src.configuration.simulated import SimulatedOptions
from workflow_src.data.recordings import Recording
from workflow_src.data.source import Context, Provenance
from workflow_src.data.sources.simulated import bearing, gearbox, run_to_failure
from workflow_src.data.sources.simulated.plan import Plan

_RIGS = {
    "bearing": (bearing.DEFAULTS, bearing.recordings),
    "gearbox": (gearbox.DEFAULTS, gearbox.recordings),
    "run_to_failure": (run_to_failure.DEFAULTS, run_to_failure.recordings),
}


class SimulatedSource:
    """The recordings of a simulated rig, which are of no file."""

    def __init__(self, options: SimulatedOptions) -> None:
        self._options = options

    def recordings(self) -> Iterator[Recording]:
        """What `simulate` gives."""
        return simulate(self._options)

    def provenance(self) -> Provenance:
        """Nothing but the options."""
        return Provenance()


def open_simulated(options: SimulatedOptions, context: Context) -> SimulatedSource:
    """The source of a simulated rig."""
    del context
    return SimulatedSource(options)


def simulate(options: SimulatedOptions) -> Iterator[Recording]:
    """The recordings of a simulated rig, in an order that depends on the options only.

    Signals are (samples, channels) float32 in units of g. Raises ``UserError`` where the rate is
    too low for the rig's resonances.
    """
    defaults, recordings = _RIGS[options.kind]
    given = options.model_dump(exclude={"kind"}, exclude_none=True)
    plan: Plan = defaults.replaced(given)
    return recordings(plan)
