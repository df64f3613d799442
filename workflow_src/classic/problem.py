"""What a classic model is given, and how it reads and answers: spans in, predictions out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow_src.configuration.geometry import Geometry
from workflow_src.errors import BadData, UserError
from workflow_src.features.table import FeatureTable
from workflow_src.predictions import Labels, Predictions, ScoreFacts, TaskPredictions, task_labels
from workflow_src.tasks.signal_prediction.span_statistics import STATISTICS

Floats = NDArray[np.float64]
Outputs = Mapping[str, NDArray[np.float32 | np.float64]]  # (n, ...) by table row


class Signals(Labels, Protocol):
    """Signals and labels of n spans, as a network is given them."""

    @property
    def window(self) -> NDArray[np.float32]:
        """(n, L, C) in the rig's unit."""

    @property
    def horizon(self) -> NDArray[np.float32]:
        """(n, H, C) in the rig's unit."""

    @property
    def log_amplitude(self) -> NDArray[np.float32]:
        """(n, C), zeros where the dataset offers no amplitude."""

    @property
    def age(self) -> NDArray[np.float32]:
        """(n,), time in life over the mean training life, NaN: unknown."""


class SpanSource(Protocol):
    """The spans of a dataset, numbered by the rows of its split."""

    def rows(self, part: str) -> NDArray[np.int64]:
        """Rows of the part ``train``, ``val`` or ``test``."""

    def read(self, rows: NDArray[np.int64]) -> Signals:
        """Signals and labels of `rows`, in their order."""

    def labels(self, rows: NDArray[np.int64]) -> Labels:
        """Labels of `rows`, in their order."""

    def frame(self, rows: NDArray[np.int64]) -> pd.DataFrame:
        """The columns SPAN_COLUMNS of `rows`, in their order."""

    def recordings_of(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int32], pd.DataFrame]:
        """For each of `rows` the place of its recording in a table, and that table."""


@dataclass(frozen=True)
class Measured:
    """Of n spans what is known of them and was measured on them."""

    spans: pd.DataFrame  # the columns SPAN_COLUMNS
    fault: NDArray[np.int64]  # (n,), index into the classes, -1: none
    anomaly: NDArray[np.float32]  # (n,), 0 healthy, 1 not, NaN: none
    rul: NDArray[np.float32]  # (n,), fraction of life left, NaN: none
    values: Floats  # (n, ...), what was measured

    def where(self, keep: NDArray[np.bool_]) -> Measured:
        """The spans that `keep` (n,) marks."""
        return Measured(*(getattr(self, part.name)[keep] for part in fields(self)))

    def columns(self, kept: slice[int | None] | Sequence[int]) -> Measured:
        """The same spans with the columns `kept` of what was measured (n, F)."""
        return replace(self, values=self.values[:, kept])


@dataclass(frozen=True)
class Problem:
    """What a classic model learns and answers.

    Attributes:
        source: the spans; those of the test part as a network sees them, with their noise.
        tasks: to be answered; a task that the model cannot do is left out of its answer.
        facts: the classes, and what the scores need.
        seed: the cell's; of all that is drawn.
        amplitude: whether `log_amplitude` may be an input where a network may have it.
        mean_life_s: of the training runs; None without one.
        geometry: of the bearings and gears, by rig, where it is known and the method asks for it.
        batch_size: spans in memory at once.
        features: of the spans, where the method asks for them.
    """

    source: SpanSource
    tasks: Sequence[str]
    facts: ScoreFacts
    seed: int
    batch_size: int = 64
    amplitude: bool = False
    mean_life_s: float | None = None
    geometry: Mapping[str, Geometry] = field(default_factory=dict)
    features: FeatureTable | None = None

    def batches(self, rows: NDArray[np.int64]) -> Iterator[Signals]:
        """The spans of `rows`, `batch_size` at a time."""
        for start in range(0, len(rows), self.batch_size):
            yield self.source.read(rows[start : start + self.batch_size])

    def train(self) -> NDArray[np.int64]:
        """Rows of the spans to learn from."""
        return self.source.rows("train")

    def held(self) -> NDArray[np.int64]:
        """Rows of the spans that are to be predicted: those of validation and test."""
        return np.concatenate([self.source.rows("val"), self.source.rows("test")])

    def measure(self, rows: NDArray[np.int64], measure: Callable[[Signals], Floats]) -> Measured:
        """What `measure` gives for the spans of `rows`, a batch at a time, with their labels."""
        _require_some(rows)
        parts = [(s.fault, s.anomaly, s.rul, measure(s)) for s in self.batches(rows)]
        fault, anomaly, rul, values = (np.concatenate(part) for part in zip(*parts, strict=True))
        return Measured(self.source.frame(rows), fault, anomaly, rul, values)

    def described(self, rows: NDArray[np.int64], kinds: Sequence[str]) -> Measured:
        """The features KINDS of the spans of `rows`, with their labels; no signal is read."""
        _require_some(rows)
        if self.features is None:
            raise UserError(
                "This classic model has not asked for features.",
                expected="a class variable in its `Options`",
                remedy="FEATURES: ClassVar = True",
            )
        said, values = self.source.labels(rows), self.features.columns(rows, kinds)
        return Measured(self.source.frame(rows), said.fault, said.anomaly, said.rul, values)

    def predictions(
        self,
        held: Measured,
        outputs: Mapping[str, Outputs],
        distances: Sequence[str] = (),
    ) -> Predictions:
        """The file of `outputs`: task -> table row -> (n, ...), for the n spans of `held`.

        The row ``model`` bears the model's label in tables, ``model +age`` the label and "+age".
        `distances` names rows of anomaly detection whose score is no logit.
        """
        content = {}
        for task, rows in outputs.items():
            target, mask = task_labels(task, held)
            kept = {row: values.astype(np.float32) for row, values in rows.items()}
            columns = STATISTICS if target is None else ()
            ranking = tuple(distances) if task == "anomaly_detection" else ()
            content[task] = TaskPredictions(mask, kept, target, columns, ranking)
        lives = {} if self.mean_life_s is None else {"mean_training_life_s": self.mean_life_s}
        return Predictions(held.spans, content, self.facts.model_copy(update=lives))


def _require_some(rows: NDArray[np.int64]) -> None:
    if not len(rows):
        raise BadData(
            "A part of the split holds no span.",
            expected="spans to learn from in train, and to predict in val or test",
            remedy="choose another split in the dataset's file",
        )
