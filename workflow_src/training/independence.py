"""Whether each sample is computed on its own: what exact micro-batches stand on.

A sum of gradients over micro-batches is the full-batch gradient only if no layer mixes samples and
every random draw belongs to its sample. Known offenders are refused by their type, all others by
what they do to a few random windows.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.instancenorm import _InstanceNorm

from workflow_src.errors import UserError
from workflow_src.models.network import Features
from workflow_src.tasks.batch import Batch
from workflow_src.training.assembly import MultiTaskNetwork

_SAMPLES = 4

_MIXES = "it mixes the samples of a micro-batch"
_DRAWS = "it draws random numbers that do not belong to a sample"
_REMEMBERS = "it changes its buffers with each micro-batch"
_REMEDY = {
    _MIXES: "a layer that normalises each sample by itself, as nn.LayerNorm or nn.GroupNorm",
    _DRAWS: "models.draws.KeyedDropout(rate, salt), or another draw from the samples' keys",
    _REMEMBERS: "a layer without running statistics, as nn.LayerNorm or nn.GroupNorm",
}


class _Call(NamedTuple):
    """What one call of a module was given and put out."""

    path: str
    given: list[Tensor]
    output: list[Tensor]


def require_independent(network: MultiTaskNetwork, window: int, channels: int) -> None:
    """Refuse a network whose gradients would depend on how a batch is divided.

    Each of a few windows is computed alone and among the others, in training mode and with the
    same keys, and the whole twice: tokens and outputs of the heads have to agree. This happens in
    double precision on a copy, so that even a weak coupling stands out from rounding and the
    network, its gradients and torch's generators stay as they were. Six small forward passes.

    Args:
        network: to be trained; layers have to run in float64, too.
        window: samples L of a window.
        channels: channels C.

    Raises:
        UserError: a layer mixes samples, draws without keys or changes its buffers. It is named.
    """
    for path, module in network.named_modules():
        why = _known_offence(module)
        if why is not None:
            raise _refusal(path, module, why)
    device = next(network.parameters()).device
    with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.no_grad():
        _probe(copy.deepcopy(network).double().train(), _random_batch(window, channels, device))


def _known_offence(module: nn.Module) -> str | None:
    """Why a layer of torch is refused whatever it computes here."""
    if isinstance(module, _BatchNorm):
        return _MIXES
    if isinstance(module, _InstanceNorm) and module.track_running_stats:
        return _REMEMBERS
    if isinstance(module, _DropoutNd) and module.p > 0:
        return _DRAWS
    if isinstance(module, nn.MultiheadAttention | nn.RNNBase) and module.dropout > 0:
        return _DRAWS
    if isinstance(module, nn.RReLU) and module.lower != module.upper:
        return _DRAWS
    if isinstance(module, nn.FractionalMaxPool2d | nn.FractionalMaxPool3d):
        return _DRAWS
    return None


def _refusal(path: str, module: nn.Module, why: str) -> UserError:
    return UserError(
        "A layer makes the gradients depend on the micro-batch, which is to change no result.",
        where=f"{path or 'the network'}: {type(module).__name__}",
        found=why,
        expected="each sample computed on its own, with draws from its key",
        remedy=_REMEDY[why],
    )


@dataclass(frozen=True)
class _Sample:
    """Random windows, what heads read beside them, and the keys of their draws."""

    batch: Batch
    keys: Tensor

    def part(self, index: int) -> _Sample:
        return _Sample(self.batch.part(index, index + 1), self.keys[index : index + 1])


def _random_batch(window: int, channels: int, device: torch.device) -> _Sample:
    """Noise of a different level in each window, with a label for every task."""
    drawn = torch.Generator().manual_seed(0)
    level = torch.arange(1.0, _SAMPLES + 1, dtype=torch.float64)  # (B,)
    noise = torch.randn(_SAMPLES, window, channels, generator=drawn, dtype=torch.float64)
    batch = Batch(
        window=noise * level[:, None, None],
        horizon=torch.zeros(_SAMPLES, 1, channels, dtype=torch.float64),
        fault=torch.zeros(_SAMPLES, dtype=torch.int64),
        anomaly=torch.zeros(_SAMPLES, dtype=torch.float64),
        rul=level / (_SAMPLES + 1),
        log_amplitude=level.log()[:, None].expand(-1, channels),
        age=level / _SAMPLES,
        index=torch.arange(_SAMPLES),
    )
    keys = torch.randint(2**62, (_SAMPLES,), generator=drawn)
    return _Sample(batch.to(device), keys.to(device))


def _probe(network: MultiTaskNetwork, samples: _Sample) -> None:
    """Compare company with itself, then each sample alone with itself in company.

    What every module did is kept only once they disagree, to name the first that is at fault.
    """
    buffers = {path: value.clone() for path, value in network.named_buffers()}
    company = _outputs(network, samples)
    repeated = _outputs(network, samples)
    for path, value in network.named_buffers():
        if path in buffers and not torch.equal(value, buffers[path]):
            owner = path.rpartition(".")[0]
            raise _refusal(owner, network.get_submodule(owner), _REMEMBERS)
    if not _agree(company, repeated):
        calls, again = _watched(network, samples), _watched(network, samples)
        raise _refusal(*_first(network, calls, again, 0), _DRAWS)
    for index in range(_SAMPLES):
        alone = samples.part(index)
        if not _agree([v[index : index + 1] for v in company], _outputs(network, alone)):
            calls, calls_alone = _watched(network, samples), _watched(network, alone)
            raise _refusal(*_first(network, calls, calls_alone, index), _MIXES)


def _outputs(network: MultiTaskNetwork, samples: _Sample) -> list[Tensor]:
    """Tokens (B, N, D) and each head's output (B, ...)."""
    try:
        tokens = network.trunk(samples.batch.window, samples.keys).tokens
        return [
            tokens,
            *(
                network.heads[objective.name](tokens, objective.extra(samples.batch))
                for objective in network.objectives
            ),
        ]
    except RuntimeError as error:
        raise UserError(
            "The network does not compute random windows in double precision.",
            where="the check that samples are independent",
            found=str(error),
            expected="layers that follow the type of their input, float32 or float64",
        ) from error


def _watched(network: MultiTaskNetwork, samples: _Sample) -> list[_Call]:
    """Every module's calls as they completed."""
    calls: list[_Call] = []

    def note(path: str) -> Callable[[nn.Module, object, dict[str, object], object], None]:
        return lambda module, given, named, output: calls.append(
            _Call(path, [*_tensors(given), *_tensors(list(named.values()))], [*_tensors(output)])
        )

    hooks = [
        module.register_forward_hook(note(path), with_kwargs=True)
        for path, module in network.named_modules()
    ]
    try:
        _outputs(network, samples)
    finally:
        for hook in hooks:
            hook.remove()
    return calls


def _tensors(output: object) -> Iterator[Tensor]:
    """The tensors in what a module was given or put out."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Features):
        yield output.tokens
    elif isinstance(output, tuple | list):
        for member in output:
            yield from _tensors(member)


def _first(
    network: nn.Module, company: list[_Call], alone: list[_Call], index: int
) -> tuple[str, nn.Module]:
    """The first module to make from the same input something else of sample `index`.

    Modules complete from the inside out, so it is the innermost. This only names what the outputs
    have shown already: which tensors compare is told by their shapes, and modules that are called
    more often in company are passed over.
    """
    for path in dict.fromkeys(call.path for call in company):
        pairs = [[call for call in calls if call.path == path] for calls in (company, alone)]
        if len(pairs[0]) == len(pairs[1]) and any(
            _same(many.given, one.given, index) and not _same(many.output, one.output, index)
            for many, one in zip(*pairs, strict=True)
        ):
            return path, network.get_submodule(path)
    return "", network


def _same(company: Sequence[Tensor], alone: Sequence[Tensor], index: int) -> bool:
    """Whether tensors of a call hold the same for a sample in company as alone."""
    shares = [(_share(m, one, index), one) for m, one in zip(company, alone, strict=False)]
    return all(share is None or _close(share, one) for share, one in shares)


def _share(company: Tensor, alone: Tensor, index: int) -> Tensor | None:
    """The sample's part of `company`, shaped as `alone`; None where shapes do not tell it."""
    if company.shape == alone.shape:
        return company
    if company.dim() != alone.dim():
        return None
    grown = [d for d in range(alone.dim()) if company.shape[d] != alone.shape[d]]
    size = alone.shape[grown[0]]
    if len(grown) > 1 or company.shape[grown[0]] != _SAMPLES * size:
        return None
    return company.narrow(grown[0], index * size, size)


def _agree(some: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    return all(_close(one, other) for one, other in zip(some, others, strict=True))


def _close(one: Tensor, other: Tensor) -> bool:
    """Equal up to rounding: two thirds of the digits of the largest value (of float64: 4e-11)."""
    if one.shape != other.shape:
        return False
    if one.is_complex():
        one, other = torch.view_as_real(one), torch.view_as_real(other)
    if not one.is_floating_point():
        return torch.equal(one, other)
    largest = float(one.abs().nan_to_num(posinf=0.0).max()) if one.numel() else 0.0
    tolerance = torch.finfo(one.dtype).eps ** (2 / 3) * largest
    return bool(torch.isclose(one, other, rtol=0.0, atol=tolerance, equal_nan=True).all())
