"""The trunk (normalisation, embedding, backbone) and the network that carries the heads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue
from torch import Tensor, nn

from workflow_src.errors import UserError
from workflow_src.models.backbones import build_backbone
from workflow_src.models.draws import KeyedDropout, fresh_keys
from workflow_src.models.embedding import HybridSpatialEmbedding, PatchEmbedding
from workflow_src.models.normalisation import WindowScale, normalise
from workflow_src.models.stack import Stack

Options = Mapping[str, JsonValue]

_EMBEDDED_SALT = 0x454D42  # apart from the small salts of the layers


@dataclass(frozen=True)
class TrunkShape:
    """Sizes that a trunk is built for and that heads need.

    Attributes:
        window: samples L of a window.
        channels: channels C.
        patch_length: samples of a patch.
        patch_count: tokens N.
        width: features D of a token.
    """

    window: int
    channels: int
    patch_length: int
    patch_count: int
    width: int


@dataclass(frozen=True)
class Features:
    """What the heads read: tokens (B, N, D) and the scale that the window had."""

    tokens: Tensor
    scale: WindowScale


class Trunk(nn.Module):
    """Normalise a window, embed its patches, dropout, backbone.

    Args:
        shape: sizes of the trunk.
        embedding: `(window (B, L, C), keys) -> (B, N, D)`.
        backbone: stack `(tokens, keys) -> tokens`, both (B, N, D).
        normalised: scale each window by its own statistics.
        dropout: rate on the embedded tokens.
    """

    def __init__(
        self,
        shape: TrunkShape,
        embedding: nn.Module,
        backbone: Stack,
        *,
        normalised: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.shape = shape
        self.normalised = normalised
        self.embedding = embedding
        self.dropout = KeyedDropout(dropout, _EMBEDDED_SALT)
        self.backbone = backbone

    def forward(self, window: Tensor, keys: Tensor | None = None) -> Features:
        """Map windows (B, L, C) to Features with tokens (B, N, D).

        Args:
            window: (B, L, C), in any unit.
            keys: (B,) int64, one per sample and step: the same keys draw the same, however the
                batch is divided. Without them torch's generator draws, in training only.

        Raises:
            UserError: the window is not of the trunk's length and channels.
        """
        expected = (self.shape.window, self.shape.channels)
        if tuple(window.shape[1:]) != expected:
            raise UserError(
                "The model was built for windows of another shape.",
                where="the batch",
                found=f"(samples, channels) = {tuple(window.shape[1:])}",
                expected=str(expected),
                remedy="build the model with the window and channels of the dataset",
            )
        if self.training and keys is None:
            keys = fresh_keys(len(window), window.device)
        scale = WindowScale.identity(window)
        if self.normalised:
            window, scale = normalise(window)
        tokens = self.dropout(self.embedding(window, keys), keys)
        return Features(self.backbone(tokens, keys), scale)


class Network(nn.Module):
    """One trunk and a head for each task.

    Args:
        trunk: shared by all tasks.
        heads: `(tokens (B, N, D), extra (B, E) | None) -> Tensor` by name of the task.
    """

    def __init__(self, trunk: Trunk, heads: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.trunk = trunk
        self.heads = nn.ModuleDict(heads)

    def forward(
        self,
        window: Tensor,
        extras: Mapping[str, Tensor] | None = None,
        keys: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Output of every head for windows (B, L, C).

        Args:
            window: (B, L, C).
            extras: (B, E) by name of the head that reads it.
            keys: (B,) int64, see Trunk.forward.
        """
        return self.outputs(self.trunk(window, keys), extras)

    def outputs(
        self, features: Features, extras: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Output of every head for features of the trunk, for callers that need the scale too."""
        extras = extras or {}
        return {name: head(features.tokens, extras.get(name)) for name, head in self.heads.items()}


def _option(options: Options, name: str) -> Any:
    if name not in options:
        raise UserError(
            f"The model does not say its {name}.",
            where="the model's file in config/models",
            found=", ".join(sorted(options)) or "no key",
            expected=f"the key {name}",
            remedy=f"{name}: <value>",
        )
    return options[name]


def _choice(options: Options, name: str, choices: tuple[str, ...]) -> str:
    value = _option(options, name)
    if value not in choices:
        raise UserError(
            f"There is no such {name}.",
            where=f"{name} of the model",
            found=str(value),
            expected=" | ".join(choices),
            remedy=f"{name}: {choices[0]}",
        )
    return str(value)


def build_trunk(
    options: Options, window: int, channels: int, rate_hz: float | None = None
) -> Trunk:
    """Build the trunk for windows of `window` samples and `channels` channels.

    Args:
        options: the model's keys: backbone, embedding (patch | hse), normalisation (window |
            none), width, depth, dropout, patch_length, patch_count, and those of the backbone.
        window: samples L.
        channels: channels C.
        rate_hz: sampling rate, read by hse only; None counts its time in samples.

    Raises:
        UserError: an unknown or missing key, or sizes that do not fit each other.
    """
    width = _option(options, "width")
    shape = TrunkShape(
        window, channels, _option(options, "patch_length"), _option(options, "patch_count"), width
    )
    sizes = (window, channels, shape.patch_length, shape.patch_count, width)
    embedding: nn.Module
    if _choice(options, "embedding", ("patch", "hse")) == "patch":
        embedding = PatchEmbedding(*sizes)
    else:
        embedding = HybridSpatialEmbedding(*sizes, rate_hz)
    return Trunk(
        shape,
        embedding,
        build_backbone(options),
        normalised=_choice(options, "normalisation", ("window", "none")) == "window",
        dropout=_option(options, "dropout"),
    )
