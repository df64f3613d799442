"""The card, its software, and what it can do at most: every later figure is held against these."""

from __future__ import annotations

import platform
from contextlib import suppress
from typing import Any

import torch
from rates import small_layers

from gpu_parts.bench import NEEDS_A_CARD, Bench
from workflow_src.forecasting.operations import Operations
from workflow_src.limits import MB
from workflow_src.training.precision import turn_tf32_off

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def measure(bench: Bench) -> None:
    """Names and versions, memory, bandwidth of a copy, products, and what float32 rounds to."""
    turn_tf32_off()
    for name, value in described(bench).items():
        bench.put(name, value=value)
    bench.put("copy_gb_s", value=copy_gb_s(bench))
    for name in _DTYPES:
        bench.tried("tflops", name, work=lambda name=name: product_tflops(bench, _DTYPES[name]))
    bench.tried("call_us", work=lambda: call_us(bench))
    bench.tried("tflops", "tf32", work=lambda: with_tf32(bench))
    for name, error in float32_errors(bench).items():
        bench.put("float32_error", name, value=error)


def described(bench: Bench) -> dict[str, Any]:
    """What the figures were measured on."""
    found: dict[str, Any] = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda or "none",
        "cores": torch.get_num_threads(),
        "nvml_driver": NEEDS_A_CARD,
        "nvml_context_mb": NEEDS_A_CARD,
    }
    if not bench.cuda:
        return {"name": platform.processor() or platform.machine(), **found}
    card = torch.cuda.get_device_properties(bench.device)
    torch.zeros(1, device=bench.device)
    with suppress(Exception):
        import pynvml

        pynvml.nvmlInit()
        found["nvml_driver"] = str(pynvml.nvmlSystemGetDriverVersion())
    return {
        "name": card.name,
        "capability": f"{card.major}.{card.minor}",
        "memory_mb": card.total_memory // MB,
        "multiprocessors": card.multi_processor_count,
        **found,
        "nvml_context_mb": round(bench.outside_mb(), 1),
    }


def copy_gb_s(bench: Bench) -> float:
    """Bytes read and written per second by a copy within the device's memory, GB/s."""
    size = 2**30 if bench.cuda else 2**26
    source = torch.ones(size // 4, device=bench.device)
    target = torch.empty_like(source)
    return 2 * size / bench.seconds(lambda: target.copy_(source), rounds=10) / 1e9


def product_tflops(bench: Bench, dtype: torch.dtype) -> float:
    """Operations per second of a large matrix product of random numbers, TFLOP/s."""
    size = 8192 if bench.cuda else 512
    a, b = (torch.randn(size, size, device=bench.device).to(dtype) for _ in range(2))
    return 2 * size**3 / bench.seconds(lambda: a @ b, rounds=10, warm_ups=3) / 1e12


def call_us(bench: Bench) -> float:
    """Microseconds of a call of an operator, of a step of layers that compute next to nothing."""
    with bench.device:
        step = small_layers()
    step()
    with Operations() as counted:
        step()
    return 1e6 * bench.seconds(step, rounds=20, warm_ups=3) / counted.calls.total()


def with_tf32(bench: Bench) -> float:
    """The float32 product with its inputs rounded to TensorFloat-32."""
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        return product_tflops(bench, torch.float32)
    finally:
        turn_tf32_off()


def float32_errors(bench: Bench) -> dict[str, float]:
    """Error of a float32 product and convolution over their largest value: 1e-6, or 1e-3 in TF32.

    It proves that the switch of the attempts works on this card.
    """
    torch.manual_seed(0)
    a, b = torch.randn(512, 512), torch.randn(512, 512)
    image, kernel = torch.randn(4, 32, 24, 24), torch.randn(32, 32, 5, 5)

    def error(operation: Any, *inputs: torch.Tensor) -> float:
        exact = operation(*(each.double() for each in inputs))
        found = operation(*(each.to(bench.device) for each in inputs)).cpu().double()
        return float((found - exact).abs().max() / exact.abs().max())

    return {
        "product": error(torch.matmul, a, b),
        "convolution": error(torch.nn.functional.conv2d, image, kernel),
    }
