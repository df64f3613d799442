"""Fault classification: cross-entropy on pooled tokens; amplitude never enters."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn
from torch.nn import functional

from workflow_src.errors import BadData
from workflow_src.tasks.batch import Batch
from workflow_src.tasks.classification.options import ClassificationKeys
from workflow_src.tasks.meters import ConfusionMeter
from workflow_src.tasks.objective import HeadShape, Scale
from workflow_src.tasks.objectives import ObjectiveFacts
from workflow_src.tasks.pooling import PooledLinear


@dataclass
class Classification:
    """Cross-entropy with label smoothing (Szegedy et al. 2016, section 7); output (B, K) logits."""

    weight: float = 1.0
    label_smoothing: float = 0.0
    name: str = field(default="classification", init=False)

    def build_head(self, shape: HeadShape) -> nn.Module:
        """Pooled tokens to K logits."""
        return PooledLinear(shape.width, shape.classes)

    def extra(self, batch: Batch) -> Tensor | None:
        """Nothing: amplitude gives the class away where gain and class go together."""
        return None

    def mask(self, batch: Batch) -> Tensor:
        """(B,) whether the span has a class."""
        return batch.fault >= 0

    def loss(self, output: Tensor, batch: Batch, scale: Scale) -> Tensor:
        """(B,) cross-entropy; spans without a class stand in as class 0."""
        return functional.cross_entropy(
            output.float(),
            batch.fault.clamp(min=0),
            reduction="none",
            label_smoothing=self.label_smoothing,
        )

    def predict(self, output: Tensor, batch: Batch, scale: Scale) -> Tensor:
        """(B, K) logits."""
        return output.float()

    def meter(self) -> ConfusionMeter:
        """Macro F1 and its kin from counts of true and predicted classes."""
        return ConfusionMeter(self.mask)


def build(keys: ClassificationKeys, facts: ObjectiveFacts) -> Classification:
    """The objective; a training part with fewer than two classes is BadData."""
    if len(facts.classes) < 2:
        raise BadData(
            "Classification needs two classes or more in the training part.",
            found=", ".join(facts.classes) or "no class",
            remedy="choose another split, or a task set without `classification:`",
        )
    return Classification(keys.weight, keys.label_smoothing)
