"""Features that give the label away without any look at the shape of the signal.

Rule for a class, or normal against fault. A tree on one feature, with as many leaves as there are
classes, is fitted to the recordings of the training part and scored on those of test. It is a
shortcut where its balanced accuracy exceeds chance by ``MARGIN`` and hardly any of the ways to hand
the test labels to the units does as well: a share of at most ``LEVEL`` over the number of questions
(features times targets; Bonferroni). Where the test part has so few units that no result could pass
(four units, one of them normal: one way in four), it is one from ``SEPARATES`` on.

Rule for a life: over the runs to failure of the split, the rank correlation of the feature with the
life is at least ``SEPARATES`` in size and passes the same test, where there are runs enough for it.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from workflow_src.artifacts.audit_report import FoundShortcut, ShortcutFigures
from workflow_src.data.audit.features import PIECE_COLUMNS
from workflow_src.data.recordings import NORMAL

MARGIN = 0.1
LEVEL = 0.05
SEPARATES = 0.9
LIFE = "the life of a run"
_DRAWS = 999
_FEWEST_RUNS = 3  # any two lives are in order, or in reverse


@dataclass(frozen=True)
class Shortcut(ShortcutFigures):
    """The figures of one feature, and what they mean."""

    level: float = LEVEL

    @property
    def testable(self) -> bool:
        """Whether there are units enough for a permutation to say anything."""
        return self.least_p <= self.level

    @property
    def warns(self) -> bool:
        """Whether it stands under the tables."""
        least = self.chance + MARGIN
        if self.target == LIFE or not self.testable:
            least = max(least, SEPARATES)
        return self.score >= least and (self.p <= self.level or not self.testable)

    @property
    def text(self) -> str:
        """The warning in words."""
        of_life = self.target == LIFE
        told = f"{self.target} (no model is given it)" if of_life else self.target
        measure = "rank correlation" if of_life else "balanced accuracy"
        counted = f"{self.units} {'runs' if of_life else 'test units'}"
        tested = f"p = {self.p:.3f}" if self.testable else "too few for a test"
        return (
            f"{self.feature} alone tells {told}: {measure} {self.score:.2f} ({counted}, {tested})"
        )

    def found(self) -> FoundShortcut:
        """As it stands in the report."""
        return FoundShortcut(**asdict(self), warns=self.warns)


def shortcuts(pieces: pd.DataFrame) -> list[Shortcut]:
    """Every feature of `pieces` (``features.pieces``) against every target that has labels."""
    features = [name for name in pieces.columns if name not in PIECE_COLUMNS]
    known = pieces[pieces["fault"] != ""]
    anomaly = known["fault"].where(known["fault"] == NORMAL, "fault")
    targets = {"normal from fault": anomaly, "the class": known["fault"]}
    if known["fault"].nunique() == anomaly.nunique():
        del targets["the class"]  # the same question, where one of two classes is normal
    draws = max(_DRAWS, math.ceil(2 * (len(targets) * len(features) + 3) / LEVEL))
    found = [
        shortcut
        for feature in features
        for target, labels in targets.items()
        if (shortcut := _of_class(feature, target, known, labels, draws)) is not None
    ]
    found += _of_life(pieces, draws)
    return [replace(one, level=LEVEL / len(found)) for one in found]


# ------------------------------------------------------------------------------- classes


def _of_class(
    feature: str, target: str, known: pd.DataFrame, labels: pd.Series[str], draws: int
) -> Shortcut | None:
    """None where the parts lack classes or the feature is one value in training."""
    from sklearn.tree import DecisionTreeClassifier

    values = known[feature].fillna(-1.0).to_numpy()[:, None]  # (n, 1); -1: unknown
    train, test = (known["part"].to_numpy() == part for part in ("train", "test"))
    classes = sorted(set(labels[train]))
    present = sorted(set(labels[test]))
    if len(classes) < 2 or len(present) < 2 or len(np.unique(values[train])) < 2:
        return None
    tree = DecisionTreeClassifier(
        max_leaf_nodes=len(classes), class_weight="balanced", random_state=0
    ).fit(values[train], labels[train])
    predicted = tree.predict(values[test])
    blocks = (known["unit_id"] + "\0" + labels)[test]  # one unit may bear several faults
    names, which = np.unique(blocks.to_numpy(np.str_), return_inverse=True)
    hits = np.zeros((len(names), len(present)))  # recordings of a block that were taken for a class
    for block, label in zip(which, predicted, strict=True):
        if label in present:
            hits[block, present.index(label)] += 1
    sizes = np.bincount(which)
    own = np.array([present.index(name.split("\0")[1]) for name in names])
    score = float(_balanced_accuracy(own[None], hits, sizes)[0])
    shuffled = np.random.default_rng(0).permuted(np.tile(own, (draws, 1)), axis=1)
    p, least_p = _share(_balanced_accuracy(shuffled, hits, sizes), score), 1 / _arrangements(own)
    return Shortcut(feature, target, score, 1 / len(present), len(names), p, least_p)


def _balanced_accuracy(
    own: NDArray[np.intp], hits: NDArray[np.float64], sizes: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Mean recall (n,) where blocks are of the classes `own` (n, b), of `hits` (b, K), `sizes`."""
    recalls = [
        ((own == k) @ hits[:, k]) / ((own == k) @ sizes.astype(np.float64))
        for k in range(hits.shape[1])
    ]
    mean: NDArray[np.float64] = np.mean(recalls, axis=0)
    return mean


def _arrangements(own: NDArray[np.intp]) -> int:
    """The different ways to hand the labels to the blocks."""
    ways = math.factorial(len(own))
    for count in Counter(own.tolist()).values():
        ways //= math.factorial(count)
    return ways


def _share(drawn: NDArray[np.float64], score: float) -> float:
    """Share of the draws, the one found among them, that are at least as good."""
    return float((1 + (drawn >= score - 1e-9).sum()) / (1 + len(drawn)))


# ------------------------------------------------------------------------------- lives


def _of_life(pieces: pd.DataFrame, draws: int) -> list[Shortcut]:
    """What a run shows before any signal is read: how many recordings, how far apart, how long."""
    failing = pieces[pieces["life_s"].notna()].drop_duplicates("recording_id")
    runs = failing.groupby("run_id")
    life = runs["life_s"].first()
    if len(life) < _FEWEST_RUNS or life.nunique() == 1:
        return []
    features = {}
    if failing["length"].nunique() > 1:  # else it is the number of recordings
        features["length"] = runs["length"].sum()
    if (runs.size() > 1).all():
        features |= {
            "number of recordings": runs.size(),
            "spacing of recordings": runs["time_s"].agg(lambda t: np.median(np.diff(np.sort(t)))),
        }
    found = []
    for name, values in features.items():
        if values.nunique() > 1:
            score, p = _rank_correlation(values.to_numpy(float), life.to_numpy(float), draws)
            least_p = 2 / math.factorial(len(life))
            found.append(Shortcut(name, LIFE, score, 0.0, len(life), p, least_p))
    return found


def _rank_correlation(
    a: NDArray[np.float64], b: NDArray[np.float64], draws: int
) -> tuple[float, float]:
    """Size of Spearman's correlation of (n,) and (n,), and its share of permutations."""
    ranks, others = rankdata(a), rankdata(b)
    score = abs(float(np.corrcoef(ranks, others)[0, 1]))
    shuffled = np.random.default_rng(0).permuted(np.tile(ranks, (draws, 1)), axis=1)
    centred = others - others.mean()
    spread = np.sqrt(((ranks - ranks.mean()) ** 2).sum() * (centred @ centred))
    return score, _share(np.abs(shuffled @ centred) / spread, score)
