"""A first column that numbers or names the rows is no channel, or is asked about."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from .folder_rows import close, refusal, remedied, signal, write

RNG = np.random.default_rng(0)
NOISE = RNG.standard_normal((3000, 2)) * 3
INDEXES = {
    "filtered": np.sort(RNG.choice(9000, 3000, replace=False)),
    "sliced": np.arange(500, 3500),
    "every third": np.arange(0, 9000, 3),
    "shuffled": RNG.permutation(3000),
    "turned": np.arange(3000)[::-1],
}
ASKED = {
    "concatenated": np.arange(3000) % 1000,
    "sampled": RNG.choice(9000, 3000, replace=False),
}


@pytest.mark.parametrize("kind", ["csv", "xlsx", "tsv"])
@pytest.mark.parametrize("case", INDEXES)
def test_the_index_of_chosen_rows_is_no_channel(tmp_path, kind, case):
    at = INDEXES[case][:300] if kind == "xlsx" else INDEXES[case]
    at = np.argsort(at) if case in ("shuffled", "turned") else at
    frame = pd.DataFrame(NOISE[: len(at)], columns=["a", "b"], index=at)
    if kind == "xlsx":
        frame.to_excel(tmp_path / "u1.xlsx")
    else:
        frame.to_csv(tmp_path / f"u1.{kind}", sep="\t" if kind == "tsv" else ",")
    read, notes = signal(tmp_path, files="u{unit}." + kind)
    close(read, NOISE[: len(at)])
    assert any("an index and no channel" in note for note in notes)


@pytest.mark.parametrize("case", ASKED)
@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_an_index_that_may_be_a_signal_is_asked_about(tmp_path, case, name):
    frame = pd.DataFrame(NOISE, columns=["a", "b"], index=ASKED[case])
    frame.to_csv(tmp_path / "u1.csv", index_label=name or None)
    message = refusal(tmp_path, "column 0", "channels: [1, 2]")
    close(remedied(tmp_path, message), NOISE)
    assert signal(tmp_path, channels=[0, 1, 2])[0].shape == (3000, 3)


def test_an_unnamed_column_of_fractions_is_a_channel(tmp_path):
    pd.DataFrame({"": NOISE[:, 0], "b": NOISE[:, 1]}).to_csv(tmp_path / "u1.csv", index=False)
    close(signal(tmp_path)[0], NOISE)


@pytest.mark.parametrize("sep", [",", " ", "\t"])
@pytest.mark.parametrize("mark", ['"', ""])
def test_row_names_of_a_subset_in_r_are_no_channel(tmp_path, sep, mark):
    lines = [sep.join((f"{mark}a{mark}", f"{mark}b{mark}"))]
    for n, row in zip(INDEXES["filtered"], NOISE, strict=True):
        lines.append(sep.join([f"{mark}{n + 1}{mark}", *(f"{v:.6f}" for v in row)]))
    write(tmp_path, "\n".join(lines))
    close(signal(tmp_path)[0], NOISE)
    close(signal(tmp_path, channels=["b"])[0], NOISE[:, 1:])
    lines[1:] = [lines[1 + at] for at in RNG.permutation(3000)[:2000]]
    write(tmp_path, "\n".join(lines))
    assert remedied(tmp_path, refusal(tmp_path, "channels: [1, 2]")).shape == (2000, 2)


# -- columns that rise -----------------------------------------------------------------------------


@pytest.mark.parametrize("first", [0, 500])
def test_a_column_that_numbers_the_samples_is_answered_by_the_others(tmp_path, first):
    lines = [f"{first + n},{a:.6f},{b:.6f}" for n, (a, b) in enumerate(NOISE)]
    write(tmp_path, "\n".join(["n,a,b", *lines]))
    message = refusal(tmp_path, "column 0", "channels: [0, 1, 2]")
    close(remedied(tmp_path, message), NOISE)


def test_a_column_of_rising_whole_numbers_is_asked_about(tmp_path):
    at = INDEXES["filtered"]
    write(tmp_path, "\n".join(f"{n},{a:.6f}" for n, a in zip(at, NOISE[:, 0], strict=True)))
    close(remedied(tmp_path, refusal(tmp_path, "column 0")), NOISE[:, :1])
    assert signal(tmp_path, channels=[0, 1])[0].shape == (3000, 2)


def test_a_column_of_times_is_answered_by_its_place_in_the_file(tmp_path):
    frame = pd.DataFrame({"t": np.arange(3000) / 1000, "a": NOISE[:, 0]})
    frame.to_csv(tmp_path / "u1.csv")
    message = refusal(tmp_path, "column 1", "time_column: 1")
    close(signal(tmp_path, time_column=1)[0], NOISE[:, :1])
    close(remedied(tmp_path, message), NOISE[:, :1])
