"""Keys of protocols beyond one test part: rotations, few shots or units, naive windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from workflow_src.configuration.base import ConfigError, StrictModel, repeated

if TYPE_CHECKING:
    from workflow_src.configuration.data import Split

# Strategies that hold out groups of recordings (rather than blocks, windows or a list).
_NOT_BY_GROUP = ("time_block", "fixed", "naive_windows")
UnitCount = Annotated[int, Field(ge=1)] | Literal["all"]
UNIT_DRAWS = 5


class Rotation(StrictModel):
    """Each group of the strategy held out once: datasets `name.fold0`, `name.fold1`, ..."""

    folds: int = Field(
        ge=2,
        description="Into how many parts the groups are dealt, balanced by class; as many as there "
        "are groups: leave one out.",
        examples=[9],
    )
    leave_one_out: bool = Field(
        False,
        strict=True,
        description="Refuse any number of folds but that of the groups.",
        examples=[True],
    )
    fold: int | None = Field(
        None,
        ge=0,
        description="Which of them this dataset holds out; `name.foldN` sets it.",
        examples=[0],
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> Rotation:
        if self.fold is not None and self.fold >= self.folds:
            raise ConfigError(f"There is no fold {self.fold} of {self.folds}.", put={"fold": 0})
        return self


class Shots(StrictModel):
    """A few labelled recordings, or blocks, of the held-out group in training, never in test."""

    per_class: int = Field(
        ge=1, description="So many of each class that the test part holds.", examples=[5]
    )
    of: Literal["recordings", "blocks"] = Field(
        "recordings",
        description="Whole recordings, or blocks of them that a gap separates from the test part.",
        examples=["blocks"],
    )
    spans: int = Field(1, ge=1, description="blocks: spans that one holds.", examples=[4])
    draws: int = Field(
        5, ge=1, description="So many draws, each a dataset `name.foldN`.", examples=[3]
    )
    draw: int | None = Field(
        None, ge=0, description="Which of them this dataset is; `name.foldN` sets it.", examples=[0]
    )

    @model_validator(mode="after")
    def _fits(self) -> Shots:
        if self.of == "recordings" and self.spans != 1:
            raise ConfigError("Whole recordings are no blocks of `spans`.", drop="spans")
        if self.draw is not None and self.draw >= self.draws:
            raise ConfigError(f"There is no draw {self.draw} of {self.draws}.", put={"draw": 0})
        return self


def require_fitting(split: Split) -> None:
    """Refuse protocols that exclude each other, and a leak that was not asked for (ConfigError)."""
    naive, validation = split.strategy == "naive_windows", split.validation.strategy
    fits = validation in ("naive_windows", "none") if naive else validation != "naive_windows"
    mended = (
        {} if fits else {"validation": {"strategy": "naive_windows" if naive else "time_block"}}
    )
    if naive and not split.allow_leakage:
        raise ConfigError(
            "naive_windows puts overlapping windows of one recording into training and test. It "
            "exists to reproduce numbers of others, and every table made with it says leaky.",
            put={"allow_leakage": True, **mended},
        )
    if split.allow_leakage and not naive:
        what = f"Strategy {split.strategy} does not leak: there is nothing to allow."
        raise ConfigError(what, drop="allow_leakage")
    if not fits:
        what = "Test and validation are both drawn as naive windows, or neither of them is."
        raise ConfigError(what, put=mended)
    for name, value in (("test", split.test), ("train", split.train), ("folds", split.folds)):
        if naive and value:
            raise ConfigError(f"naive_windows draws windows: it reads no `{name}`.", drop=name)
    if naive and split.gap:
        raise ConfigError("naive_windows leaves no gap.", drop="gap")
    _require_groups(split)
    _require_one_curve(split)


def _require_groups(split: Split) -> None:
    given = (
        ("rotation", split.rotation), ("shots", split.shots), ("truncation", split.truncation),
        ("train_units", split.train_units),
    )  # fmt: skip
    for name, value in given:
        if value is None or split.strategy not in _NOT_BY_GROUP:
            continue
        if name != "truncation" or split.strategy != "fixed":  # a list names whole runs as well
            what = f"`{name}` needs a strategy that holds out groups, not {split.strategy}."
            raise ConfigError(what, put={"strategy": "unit"})
    if split.rotation is not None:
        lists = {"folds": split.folds, "test": split.test, "train": split.train}
        for other, listed in lists.items():
            if listed:
                raise ConfigError(f"`rotation` makes the folds; it excludes `{other}`.", drop=other)
    if split.shots is not None and split.truncation is not None:
        raise ConfigError("A truncated run gives one prediction and no shots.", drop="shots")


def _require_one_curve(split: Split) -> None:
    numbers = split.train_units
    if numbers is None:
        for name, value in (("draws", split.draws), ("draw", split.draw)):
            if value is not None:
                raise ConfigError(f"`{name}` is one of `train_units`, not given.", drop=name)
        return
    if twice := repeated(numbers):
        once = list(dict.fromkeys(numbers))
        raise ConfigError(f"`train_units` names {twice[0]} twice.", put={"train_units": once})
    if split.shots is not None:
        what = "With shots in training, not only `train_units` are in it: one or the other."
        raise ConfigError(what, drop="shots")
    if split.draw is not None and (len(numbers) > 1 or split.draws is not None):
        what = "`draw` is one draw of one number: it excludes `draws` and a list of numbers."
        raise ConfigError(what, drop="draw")
