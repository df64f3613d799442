"""What the request told one attempt: nothing of it changes a number beyond rounding."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Told:
    """The request as the attempt sees it.

    Attributes:
        attempt: Snakemake's number, which begins at 1 with each invocation.
        hardware: name of the hardware class.
        accelerator: cpu or cuda.
        micro_batch_size: spans in memory at once; 0 stands for the whole batch.
        checkpoint_minutes: time between two checkpoints inside an epoch.
        memory_mb: host memory of all processes of the attempt, MB; 0: none was stated.
        runtime_minutes: time that was asked for; 0: none was stated.
        activation_checkpointing: recompute activations in the backward pass.
        devices: processes (ranks) that share each batch, one a device.
        workers: processes beside each rank that read spans ahead.
        cache_mb: recordings that each process keeps, MB.
        anew: name of the run that was told to train this cell from its first step (`--forcerun`),
            which its further attempts go on with; "": what is there is gone on with.
    """

    attempt: int = 1
    hardware: str = ""
    accelerator: str = "cpu"
    micro_batch_size: int = 0
    checkpoint_minutes: float = 10.0
    memory_mb: int = 0
    runtime_minutes: int = 0
    activation_checkpointing: bool = False
    devices: int = 1
    workers: int = 0
    cache_mb: int = 256
    anew: str = ""

    def to_json(self) -> str:
        """One line for a command."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Told:
        """What `to_json` wrote."""
        return Told(**json.loads(text))
