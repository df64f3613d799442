"""Whether a step on the card is the step that the tests prove on the CPU."""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from step import BACKBONES, build, draw
from torch import Tensor

from gpu_parts.bench import SMALL, SMALL_WINDOW, Bench
from workflow_src.configuration import Training
from workflow_src.models.draws import KeyedDropout, random_bits, random_integers
from workflow_src.models.embedding import HybridSpatialEmbedding
from workflow_src.tasks.batch import Batch
from workflow_src.training.assembly import MultiTaskNetwork
from workflow_src.training.optimizer import adamw
from workflow_src.training.precision import Precision, PrecisionName, turn_tf32_off
from workflow_src.training.step import StepOptions, sample_keys, step, valid_labels

BATCH, MICRO_BATCHES = 11, (1, 3, 7, 11)
HORIZON, CHANNELS = 32, 2
SIZES = {"width": 64, "patch_length": 32, "patch_count": 32}
DROPOUT = 0.3
ADAMW = Training(learning_rate=1e-3, weight_decay=0.01)
CPU = torch.device("cpu")
# Largest error of a gradient over its largest element, whole batch against micro-batches.
FP64, FP32 = 1e-12, 5e-6

Gradient = dict[str, Tensor]  # by name of the parameter, on the CPU


@dataclass(frozen=True)
class Case:
    """One backbone and the spans it is tried on, on the CPU in float32."""

    network: MultiTaskNetwork
    batch: Batch

    @staticmethod
    def of(backbone: str, *, small: bool) -> Case:
        """A network with dropout, and spans whose labels are missing at random."""
        sizes, window = (SMALL[backbone], SMALL_WINDOW) if small else (SIZES, 1024)
        options = {"window": window, "channels": CHANNELS, "dropout": DROPOUT, **sizes}
        network = build(backbone, HORIZON, **options)
        torch.manual_seed(1)
        batch = draw(BATCH, HORIZON, window, CHANNELS)
        missing = torch.rand(3, BATCH) < 0.4
        return Case(
            network,
            replace(
                batch,
                fault=batch.fault.masked_fill(missing[0], -1),
                anomaly=batch.anomaly.masked_fill(missing[1], torch.nan),
                rul=batch.rul.masked_fill(missing[2], torch.nan),
            ),
        )

    def on(self, device: torch.device, dtype: torch.dtype = torch.float32) -> Case:
        """A copy elsewhere."""
        parts = {name: getattr(self.batch, name) for name in self.batch.__dataclass_fields__}
        cast = {n: t.to(dtype) if t.is_floating_point() else t for n, t in parts.items()}
        network = copy.deepcopy(self.network).to(device, dtype)
        return Case(network, Batch(**cast).to(device))

    def gradient(self, micro: int = BATCH, precision: PrecisionName = "fp32") -> Gradient:
        """What a step adds to `.grad`, at the largest loss scale that does not overflow."""
        kind, chosen = self.batch.window.device.type, Precision(precision)
        scale, parameters = chosen.loss_scale(), list(self.network.parameters())
        keys = sample_keys(3, 5, self.batch.index)
        counts = valid_labels(self.network, self.batch)
        while True:
            self.network.zero_grad()
            options = StepOptions(autocast=lambda: chosen.autocast(kind), scale=scale.scale)
            step(self.network, self.batch, micro, keys, counts, options)
            scale.unscale(parameters)
            finite = all(bool(p.grad.isfinite().all()) for p in parameters)  # type: ignore[union-attr]
            if finite or not scale.overflowed():
                break
        named = self.network.named_parameters()
        return {name: p.grad.detach().cpu().clone() for name, p in named}  # type: ignore[union-attr]

    def tokens(self) -> Tensor:
        """What the heads read, dropout included, on the CPU."""
        keys = sample_keys(3, 5, self.batch.index)
        with torch.no_grad():
            return self.network.trunk(self.batch.window, keys).tokens.cpu()


def error(found: Mapping[str, Tensor], exact: Mapping[str, Tensor]) -> float:
    """Largest difference of two gradients over the largest element, the whole vector at once."""
    largest = max(float(value.abs().max()) for value in exact.values())
    return max(float((found[n].double() - exact[n].double()).abs().max()) for n in exact) / largest


def measure(bench: Bench) -> None:
    """Every check per backbone; then the draws."""
    turn_tf32_off()
    bench.put("keyed_draws_equal", value=draws_equal(bench.device))
    for backbone in BACKBONES:
        case = Case.of(backbone, small=not bench.cuda)
        checks: dict[str, Callable[[Case, torch.device], Any]] = {
            "against_float64": against_float64,
            "micro_batches": micro_batches,
            "half_precision": half_precision,
            "repeated": repeated,
            "recomputed": recomputed,
            "fused_adamw": fused_adamw,
        }
        for name, check in checks.items():
            bench.tried(backbone, name, work=lambda c=check, one=case: c(one, bench.device))


def draws_equal(device: torch.device) -> dict[str, bool]:
    """Whether each draw that is keyed by the sample is the same on the CPU, bit for bit."""
    keys = sample_keys(3, 5, torch.arange(1000))
    dropout = KeyedDropout(0.3, 7).train()
    embedding = HybridSpatialEmbedding(256, 1, 16, 8, 4).train()
    values = torch.arange(1.0, 33.0).expand(1000, 32)
    draws: dict[str, Callable[[torch.device], Tensor]] = {
        "bits": lambda d: random_bits(keys.to(d), 7, 64),
        "integers": lambda d: random_integers(keys.to(d), 7, 64, 1000),
        "keys": lambda d: sample_keys(3, 5, torch.arange(1000, device=d)),
        "dropout": lambda d: dropout(values.to(d), keys.to(d)) != 0,
        "patch_starts": lambda d: embedding.starts(1000, keys.to(d), d),
    }
    return {name: torch.equal(draw(device).cpu(), draw(CPU)) for name, draw in draws.items()}


def against_float64(case: Case, device: torch.device) -> dict[str, float]:
    """Errors against float64 on the CPU: of float32 there and on the device, of float64 on it."""
    exact = case.on(CPU, torch.float64)
    gradient, tokens = exact.gradient(), exact.tokens()
    found: dict[str, float] = {}
    for name, place, dtype in (
        ("fp32_cpu", CPU, torch.float32),
        ("fp32", device, torch.float32),
        ("fp64", device, torch.float64),
    ):
        there = case.on(place, dtype)
        found[f"{name}_gradient"] = error(there.gradient(), gradient)
        found[f"{name}_tokens"] = error({"tokens": there.tokens()}, {"tokens": tokens})
    return found


def micro_batches(case: Case, device: torch.device) -> dict[str, dict[str, float]]:
    """Error of the gradient at each micro-batch against the whole batch."""
    found = {}
    for name, dtype in (("fp64", torch.float64), ("fp32", torch.float32)):
        there = case.on(device, dtype)
        whole = there.gradient()
        found[name] = {str(size): error(there.gradient(size), whole) for size in MICRO_BATCHES}
    return found


def half_precision(case: Case, device: torch.device) -> dict[str, dict[str, float]]:
    """Error of the gradient against float32, and of micro-batches of 3 against the whole batch."""
    there, found = case.on(device), {}
    exact = there.gradient()
    names: tuple[PrecisionName, ...] = ("bf16", "fp16")
    for name in names:
        whole = there.gradient(precision=name)
        divided = there.gradient(3, precision=name)
        found[name] = {"against_fp32": error(whole, exact), "divided": error(divided, whole)}
    return found


def repeated(case: Case, device: torch.device) -> dict[str, Any]:
    """Whether a step twice gives the same bits; parameters and operators that do not."""
    there = case.on(device)
    first, second = there.gradient(3), there.gradient(3)
    differing = [name for name in first if not torch.equal(first[name], second[name])]
    return {
        "bit_equal": not differing,
        "largest_difference": error(second, first),
        "differing": differing,
        "operators_without_a_promise": unpromised(there),
    }


def unpromised(case: Case) -> list[str]:
    """Operators of a step for which torch does not promise the same bits twice."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            case.gradient(3)
    finally:
        torch.use_deterministic_algorithms(False)
    named = (re.match(r"(\S+) does not have a deterministic", str(w.message)) for w in caught)
    return sorted({match[1] for match in named if match})


def recomputed(case: Case, device: torch.device) -> dict[str, Any]:
    """What recomputing activations changes."""
    there = case.on(device)
    kept = there.gradient(3)
    there.network.trunk.backbone.checkpointing = True
    again = there.gradient(3)
    equal = all(torch.equal(again[name], kept[name]) for name in kept)
    return {"bit_equal": equal, "largest_difference": error(again, kept)}


def fused_adamw(case: Case, device: torch.device) -> dict[str, float]:
    """How far 20 steps end from those of the CPU's fused AdamW, over the distance moved."""
    exact = moved(case.on(CPU), fused=True)
    return {
        name: float((moved(case.on(device), fused=fused) - exact).norm() / exact.norm())
        for name, fused in (("fused", True), ("not_fused", False))
    }


def moved(case: Case, *, fused: bool) -> Tensor:
    """Where 20 steps along one gradient bring the parameters, from where they were.

    The gradient is computed once, on the CPU: only the optimizer differs.
    """
    gradient = case.on(CPU).gradient()
    parameters = dict(case.network.named_parameters())
    before = {name: p.detach().cpu().clone() for name, p in parameters.items()}
    optimizer = adamw(parameters.values(), ADAMW.model_copy(update={"fused_optimizer": fused}))
    for number in range(20):
        for name, parameter in parameters.items():
            parameter.grad = (gradient[name] * (1 + number)).to(parameter.device)
        optimizer.step()
    return torch.cat([(p.detach().cpu() - before[n]).flatten() for n, p in parameters.items()])
