"""What a convolution takes within itself: measured, as no rule of the library's says it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import _disable_current_modes

_CONVOLUTIONS = {  # which arguments have samples in their first dimension
    torch.ops.aten.convolution.default: 1,
    torch.ops.aten.convolution_backward.default: 2,
}
_FEW, _MORE = 2, 4  # samples; one alone is computed by another algorithm

Shape = tuple[tuple[int, ...], tuple[int, ...], torch.dtype]  # size, strides, kind


def workspace(operator: Any, arguments: Sequence[Any]) -> int:
    """Bytes that `operator` takes and gives back beside its inputs and outputs.

    A convolution of the same shapes is run on few real samples. What it takes is constant, or
    grows by as much for each sample: oneDNN reorders kernels and keeps sums of each thread; where
    the processor knows no bfloat16, it lays out each sample's patches. 0 for other operators.
    """
    batched = _CONVOLUTIONS.get(operator)
    if batched is None:
        return 0
    samples: int = arguments[0].shape[0]
    described = tuple(
        _shape(each) if isinstance(each, Tensor) else _hashable(each) for each in arguments
    )
    if samples <= _MORE:
        return _taken(operator, described, batched, samples)
    few, more = (_taken(operator, described, batched, count) for count in (_FEW, _MORE))
    return few + max(0, more - few) * (samples - _FEW) // (_MORE - _FEW)


def _shape(tensor: Tensor) -> Shape:
    return tuple(tensor.shape), tensor.stride(), tensor.dtype


def _hashable(argument: Any) -> Any:
    return tuple(argument) if isinstance(argument, list) else argument


def _without_samples(described: tuple[Any, ...], batched: int) -> tuple[Any, ...]:
    return tuple(
        ((0, *each[0][1:]), *each[1:]) if index < batched else each
        for index, each in enumerate(described)
    )


def _taken(operator: Any, described: tuple[Any, ...], batched: int, samples: int) -> int:
    threads = torch.get_num_threads()
    return _measured(operator, _without_samples(described, batched), batched, samples, threads)


@cache
def _measured(
    operator: Any, described: tuple[Any, ...], batched: int, samples: int, threads: int
) -> int:
    """Most bytes at once less those of the outputs, of a run on `samples` samples."""
    with _disable_current_modes(), torch.no_grad():
        arguments = [
            _zeros(each, samples if index < batched else None)
            for index, each in enumerate(described)
        ]
        operator(*arguments)  # the library makes its plan once
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
            outputs = operator(*arguments)
    events = sorted(recorded.profiler.kineto_results.events(), key=lambda event: event.start_ns())
    live: int = 0
    peak: int = 0
    for event in events:
        if event.name() == "[memory]":
            live += event.nbytes()
            peak = max(peak, live)
    made: tuple[Tensor | None, ...] = outputs if isinstance(outputs, tuple) else (outputs,)
    return max(0, peak - sum(one.untyped_storage().nbytes() for one in made if one is not None))


def _zeros(described: Any, samples: int | None) -> Any:
    is_tensor = isinstance(described, tuple) and isinstance(described[-1], torch.dtype)
    if not is_tensor:
        return list(described) if isinstance(described, tuple) else described
    (first, *rest), strides, kind = described
    size = (first if samples is None else samples, *rest)
    return torch.empty_strided(size, strides, dtype=kind).zero_()
