"""PatchTST against the reference arrays, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from workflow_src.errors import UserError
from workflow_src.models.patchtst import EncoderLayer, SelfAttention
from workflow_src.models.stack import Stack


def attention_arrays(oracle: Any, kind: str, theirs: str = "", own: str = "") -> dict[str, Tensor]:
    """The reference keeps q, k and v apart."""
    arrays = {}
    for part in ("weight", "bias"):
        names = (f"{kind}.{theirs}{name}_projection.{part}" for name in ("query", "key", "value"))
        arrays[f"{own}qkv.{part}"] = torch.cat([oracle[name] for name in names])
        arrays[f"{own}out.{part}"] = oracle[f"{kind}.{theirs}out_projection.{part}"]
    return arrays


def encoder_arrays(oracle: Any, kind: str, prefix: str = "") -> dict[str, Tensor]:
    """The reference writes its linear maps as convolutions of kernel 1."""
    arrays = attention_arrays(oracle, kind, f"{prefix}attention.", "attention.")
    for own, theirs in (("hidden", "conv1"), ("out", "conv2")):
        arrays[f"{own}.weight"] = oracle[f"{kind}.{prefix}{theirs}.weight"].squeeze(-1)
        arrays[f"{own}.bias"] = oracle[f"{kind}.{prefix}{theirs}.bias"]
    for own, theirs in (("attention_norm", "norm1"), ("out_norm", "norm2")):
        for part in ("weight", "bias"):
            arrays[f"{own}.{part}"] = oracle[f"{kind}.{prefix}{theirs}.{part}"]
    return arrays


@pytest.mark.oracle("attention_*")
def test_attention_reference(oracle: Any) -> None:
    """The attention weights, which the fused product never forms, are formed here."""
    tokens, heads = oracle.input(), oracle["out.attn"].shape[1]
    attention = SelfAttention(tokens.shape[2], heads)
    oracle.fill(attention, attention_arrays(oracle, "sd"))
    out = attention(tokens)
    q, k, _ = attention.queries_keys_values(tokens)
    weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(dim=-1)
    oracle.holds("out", "y", out)
    oracle.holds("out", "attn", weights)
    ((out * oracle["cot.y"]).sum() + (weights * oracle["cot.attn"]).sum()).backward()
    oracle.holds("gin", "x", tokens.grad)
    for name, gradient in attention_arrays(oracle, "gsd").items():
        oracle.close(name, attention.get_parameter(name).grad, gradient)


@pytest.mark.oracle("encoderlayer_*")
def test_encoder_layer_reference(oracle: Any) -> None:
    meta, tokens = oracle.meta, oracle.input()
    layer = EncoderLayer(meta["d_model"], meta["n_heads"], meta["d_ff"])
    oracle.fill(layer, encoder_arrays(oracle, "sd"))
    out = layer(tokens)
    oracle.holds("out", "y", out)
    (out * oracle["cot.y"]).sum().backward()
    oracle.holds("gin", "x", tokens.grad)
    for name, gradient in encoder_arrays(oracle, "gsd").items():
        oracle.close(name, layer.get_parameter(name).grad, gradient)


class BatchNormOverTokens(nn.Module):
    """The reference's closing norm, which ours leaves out because it mixes samples."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.norm(tokens.transpose(1, 2)).transpose(1, 2)


@pytest.mark.oracle("patchtst_vib_train")
def test_stack_reference(oracle: Any) -> None:
    cfg, tokens = oracle.meta["cfg"], oracle.input()
    width, prefix = cfg["output_dim"], "encoder.attn_layers."
    layers = [EncoderLayer(width, cfg["num_heads"], cfg["d_ff"]) for _ in range(cfg["e_layers"])]
    for index, layer in enumerate(layers):
        oracle.fill(layer, encoder_arrays(oracle, "sd", f"{prefix}{index}."))
    norm = BatchNormOverTokens(width)
    parts = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    oracle.fill(norm, {f"norm.{part}": oracle[f"sd.encoder.norm.1.{part}"] for part in parts})
    out = Stack(layers, closing=norm).train()(tokens)
    oracle.holds("out", "y", out)
    (out * oracle["cot.y"]).sum().backward()
    oracle.holds("gin", "x", tokens.grad)
    for part in ("running_mean", "running_var"):
        oracle.holds("sd_after", f"encoder.norm.1.{part}", norm.norm.get_buffer(part))
    for index, layer in enumerate(layers):
        for name, gradient in encoder_arrays(oracle, "gsd", f"{prefix}{index}.").items():
            # BatchNorm undoes scale and shift of the norm before it: their gradients cancel, and
            # what float32 left of them in the reference is rounding of terms as large as `cot`.
            cancels = layer is layers[-1] and name.startswith("out_norm")
            oracle.close(name, layer.get_parameter(name).grad, gradient, 1.0 if cancels else None)


@pytest.mark.parametrize(("width", "heads", "fitting"), [(16, 3, 2), (10, 4, 2), (7, 0, 1)])
def test_heads_that_do_not_divide_the_width_are_refused(
    width: int, heads: int, fitting: int
) -> None:
    with pytest.raises(UserError, match=f"heads: {fitting}"):
        SelfAttention(width, heads)
    SelfAttention(width, fitting)
