"""Memory that really runs out: the same step again, smaller, with the same result.

On a card a share of its memory is a limit at which the allocator fails
(`set_per_process_memory_fraction`); in a rehearsal it is private memory (RLIMIT_DATA).
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from step import Levers, Loop, build, draw
from torch import Tensor

from gpu_parts import fragmentation
from gpu_parts.bench import Bench
from workflow_src.configuration import Training
from workflow_src.errors import OutOfMemory
from workflow_src.limits import limit_private_memory, private_memory_now
from workflow_src.tasks.batch import Batch
from workflow_src.training.optimizer import adamw
from workflow_src.training.out_of_memory import exhausted, free
from workflow_src.training.precision import turn_tf32_off
from workflow_src.training.predict import outputs_of
from workflow_src.training.step import StepOptions, loss_sums

# Of a batch within a layer, the only tensors that matter: 64 MB, or 8 MB per span.
BATCH, TOKENS, HIDDEN = 8, 64, 32768
HIDDEN_BYTES = BATCH * 4 * TOKENS * HIDDEN
WIDE = {"width": 8, "patch_length": 8, "patch_count": TOKENS, "heads": 2, "feed_forward": HIDDEN}
WINDOW, CHANNELS, HORIZON = 512, 1, 32
STEPS, DISTURBED = 3, 1  # memory is taken away before the second step
# What is left, in such tensors. Forward ends with 2 per layer, of which there are 2, and backward
# begins with one more; without gradients there are 2 at once. The first is meant; the others stand
# by, should the operators of a card hold something more or less.
ROOMS = {
    "forward": (3.25, 3.0, 3.5, 2.75),
    "backward": (4.5, 4.25, 4.75, 5.0, 4.1),
    "validation": (1.5, 1.25, 1.75),
    "prediction": (1.5, 1.25, 1.75),
}
NOWHERE = 1 / BATCH / 2
ADAMW = Training(learning_rate=1e-4, weight_decay=0.01)


@dataclass(frozen=True)
class Limit:
    """Takes memory away from this process, and gives it back."""

    device: torch.device

    def leave(self, room: float) -> None:
        """Let `room` bytes more be allocated than are now."""
        if self.device.type == "cpu":
            limit_private_memory(int(private_memory_now() + room))
            return
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(self.device).total_memory
        allowed = torch.cuda.memory_reserved(self.device) + room
        torch.cuda.set_per_process_memory_fraction(min(1.0, allowed / total), self.device)

    def lift(self) -> None:
        """No limit."""
        if self.device.type == "cpu":
            limit_private_memory(resource.RLIM_INFINITY)
        else:
            torch.cuda.set_per_process_memory_fraction(1.0, self.device)


@dataclass
class Did:
    """What a run did.

    Attributes:
        sizes: micro-batch at the end of each step, of validation and of prediction.
        failed_in: phase and component in which memory ran out, each time.
        seconds: of each step.
        numbers: parameters, losses of validation and predictions, on the CPU.
        error: what ended it, if it did not come to its end.
    """

    sizes: list[int] = field(default_factory=list)
    failed_in: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    numbers: list[Tensor] = field(default_factory=list)
    error: Exception | None = None


def measure(bench: Bench) -> None:
    """Each place in turn; then the optimizer, a span that does not fit, and fragmentation."""
    fragmentation.measure(bench)
    turn_tf32_off()
    for place, rooms in ROOMS.items():
        bench.tried(place, work=lambda p=place, r=rooms: found_in(bench.device, p, r))
    bench.tried("optimizer", work=lambda: in_the_optimizer(bench.device))
    bench.tried("one_span", work=lambda: one_span(bench.device))


def found_in(device: torch.device, place: str, rooms: Sequence[float]) -> dict[str, Any]:
    """What running out in one place did, against a clean run at the micro-batches it came to."""
    did = Did()
    for room in rooms:
        did = run(device, place=place, room=room * HIDDEN_BYTES)
        if did.failed_in and all(place in phase for phase in did.failed_in):
            break
    clean = run(device, sizes=did.sizes)
    step = DISTURBED
    return {
        "room_mb": round(room * HIDDEN_BYTES / 1024**2, 1),
        "failed_in": did.failed_in,
        "micro_batches": did.sizes,
        "bit_equal": equal(did.numbers, clean.numbers),
        "lost_s": did.seconds[step] - clean.seconds[step],
        "step_s": clean.seconds[step],
    }


def equal(some: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    """Whether all tensors are the same bits."""
    pairs = zip(some, others, strict=True)
    return len(some) > 0 and all(torch.equal(one, other) for one, other in pairs)


def run(
    device: torch.device, *, place: str = "", room: float = 0.0, sizes: Sequence[int] = ()
) -> Did:
    """Steps, a validation and a prediction; memory is taken away at `place`, or `sizes` are kept.

    `sizes` are micro-batches of each step, of validation and of prediction.
    """
    did, limit, phase = Did(), Limit(device), [""]
    batches = spans(device)

    def mark(name: str, component: str | None) -> None:
        phase[0] = f"{name} {component}"

    loop = Loop(network(device), Levers(BATCH), mark)
    loop.recovery.tell = lambda event: did.failed_in.append(phase[0])

    def part(number: int, name: str, work: Callable[[], object]) -> None:
        if sizes:
            loop.recovery.size = sizes[number]
        if place == name:
            limit.leave(room)
        start = time.perf_counter()
        try:
            work()
        finally:
            limit.lift()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        did.seconds.append(time.perf_counter() - start)
        did.sizes.append(loop.recovery.size)

    for number, batch in enumerate(batches):
        inside = place if place in ("forward", "backward") and number == DISTURBED else "step"
        part(number, inside, partial(loop, batch))
    phase[0] = "validation"
    part(STEPS, "validation", lambda: did.numbers.extend(validated(loop, batches[0])))
    phase[0] = "prediction"
    part(STEPS + 1, "prediction", lambda: did.numbers.extend(predicted(loop, batches[0])))
    did.numbers += [p.detach().cpu() for p in loop.network.parameters()]
    return did


def network(device: torch.device, width: int = WIDE["width"]) -> Any:
    """PatchTST whose hidden features take all the memory."""
    sizes = {**WIDE, "width": width}
    return build("patchtst", HORIZON, window=WINDOW, channels=CHANNELS, **sizes).to(device)


def spans(device: torch.device) -> list[Batch]:
    """The batches of all steps."""
    torch.manual_seed(1)
    return [draw(BATCH, HORIZON, WINDOW, CHANNELS).to(device) for _ in range(STEPS)]


def validated(loop: Loop, batch: Batch) -> list[Tensor]:
    """Sums of the losses of a batch, on the CPU."""
    sums = loop.recovery.run(
        "validation", lambda size: loss_sums(loop.network, batch, size, StepOptions())
    )
    return [total.cpu() for total in sums.values()]


def predicted(loop: Loop, batch: Batch) -> list[Tensor]:
    """Outputs of all tasks for a batch, on the CPU."""
    work = partial(outputs_of, loop.network, batch, loop.device)
    loop.network.eval()
    kept = loop.recovery.run("prediction", work)
    loop.network.train()
    return [torch.from_numpy(array) for arrays in kept.values() for array in arrays]


def in_the_optimizer(device: torch.device) -> dict[str, Any]:
    """Moments that do not fit: told as out of memory, parameters as they were, and again later."""
    made, limit, of = network(device, 64), Limit(device), None
    before = [p.detach().cpu().clone() for p in made.parameters()]
    limit.leave(2 * 64 * HIDDEN)  # half of what the moments of one weight take
    try:
        adamw(made.parameters(), ADAMW)
    except Exception as error:
        of = exhausted(error)
    finally:
        limit.lift()
    for parameter in made.parameters():
        parameter.grad = None
    free()
    unchanged = equal([p.detach().cpu() for p in made.parameters()], before)
    adamw(made.parameters(), ADAMW)
    return {"of": of or "nothing ran out", "bit_equal": unchanged}


def one_span(device: torch.device) -> dict[str, Any]:
    """Not even one span fits: an end that says so, with the parameters of the last whole step."""
    limit, batches = Limit(device), spans(device)
    loop = Loop(network(device), Levers(BATCH))
    loop(batches[0])
    before = [p.detach().cpu().clone() for p in loop.network.parameters()]
    limit.leave(NOWHERE * HIDDEN_BYTES)
    of = "nothing ran out"
    try:
        loop(batches[1])
    except OutOfMemory as error:
        of = error.of
    finally:
        limit.lift()
    return {
        "of": of,
        "rungs": [rung["after"]["micro_batch"] for rung in loop.recovery.rungs],
        "bit_equal": equal([p.detach().cpu() for p in loop.network.parameters()], before),
    }
