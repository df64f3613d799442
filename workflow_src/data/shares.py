"""Which share of the spans a part was to hold, and which it holds."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from workflow_src.artifacts.split_summary import ReachedShare
from workflow_src.configuration.schema import Split

_FAR = 1 / 3  # of the share asked: beyond it a warning
_KEYS = {"test": "split.test_share", "val": "split.validation.share"}
_OF = {"test": "of all spans", "val": "of the spans of training and validation"}


def shares(rows: pd.DataFrame, split: Split, drawn: bool) -> dict[str, ReachedShare]:
    """By part that a share was asked of; `rows` is a row a span.

    `drawn`: the validation part was not named by a file or a selector. Parts of which a protocol
    leaves spans out (``shots``, ``train_units``, ``truncation``) have no share.
    """
    if split.shots is not None or split.train_units is not None or split.truncation is not None:
        return {}
    counts = {part: int((rows["part"] == part).sum()) for part in ("train", "val", "test")}
    found = {}
    if split.test is None and split.rotation is None and split.strategy != "fixed":
        found["test"] = (split.test_share, counts["test"] / len(rows))
    if drawn and split.validation.strategy != "none":
        training = counts["train"] + counts["val"]
        found["val"] = (split.validation.share, counts["val"] / max(training, 1))
    return {
        part: ReachedShare(asked=asked, reached=round(reached, 4))
        for part, (asked, reached) in found.items()
    }


def told(found: Mapping[str, ReachedShare]) -> list[str]:
    """A line for each share."""
    return [
        f"{part} holds {share.reached:.1%} {_OF[part]}; `{_KEYS[part]}` asks for {share.asked:.1%}"
        for part, share in found.items()
    ]


def far_off(found: Mapping[str, ReachedShare]) -> list[str]:
    """Those lines whose share is more than a third beside what was asked."""
    far = {p: s for p, s in found.items() if abs(s.reached - s.asked) > _FAR * s.asked}
    return told(far)
