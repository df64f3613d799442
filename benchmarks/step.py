"""What one optimizer step costs in bytes and time, and what each lever changes.

    .venv/bin/python benchmarks/step.py [--quick] [--seconds 10] [--backbones fno patchtst]

Windows of 4096 samples x 2 channels, 64 patches of 128, width 256, four tasks, one thread; batches
of 32 (TimesNet 8). A step is gradients, clipping, AdamW and metrics. Bytes are the most that
torch's CPU allocator has given out at once, weights, moments and batch included, as torch.profiler
records each allocation; buffers that a library takes from the system itself are not among them.
Times are the processor's, medians over rounds in which all cases take turns; ratios are medians of
those within a round. What its products alone take is the operations of all matrix products and
convolutions of the step at the speed of a large one, measured in the same process.

Each part runs in a process of its own: `--only dlinear/96`, `--only joint`, `--only flat`;
`textbook.py` sets the blocks beside those of the papers and runs first.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils.flop_counter import FlopCounterMode

from workflow_src.configuration import Training
from workflow_src.configuration.task_set import TaskSet
from workflow_src.limits import MB, resident
from workflow_src.models.network import build_trunk
from workflow_src.tasks import TASKS
from workflow_src.tasks.batch import Batch
from workflow_src.tasks.objective import HeadShape
from workflow_src.tasks.objectives import ObjectiveFacts, build_objectives
from workflow_src.training.assembly import MultiTaskNetwork
from workflow_src.training.optimizer import adamw
from workflow_src.training.precision import Precision, PrecisionName
from workflow_src.training.ranks import Ranks
from workflow_src.training.recovery import Recovery
from workflow_src.training.running_metrics import RunningMetrics
from workflow_src.training.step import (
    Mark,
    StepOptions,
    StepTotals,
    loss_sum,
    means,
    micro_batches,
    sample_keys,
    step,
    unwatched,
    valid_labels,
)

CLASSES = ("normal", "inner", "outer", "ball")
HORIZONS = (96, 4096)
BACKBONES: dict[str, dict[str, Any]] = {
    "dlinear": {"depth": 1, "kernel": 25, "individual": False},
    "fno": {"depth": 1, "modes": 16},
    "patchtst": {"depth": 2, "heads": 8, "feed_forward": 512},
    "timesnet": {"depth": 2, "feed_forward": 32, "top_k": 3, "kernels": 6},
}
BATCH, SLOW_BATCH = 32, 8  # the latter for TimesNet
SIZES: dict[str, Any] = {
    "embedding": "patch",
    "normalisation": "window",
    "width": 256,
    "patch_length": 128,
    "patch_count": 64,
    "dropout": 0.0,
}
QUIET = {**os.environ, "KINETO_LOG_LEVEL": "99"}  # the profiler's notices
ADAMW = Training(learning_rate=1e-4, weight_decay=0.01)  # small: times must not drift with weights


@dataclass(frozen=True)
class Levers:
    """What a user can change of how a step is computed; `joint` is what the step does not do."""

    micro: int
    checkpointing: bool = False
    precision: PrecisionName = "fp32"
    fused: bool = True
    joint: bool = False  # all tasks in one backward pass


def build(
    backbone: str,
    horizon: int,
    tasks: Sequence[str] = TASKS,
    window: int = 4096,
    channels: int = 2,
    **sizes: Any,
) -> MultiTaskNetwork:
    """A backbone of `BACKBONES` with heads, from seed 0; `sizes` replace those above."""
    torch.manual_seed(0)
    options = {"backbone": backbone, **SIZES, **BACKBONES[backbone], **sizes}
    objectives = build_objectives(
        TaskSet.model_validate({task: {} for task in tasks}), facts=ObjectiveFacts(CLASSES, 3, 1)
    )
    tokens, width = options["patch_count"], options["width"]
    shape = HeadShape(tokens, width, horizon, channels, len(CLASSES))
    return MultiTaskNetwork(build_trunk(options, window, channels), objectives, shape).train()


def draw(size: int, horizon: int, window: int = 4096, channels: int = 2) -> Batch:
    """Noise that bears every label."""
    return Batch(
        window=torch.randn(size, window, channels),
        horizon=torch.randn(size, horizon, channels),
        fault=torch.randint(0, len(CLASSES), (size,)),
        anomaly=torch.randint(0, 2, (size,)).float(),
        rul=torch.rand(size),
        log_amplitude=torch.randn(size, channels),
        age=torch.rand(size),
        index=torch.arange(size),
    )


def joint_step(
    network: MultiTaskNetwork,
    batch: Batch,
    size: int,
    keys: Tensor,
    counts: Mapping[str, Tensor],
    options: StepOptions,
) -> StepTotals:
    """The same gradients with all heads' activations alive until one backward pass."""
    sums = StepTotals.zero(network, batch.window.device)
    for part, part_keys in micro_batches(batch, size, keys):
        with options.autocast():
            features = network.trunk(part.window, part_keys)
        total = torch.zeros((), dtype=torch.float64, device=batch.window.device)
        for objective in network.objectives:
            loss = loss_sum(network, objective, features, part, options)
            total = total + objective.weight * loss / counts[objective.name].clamp(min=1)
            sums.losses[objective.name] += loss.detach()
        (options.scale * total).backward()  # type: ignore[no-untyped-call]
    return sums


class Loop:
    """Optimizer steps as `training/module.py` takes them, without Lightning.

    They run where the network lies. `mark` is told which phase and component comes next.
    """

    def __init__(self, network: MultiTaskNetwork, levers: Levers, mark: Mark = unwatched) -> None:
        self.device, self.mark = next(network.parameters()).device, mark
        self.network, self.compute = network, joint_step if levers.joint else step
        self.recovery = Recovery(network, levers.micro, checkpointing=levers.checkpointing)
        self.optimizer = adamw(
            network.parameters(), ADAMW.model_copy(update={"fused_optimizer": levers.fused})
        )
        self.precision = Precision(levers.precision)
        self.scale = self.precision.loss_scale()
        self.metrics = RunningMetrics(network.objectives, Ranks())
        self.steps = 0

    def __call__(self, batch: Batch) -> dict[str, float]:
        """One step; the tasks' mean losses."""
        self.optimizer.zero_grad()
        counts = valid_labels(self.network, batch)
        sums = self._gradient(batch, counts)
        losses = torch.stack(list(means(sums.losses, counts).values())).tolist()
        self.optimizer.step()
        self.scale.succeeded()
        self.metrics.keep()
        self.steps += 1
        return dict(zip(sums.losses, losses, strict=True))

    def _gradient(self, batch: Batch, counts: Mapping[str, Tensor]) -> StepTotals:
        keys, parameters = sample_keys(0, self.steps, batch.index), [*self.network.parameters()]
        while True:
            options = StepOptions(
                lambda: self.precision.autocast(self.device.type),
                self.scale.scale,
                self.metrics.meters,
                self.mark,
            )
            sums = self.recovery.run(
                "training",
                lambda size: self.compute(self.network, batch, size, keys, counts, options),  # noqa: B023
                self._undo,
            )
            self.scale.unscale(parameters)
            norm = nn.utils.clip_grad_norm_(parameters, 1.0)
            if bool(norm.isfinite()) or not self.scale.overflowed():
                return sums
            self._undo()

    def _undo(self) -> None:
        for parameter in self.network.parameters():
            parameter.grad = None
        self.metrics.drop()


def batch_of(backbone: str, options: argparse.Namespace) -> int:
    """Spans in a step."""
    if options.quick:
        return 2
    return SLOW_BATCH if backbone == "timesnet" else BATCH


def peak_bytes(prepare: Callable[[], Callable[[], object]]) -> int:
    """Most bytes that torch's CPU allocator has given out at once during the call that is prepared.

    All that lives then must be allocated in `prepare`: the profiler counts from its own start.
    """
    gc.collect()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        work = prepare()
        with record_function("measured"):
            work()
    events = sorted(recorded.profiler.kineto_results.events(), key=lambda event: event.start_ns())
    live = peak = 0
    within = False
    for event in events:
        within |= event.name() == "measured"
        if event.name() == "[memory]":
            live += event.nbytes()
            peak = max(peak, live) if within else live
    del work
    return peak


def step_peak(
    levers: Levers, backbone: str, horizon: int, batch: int, tasks: Sequence[str] = TASKS
) -> int:
    """Peak of a step, with weights, moments and the batch."""

    def prepare() -> Callable[[], object]:
        loop, drawn = Loop(build(backbone, horizon, tasks), levers), draw(batch, horizon)
        return lambda: loop(drawn)

    return peak_bytes(prepare)


def in_turns(calls: Sequence[Callable[[], object]], seconds: float) -> list[list[float]]:
    """Seconds of each call in each round: three rounds, more until `seconds`; one where it is 0."""
    for call in calls:
        call()
    rounds: list[list[float]] = []
    end = time.process_time() + seconds
    while len(rounds) < (3 if seconds else 1) or (time.process_time() < end and len(rounds) < 50):
        taken = []
        for call in calls:
            start = time.process_time()
            call()
            taken.append(time.process_time() - start)
        rounds.append(taken)
    return rounds


def medians(rounds: list[list[float]], which: int, against: int = 0) -> tuple[float, float]:
    """Milliseconds of a call, and its ratio to another's."""
    ratio = statistics.median(taken[which] / taken[against] for taken in rounds)
    return 1e3 * statistics.median(taken[which] for taken in rounds), ratio


def cases(batch: int, sizes: Sequence[int]) -> dict[str, Levers]:
    """The full batch in float32 first; then each lever alone, and all that help together."""
    full = Levers(batch)
    found = {"none": full}
    found |= {f"micro-batch {size}": Levers(size) for size in sizes}
    found["checkpointing"] = replace(full, checkpointing=True)
    found["bf16"] = replace(full, precision="bf16")
    found["fp16"] = replace(full, precision="fp16")
    found["AdamW not fused"] = replace(full, fused=False)
    found["one backward"] = replace(full, joint=True)
    for size in (batch, *sizes):
        every = Levers(size, checkpointing=True, precision="bf16")
        found[f"checkpointing, bf16, {size}"] = every
    return found


def show_step(backbone: str, horizon: int, options: argparse.Namespace) -> None:
    """One table: a row a case."""
    batch = batch_of(backbone, options)
    levers = cases(batch, [size for size in (16, 4, 1) if size < batch])
    drawn = draw(batch, horizon)
    loops = [Loop(build(backbone, horizon), each) for each in levers.values()]
    with FlopCounterMode(display=False) as counter:
        loops[0](drawn)
    calls = [lambda loop=loop: loop(drawn) for loop in loops]
    rounds = in_turns(calls, options.seconds)
    least = counter.get_total_flops() / _speed()
    parameters = sum(p.numel() for p in loops[0].network.parameters())
    trunk = sum(p.numel() for p in loops[0].network.trunk.backbone.parameters())
    del loops, calls
    peaks = [step_peak(each, backbone, horizon, batch) for each in levers.values()]
    print(
        f"\n{backbone}, horizon {horizon}: {parameters:,} parameters ({trunk:,} in the backbone), "
        f"batch {batch}; its products alone take {1e3 * least:.0f} ms; "
        f"{len(rounds)} rounds"
    )
    print(f"{'lever':<26}{'peak MB':>10}{'x':>7}{'ms':>10}{'x':>7}")
    for number, (name, peak) in enumerate(zip(levers, peaks, strict=True)):
        each, ratio = medians(rounds, number)
        print(f"{name:<26}{peak / MB:>10.1f}{peak / peaks[0]:>7.2f}{each:>10.1f}{ratio:>7.2f}")


def _speed() -> float:
    """Operations a second of a large float32 matrix product on one thread."""
    a = torch.randn(1024, 1024)
    rounds = in_turns([lambda: a @ a], 0.3)
    return 2 * 1024**3 / min(taken[0] for taken in rounds)


def show_joint(options: argparse.Namespace) -> None:
    """Peak of the step of four tasks against that of each alone."""
    print("\nPeak of a step, MB: each task alone, and all four; fp32, the whole batch at once")
    short = [task.split("_")[0] for task in TASKS]
    print(f"{'':<16}" + "".join(f"{name:>15}" for name in (*short, "all four", "all/largest")))
    for backbone in options.backbones:
        for horizon in options.horizons:
            batch = batch_of(backbone, options)
            alone = [step_peak(Levers(batch), backbone, horizon, batch, [t]) for t in TASKS]
            four = step_peak(Levers(batch), backbone, horizon, batch)
            numbers = "".join(f"{peak / MB:>15.1f}" for peak in (*alone, four))
            print(f"{backbone + ' ' + str(horizon):<16}{numbers}{four / max(alone):>15.3f}")


def show_flat(options: argparse.Namespace) -> None:
    """Whether a step costs as much after thousands of others, its metrics included."""
    network = build("dlinear", 32, TASKS, 256, 1, width=16, patch_length=16, patch_count=16)
    loop = Loop(network, Levers(8))
    batches = [draw(16, 32, 256, 1) for _ in range(8)]
    taken = []
    for number in range(options.steps):
        start = time.process_time()
        loop(batches[number % len(batches)])
        taken.append(1e3 * (time.process_time() - start))
        if number + 1 in (10, options.steps):
            print(
                f"{'' if number > 10 else chr(10)}after step {number + 1:>5}: "
                f"{_live() / 1024:.1f} KiB of tensors, {resident() / MB:.1f} MB resident"
            )
    hundred = min(100, len(taken) // 3)
    first = statistics.median(taken[10 : 10 + hundred])
    last = statistics.median(taken[-hundred:])
    blocks = [
        statistics.median(taken[start : start + hundred])
        for start in range(10, len(taken) - hundred + 1, hundred)
    ]
    slope = statistics.linear_regression([hundred * n for n in range(len(blocks))], blocks).slope
    print(
        f"median of {hundred} steps: {first:.2f} ms at the start, {last:.2f} ms at the end "
        f"(x {last / first:.3f}); slope {1e3 * 1e3 * slope:+.2f} us a 1000 steps"
    )


def _live() -> int:
    """Bytes of all tensors that Python can reach."""
    gc.collect()
    tensors = [found for found in gc.get_objects() if issubclass(type(found), Tensor)]
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    return sum(storages.values())


def show(part: str, options: argparse.Namespace) -> None:
    """Run one part in this process."""
    torch.set_num_threads(1)
    if part == "joint":
        show_joint(options)
    elif part == "flat":
        show_flat(options)
    else:
        backbone, horizon = part.split("/")
        show_step(backbone, int(horizon), options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small batch, few rounds")
    parser.add_argument("--seconds", type=float, default=10.0, help="of timing, a part")
    parser.add_argument("--steps", type=int, default=5000, help="of the flatness part")
    parser.add_argument("--backbones", nargs="+", default=list(BACKBONES), choices=list(BACKBONES))
    parser.add_argument("--horizons", nargs="+", type=int, default=list(HORIZONS))
    parser.add_argument("--only", help="<backbone>/<horizon>, joint or flat")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.steps, options.horizons = 0.0, 200, [96]
    if options.only:
        show(options.only, options)
        return
    names = [f"{backbone}/{h}" for backbone in options.backbones for h in options.horizons]
    blocks = [sys.executable, str(Path(__file__).with_name("textbook.py"))]
    subprocess.run(blocks + ["--quick"] * options.quick, check=True, env=QUIET)
    for part in ("joint", "flat", *names):
        command = [sys.executable, __file__, *sys.argv[1:], "--only", part]
        subprocess.run(command, check=True, env=QUIET)


if __name__ == "__main__":
    main()
