"""What a training step computes and moves, counted before anything runs."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

from workflow_src.configuration import Training
from workflow_src.forecasting.steps import Steps
from workflow_src.forecasting.trace import Levers
from workflow_src.models.timesnet import TimesBlock
from workflow_src.tasks.batch import Batch
from workflow_src.training.assembly import MultiTaskNetwork

Kind = Literal["product", "convolution", "reduction", "pointwise"]

_ATEN = torch.ops.aten
_REDUCTIONS = {
    _ATEN.all,
    _ATEN.amax,
    _ATEN.amin,
    _ATEN.any,
    _ATEN.linalg_vector_norm,
    _ATEN.max,
    _ATEN.mean,
    _ATEN.min,
    _ATEN.sum,
    _ATEN.topk,
    _ATEN.var,
    _ATEN.var_mean,
}
_CONVOLUTIONS = {_ATEN.convolution, _ATEN.convolution_backward}
# The CPU's attention, for which torch has the formulas under the names of the GPU's.
_ATTENTION = _ATEN._scaled_dot_product_flash_attention_for_cpu
_ATTENTION_BACKWARD = _ATEN._scaled_dot_product_flash_attention_for_cpu_backward


class Operator(NamedTuple):
    """One call: its kind, floating-point operations, bytes read and written.

    Operations are those of products and convolutions, a multiplication and an addition each;
    all others, FFTs too, are taken for bound by memory. A view moves no byte.
    """

    kind: Kind
    operations: int
    moved: int


@dataclass(frozen=True)
class Work:
    """How often each operator is called."""

    calls: Counter[Operator]

    @property
    def operations(self) -> int:
        """Floating-point operations of all products and convolutions."""
        return sum(count * each.operations for each, count in self.calls.items())

    @property
    def moved(self) -> int:
        """Bytes read and written, by each operator for itself."""
        return sum(count * each.moved for each, count in self.calls.items())

    @property
    def operators(self) -> int:
        """Calls, views included."""
        return self.calls.total()


class Operations(TorchDispatchMode):
    """Counts the operators that run, on real or fake tensors.

    Attributes:
        calls: how often each has run.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: Counter[Operator] = Counter()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run an operator and count it."""
        given = kwargs or {}
        result = func(*args, **given)
        if func.namespace == "prim":  # fake tensors are asked where they are
            return result
        operations = _operations(func, args, given, result)
        self.calls[Operator(_kind(func), operations, _moved(func, args, given, result))] += 1
        return result


def _kind(func: Any) -> Kind:
    packet = func._overloadpacket
    if packet in _CONVOLUTIONS:
        return "convolution"
    if packet in flop_registry or packet in (_ATTENTION, _ATTENTION_BACKWARD):
        return "product"
    return "reduction" if packet in _REDUCTIONS else "pointwise"


def _operations(func: Any, args: Any, kwargs: Mapping[str, Any], result: Any) -> int:
    packet = func._overloadpacket
    if packet is _ATTENTION:
        return int(sdpa_flop_count(*(each.shape for each in args[:3])))
    if packet is _ATTENTION_BACKWARD:
        return int(sdpa_backward_flop_count(*(each.shape for each in args[:4])))
    formula = flop_registry.get(packet)
    return 0 if formula is None else int(formula(*args, **kwargs, out_val=result))


def _moved(func: Any, args: Any, kwargs: Mapping[str, Any], result: Any) -> int:
    """Bytes of the tensors read, of new ones, and of those written in place; 0 of a view."""
    taken = _tensors((args, dict(kwargs)))
    before = {each.untyped_storage()._cdata for each in taken}
    made = [each for each in _tensors(result) if each.untyped_storage()._cdata not in before]
    written = [
        each
        for argument, value in _by_argument(func, args, kwargs)
        if argument.alias_info is not None and argument.alias_info.is_write
        for each in _tensors(value)
    ]
    if not made and not written:
        is_reading = torch.Tag.data_dependent_output in func.tags
        return sum(each.nbytes for each in taken) if is_reading else 0
    return sum(each.nbytes for each in (*taken, *made, *written))


def _by_argument(func: Any, args: Any, kwargs: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    for index, argument in enumerate(func._schema.arguments):
        if index < len(args):
            yield argument, args[index]
        elif argument.name in kwargs:
            yield argument, kwargs[argument.name]


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def operations_and_bytes(
    build: Callable[[], MultiTaskNetwork],
    draw: Callable[[int], Batch],
    training: Training,
    levers: Levers,
) -> Work:
    """Of one optimizer step over a whole batch: all micro-batches, clipping, AdamW.

    At most three micro-batches are traced, the others are like the third. TimesNet's periods are
    those of noise.

    Args:
        build: makes the network; called among fake tensors, so it allocates nothing.
        draw: makes a batch of as many spans.
        training: the cell's keys of `training:`.
        levers: how the step is computed.
    """
    size = min(levers.micro_batch, training.batch_size)
    whole, rest = divmod(training.batch_size, size)
    with _fake_steps(build, training, levers) as steps:

        def traced(spans: int) -> Counter[Operator]:
            return _calls(draw(spans), steps.gradient, lambda _: steps.update())

        traced(1)  # metrics of a first step have nothing to be added to
        few = min(whole, 2) * size  # a first part has no gradients to add to: two are traced
        first = traced(few)
        calls = first.copy()
        # What runs once over a whole batch is larger in the longer trace: the difference takes one
        # call away at the one size and adds it at the other, so sums come out exactly.
        for further, spans in ((whole - 2, few + size), (min(rest, 1), few + rest)):
            if further > 0:
                longer = traced(spans)
                for each in first.keys() | longer.keys():
                    calls[each] += further * (longer[each] - first[each])
    return Work(calls)


def validation_operations(
    build: Callable[[], MultiTaskNetwork],
    draw: Callable[[int], Batch],
    training: Training,
    levers: Levers,
) -> Work:
    """Of the losses of one micro-batch without gradients; arguments as above."""
    size = min(levers.micro_batch, training.batch_size)
    with _fake_steps(build, training, levers) as steps:
        steps.network.eval()
        return Work(_calls(draw(size), steps.validate))


def _calls(batch: Batch, *works: Callable[[Batch], object]) -> Counter[Operator]:
    counted = Operations()
    with counted:
        for work in works:
            work(batch)
    return counted.calls


@contextmanager
def _fake_steps(
    build: Callable[[], MultiTaskNetwork], training: Training, levers: Levers
) -> Iterator[Steps]:
    with torch.random.fork_rng(devices=[]), FakeTensorMode():
        network = build().train()
        _fix_periods(network)
        network.trunk.backbone.checkpointing = levers.checkpointing
        yield Steps(network, training, levers.micro_batch)


def _fix_periods(network: MultiTaskNetwork) -> None:
    """Let TimesNet compute as for samples whose frequencies are equally likely."""
    for module in network.modules():
        if isinstance(module, TimesBlock):
            module.groups = partial(_of_noise, network.trunk.shape.patch_count)


def _of_noise(tokens: int, periods: Tensor) -> Iterator[tuple[int, Tensor]]:
    """How many of the samples of (B, k) `periods` have each period; which ones costs nothing."""
    samples, top_k = periods.shape
    draws, rows = random.Random(0), Counter[int]()
    for _ in range(samples):
        frequencies = draws.sample(range(1, tokens // 2 + 1), top_k)
        rows.update({tokens // frequency for frequency in frequencies})
    for period in sorted(rows):
        yield period, torch.arange(rows[period], device=periods.device)
