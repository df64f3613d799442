"""Step times against what the card can do, and what each further means would gain."""

from __future__ import annotations

import copy
import time
from functools import partial
from typing import Any

import torch
from step import BACKBONES, Levers, Loop, build, draw
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from gpu_parts.bench import NEEDS_A_CARD, SMALL, SMALL_WINDOW, Bench
from gpu_parts.card import product_tflops
from gpu_parts.children import in_child
from gpu_parts.correctness import CPU, Case, error
from gpu_parts.study import DATASET, Study
from workflow_src.configuration import NetworkCell
from workflow_src.data.split_files import read_split
from workflow_src.data.windows import SpanReader
from workflow_src.models.timesnet import convolve
from workflow_src.training.assembly import build_network
from workflow_src.training.batches import TrainingBatches
from workflow_src.training.precision import PrecisionName, turn_tf32_off
from workflow_src.training.step import StepOptions, sample_keys, step, valid_labels

HORIZON, CHANNELS = 96, 2
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
COMPILE_S = 25.0  # per network; what does not compile in it gains nothing in a short job
WAITED_STEPS = 20


def measure(bench: Bench) -> None:
    """Networks compiled in processes of their own first, before CUDA is used in this one."""
    for backbone in BACKBONES if bench.cuda else ("dlinear",):
        work = partial(compiled, bench, backbone)
        limit = COMPILE_S if bench.cuda else bench.left_s / 3
        bench.tried("compiled", backbone, work=lambda w=work, t=limit: in_child(w, t))
    turn_tf32_off()
    for backbone in BACKBONES:
        bench.tried("step", backbone, work=lambda b=backbone: against_ceiling(bench, b))
        bench.tried("tf32", backbone, work=lambda b=backbone: tf32(bench, b))
        graphs = partial(graph, bench, backbone)
        bench.tried("cuda_graphs", backbone, work=graphs if bench.cuda else lambda: NEEDS_A_CARD)
    bench.tried("attention_s", work=lambda: attention(bench))
    bench.tried("channels_last", work=lambda: channels_last(bench))
    bench.tried("data", work=lambda: waiting(bench))


def made(bench: Bench, backbone: str) -> tuple[Any, Any]:
    """A network and a micro-batch of it, where they are used."""
    window, size = (4096, 64) if bench.cuda else (SMALL_WINDOW, 4)
    sizes = {} if bench.cuda else SMALL[backbone]
    with bench.device:
        network = build(backbone, HORIZON, window=window, channels=CHANNELS, **sizes)
        return network, draw(size, HORIZON, window, CHANNELS)


def against_ceiling(bench: Bench, backbone: str) -> dict[str, Any]:
    """Milliseconds per step, and its operations over those of a large product in the same time."""
    network, batch = made(bench, backbone)
    with FlopCounterMode(display=False) as counter:
        Loop(network, Levers(len(batch)))(batch)
    operations, found = counter.get_total_flops(), {}
    names: tuple[PrecisionName, ...] = ("fp32", "bf16", "fp16")
    for name in names:
        loop = Loop(network, Levers(len(batch), precision=name))
        seconds = bench.seconds(partial(loop, batch), rounds=5)
        reached = operations / seconds / 1e12
        ceiling = product_tflops(bench, DTYPES[name])
        found[name] = {"ms": 1e3 * seconds, "tflops": reached, "of_ceiling": reached / ceiling}
    return found


def tf32(bench: Bench, backbone: str) -> dict[str, float]:
    """What TensorFloat-32 would gain in a step, and what its gradients would lose."""
    network, batch = made(bench, backbone)
    case = Case.of(backbone, small=not bench.cuda)
    exact, there = case.on(CPU, torch.float64).gradient(), case.on(bench.device)
    loop, seconds, errors = Loop(network, Levers(len(batch))), {}, {}
    for allowed in (False, True):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
        try:
            seconds[allowed] = bench.seconds(partial(loop, batch), rounds=5)
            errors[allowed] = error(there.gradient(), exact)
        finally:
            turn_tf32_off()
    return {
        "seconds_ratio": seconds[True] / seconds[False],
        "gradient_error": errors[True],
        "gradient_error_fp32": errors[False],
    }


def compiled(bench: Bench, backbone: str) -> dict[str, float]:
    """Seconds to compile a trunk, and the time of a step with it over that without."""
    turn_tf32_off()
    network, batch = made(bench, backbone)
    plain = bench.seconds(partial(Loop(network, Levers(len(batch))), batch), rounds=5)
    network.trunk.backbone.forward = torch.compile(network.trunk.backbone.forward)
    loop, start = Loop(network, Levers(len(batch))), time.perf_counter()
    loop(batch)
    bench.wait()
    first = time.perf_counter() - start
    after = bench.seconds(partial(loop, batch), rounds=5)
    return {"compile_s": first, "seconds_ratio": after / plain}


def graph(bench: Bench, backbone: str) -> dict[str, float]:
    """Time of a step's gradients replayed as a CUDA graph over that of their launch one by one."""
    network, batch = made(bench, backbone)
    keys, counts = sample_keys(0, 0, batch.index), valid_labels(network, batch)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)

    def gradients() -> None:
        step(network, batch, len(batch), keys, counts, StepOptions())

    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        plain = bench.seconds(gradients, rounds=5, warm_ups=3)
    recorded = torch.cuda.CUDAGraph()
    with torch.cuda.graph(recorded):
        gradients()
    return {"seconds_ratio": bench.seconds(recorded.replay, rounds=5) / plain}


def attention(bench: Bench) -> dict[str, Any]:
    """Seconds of attention forward and backward by each kernel of torch that can compute it."""
    samples, tokens = (64, 64) if bench.cuda else (2, 16)
    kernels = [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION]
    if bench.cuda:
        kernels += [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION]
    found: dict[str, Any] = {}
    for name in ("fp32", "bf16"):
        shape = (samples, 8, tokens, 32)  # (B, H, N, D/H)
        q, k, v = (
            torch.randn(shape, device=bench.device, dtype=DTYPES[name], requires_grad=True)
            for _ in range(3)
        )

        def both(q: Any = q, k: Any = k, v: Any = v) -> None:
            functional.scaled_dot_product_attention(q, k, v).sum().backward()

        found[name] = {"default": bench.seconds(both)}
        for kernel in kernels:
            try:
                with sdpa_kernel(kernel):
                    found[name][kernel.name.lower()] = bench.seconds(both)
            except RuntimeError:
                found[name][kernel.name.lower()] = "does not compute it"
    return found


def channels_last(bench: Bench) -> dict[str, float]:
    """Time of TimesNet's convolution over that with the kernel as it is, by the layout of each.

    Images are channels-last in memory already; the kernel is not.
    """
    width, hidden, samples = (256, 512, 64) if bench.cuda else (16, 8, 2)
    image = torch.randn(samples, 8, 8, width, device=bench.device).permute(0, 3, 1, 2)
    kernel = torch.randn(hidden, width, 11, 11, device=bench.device)
    bias = torch.zeros(hidden, device=bench.device)

    def seconds(image: Any, kernel: Any) -> float:
        image, kernel = (each.detach().requires_grad_() for each in (image, kernel))
        return bench.seconds(lambda: convolve(image, kernel, bias).sum().backward())

    plain, last = seconds(image, kernel), kernel.to(memory_format=torch.channels_last)
    return {
        "kernel_channels_last": seconds(image, last) / plain,
        "both_channels_first": seconds(image.contiguous(), kernel) / plain,
    }


def waiting(bench: Bench) -> dict[str, float]:
    """Share of an epoch in which the step waits for its batch, by workers that read ahead."""
    study = Study(bench.folder, bench.device.type)
    study.prepare()
    cell_file = study.cell("waiting", "dlinear", {}, batch_size=64)
    cell = NetworkCell.read(cell_file)
    dataset = cell.dataset
    split = read_split(study.folder / "data" / DATASET)
    found = {}
    for workers in (0, 2):
        reader = SpanReader(study.folder / "data" / dataset.rig, split, dataset, 256)
        kept = ["classification", "anomaly_detection", "signal_prediction"]
        network = build_network(cell, kept, split.summary).to(bench.device)
        batches = TrainingBatches(reader, reader.rows("train"), 64, 0, workers=workers)
        try:
            found[f"waiting_share_{workers}_workers"] = _waited(bench, network, batches)
        finally:
            batches.close()
            reader.close()
    return found


def _waited(bench: Bench, network: Any, batches: TrainingBatches) -> float:
    """Seconds of waiting for batches over all, from the third batch on."""
    loop, waited, worked = Loop(network.train(), Levers(64)), 0.0, 0.0
    iterator, number = iter(batches), 0
    while number < WAITED_STEPS:
        start = time.perf_counter()
        batch = next(iterator, None)
        if batch is None:
            break
        ready = time.perf_counter()
        loop(copy.copy(batch).to(bench.device))
        bench.wait()
        if number >= 2:  # workers are starting
            waited, worked = waited + ready - start, worked + time.perf_counter() - ready
        number += 1
    return waited / (waited + worked)
