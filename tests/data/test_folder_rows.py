"""Tables of samples come back equal to what was written, or are refused with file and line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, assume, given
from hypothesis import strategies as st

from workflow_src.configuration import Rig
from workflow_src.data.inspection import inspect
from workflow_src.data.sources.folder import FolderSource
from workflow_src.data.sources.phm_vibench.table import read_table
from workflow_src.errors import BadData, UserError

from ..examples import examples
from .folder_rows import (
    BOTH,
    LENGTH,
    SINE,
    book,
    close,
    comma,
    refusal,
    remedied,
    rows,
    sheet,
    signal,
    told,
    write,
)

# -- rows of other widths -------------------------------------------------------------------------


@pytest.mark.parametrize("sep", ["\t", ",", ";"])
def test_the_index_of_pandas_moves_no_column(tmp_path, sep):
    frame = pd.DataFrame(BOTH, columns=["DE", "FE"])
    frame.to_csv(tmp_path / "u1.csv", sep=sep)
    for options in ({}, {"channels": ["DE", "FE"]}, {"channels": [1, 2]}):
        close(signal(tmp_path, **options)[0], BOTH)
    close(signal(tmp_path, channels=["FE"])[0], BOTH[:, 1:])
    assert any("an index and no channel" in note for note in signal(tmp_path)[1])


@pytest.mark.parametrize("kind", ["csv", "xlsx", "parquet"])
def test_an_index_saved_again_is_no_channel(tmp_path, kind):
    frame = pd.DataFrame({"Unnamed: 0": range(LENGTH), "x": SINE})
    path = tmp_path / f"u1.{kind}"
    {"csv": frame.to_csv, "xlsx": frame.to_excel, "parquet": frame.to_parquet}[kind](
        path, index=False
    )
    close(signal(tmp_path, files="u{unit}." + kind)[0], BOTH[:, :1])


@pytest.mark.parametrize("sep", ["\t", ",", ";", " "])
@pytest.mark.parametrize("quote", ['"', ""])
def test_row_names_of_r_move_no_column(tmp_path, sep, quote):
    lines = [sep.join(f"{quote}{name}{quote}" for name in ("DE", "FE"))]
    lines += [f"{quote}{i}{quote}{sep}{row}" for i, row in enumerate(rows(sep), 1)]
    write(tmp_path, "\n".join(lines) + "\n")
    close(signal(tmp_path, channels=["DE", "FE"])[0], BOTH)
    close(signal(tmp_path)[0], BOTH)


def test_a_header_that_lacks_a_name_is_refused(tmp_path):
    write(tmp_path, "\n".join(["a", *rows()]))
    refusal(tmp_path, "line 1", "samples of 2 columns from line 2")
    write(tmp_path, "\n".join(["a,b,c", *rows()]))
    refusal(tmp_path, "line 1", "samples of 2 columns from line 2")


@pytest.mark.parametrize("line", ["0.5,,0.25", "7,0.5,0.25", "0.5", "0.5,0.25,", ",0.5,0.25"])
@pytest.mark.parametrize("channels", [None, [0], ["b"]])
def test_a_stray_or_a_lacking_cell_is_refused(tmp_path, line, channels):
    lines = ["a,b", *rows()]
    lines[41] = line
    write(tmp_path, "\n".join(lines))
    refusal(tmp_path, "u1.csv, line 42", f"cells: {line}", "2 cells", channels=channels)


def test_a_stray_cell_is_found_among_spaces_and_quotation_marks(tmp_path):
    lines = rows("  ")
    lines[77] += " 3"
    write(tmp_path, "\n".join(lines))
    refusal(tmp_path, "u1.csv, line 78", "3 cells")
    lines = [f'"{a:.3f}","{b:.3f}"' for a, b in BOTH]
    lines[9] = '"1","2,5","3"'
    write(tmp_path, "\n".join(lines))
    refusal(tmp_path, "u1.csv, line 10", "3 cells")


def test_a_cell_moved_into_a_blank_column_is_refused(tmp_path):
    lines = rows(end=",")
    lines[40] = "7,0.5,0.25"
    write(tmp_path, "\n".join(lines))
    for channels in (None, [0, 1], [1]):
        refusal(tmp_path, "line 41, column 2", channels=channels)


@pytest.mark.parametrize("head", [[], ["count"]])
def test_thousands_are_never_read_as_units(tmp_path, head):
    values = [999, 998, 1234, 1500, 12, -2345] * 30
    write(tmp_path, "\n".join([*head, *(f"{v:,}" for v in values)]))
    read = remedied(tmp_path, refusal(tmp_path, "thousands"))
    assert read[:, 0].tolist() == values
    write(tmp_path, "\n".join([*head, *(f"{v + 1234567:,}" for v in values)]))
    read = remedied(tmp_path, refusal(tmp_path, "thousands"))
    assert read[:, 0].tolist() == [v + 1234567 for v in values]


def test_a_sign_of_thousands_stands_before_three_digits(tmp_path):
    lines = ["1,234;5"] * 50 + ["1,5;5"] + ["1,234;5"] * 50
    write(tmp_path, "\n".join(lines))
    refusal(tmp_path, "line 51", "1,5;5", "before three digits", thousands=",")
    write(tmp_path, "\n".join(["1,234;5"] * 99))
    assert signal(tmp_path, thousands=",")[0][0].tolist() == [1234, 5]


DECIMAL_COMMAS = {
    "one column": ([comma(a) for a in SINE], 1),
    "one named column": (["acc", *(comma(a) for a in SINE)], 1),
    "semicolons": ([f"{comma(a)};{comma(b)}" for a, b in BOTH], 2),
    "tabs": (["x\ty", *(f"{comma(a)}\t{comma(b)}" for a, b in BOTH)], 2),
    "spaces": ([f" {comma(a)}  {comma(b)}" for a, b in BOTH], 2),
    "quotation marks": ([f'"{comma(a)}","{comma(b)}"' for a, b in BOTH], 2),
    "one decimal": ([f"{a:.1f}".replace(".", ",") for a in SINE], 1),
    "shortest": ([f"{a:.6g}".replace(".", ",") for a in SINE], 1),
}


@pytest.mark.parametrize("case", DECIMAL_COMMAS)
def test_a_decimal_comma_is_named_and_read_by_its_key(tmp_path, case):
    lines, channels = DECIMAL_COMMAS[case]
    write(tmp_path, "\r\n".join(lines) + "\r\n")
    message = refusal(tmp_path, "decimal comma", "decimal: ','")
    decimals = 1 if case == "one decimal" else 5
    close(remedied(tmp_path, message), BOTH[:, :channels], decimals)


def test_decimal_commas_between_commas_are_refused(tmp_path):
    lines = [f"{comma(i / 1000)},{comma(a)}" for i, a in enumerate(SINE)]
    write(tmp_path, "\n".join(lines))
    refusal(tmp_path, "decimal comma", "another separator")


def test_whole_numbers_in_columns_are_no_decimals(tmp_path):
    values = np.random.default_rng(0).integers(-2000, 2000, (LENGTH, 2))
    write(tmp_path, "\n".join(rows(form="{}", columns=values)))
    np.testing.assert_array_equal(signal(tmp_path)[0], values)
    write(tmp_path, "\n".join(f"{a},0{abs(b)}" for a, b in values))
    refusal(tmp_path, "decimal: '.'")
    np.testing.assert_array_equal(
        signal(tmp_path, decimal=".")[0], np.c_[values[:, 0], abs(values[:, 1])]
    )


# -- rows that vanish or appear -------------------------------------------------------------------


@pytest.mark.parametrize("form", ["{0}", "{0};{0}", "{0}\t{0}", "{0}  {0}"])
@pytest.mark.parametrize("head", [True, False])
def test_a_blank_between_samples_is_a_missing_value(tmp_path, form, head):
    values = [f"{i * 0.5}" if i % 10 else "" for i in range(1, 200)]
    lines = [form.format(v).rstrip(" ") for v in values]
    write(tmp_path, "\n".join(([form.format("a")] if head else []) + lines) + "\n\n;;\n \n")
    refusal(tmp_path, "nan at sample 9 of channel 0", f"{19 * (form.count('0'))} NaN")
    kept = [form.format(v) for v in values if v]
    write(tmp_path, "\n".join(kept) + "\n\n;\n\n")
    assert len(signal(tmp_path)[0]) == 180


@pytest.mark.parametrize("sep", [",", ";", "\t"])
def test_a_header_of_numbers_is_told_from_samples_and_noted(tmp_path, sep):
    pd.DataFrame(BOTH).to_csv(tmp_path / "u1.csv", index=False, sep=sep)
    read, notes = signal(tmp_path)
    close(read, BOTH)
    assert "numbered names (0, 1)" in notes[0]
    pd.DataFrame(BOTH).to_csv(tmp_path / "u1.csv", sep=sep)
    close(signal(tmp_path)[0], BOTH)
    pd.DataFrame(BOTH).to_csv(tmp_path / "u1.csv", index=False, header=False, sep=sep)
    close(signal(tmp_path)[0], BOTH)


def test_a_first_line_that_may_be_either_is_refused(tmp_path):
    values = np.random.default_rng(0).integers(-2000, 2000, (LENGTH, 3))
    pd.DataFrame(values).to_csv(tmp_path / "u1.csv", index=False)
    message = refusal(tmp_path, "line 1", "0, 1, 2")
    np.testing.assert_array_equal(remedied(tmp_path, message), values)
    assert len(signal(tmp_path, header="absent")[0]) == LENGTH + 1
    write(tmp_path, "\n".join(["25600", *(repr(a) for a in SINE)]))
    close(remedied(tmp_path, refusal(tmp_path, "line 1", "25600")), BOTH[:, :1])


def test_zero_written_short_is_a_sample(tmp_path):
    write(tmp_path, "\n".join(f"{a:.6g}" for a in SINE))
    read, notes = signal(tmp_path)
    close(read, BOTH[:, :1])
    assert "the first row, 0, is taken for a sample" in notes[0]


def test_columns_of_a_sheet_that_are_numbered_are_asked_about(tmp_path):
    pd.DataFrame(BOTH).to_excel(tmp_path / "u1.xlsx", index=False)
    message = refusal(tmp_path, "line 1", "0, 1", files="u{unit}.xlsx")
    close(remedied(tmp_path, message, files="u{unit}.xlsx"), BOTH)


@pytest.mark.parametrize("first", ["S1,", "2024-05-01 12:00:00.5,", "ok;1,"])
def test_text_in_columns_that_are_not_used_makes_no_header(tmp_path, first):
    write(tmp_path, "\n".join(first + row for row in rows()))
    close(signal(tmp_path, channels=[1, 2])[0], BOTH)
    refusal(tmp_path, "line 1, column 0")


@pytest.mark.parametrize("first", ["NA,3.0", ",3.0", "NaN,NaN", "n/a,3.0"])
def test_a_gap_in_the_first_line_is_a_missing_value(tmp_path, first):
    write(tmp_path, "\n".join([first, *rows()]))
    refusal(tmp_path, "nan at sample 0 of channel 0")


@pytest.mark.parametrize(
    ("head", "options"),
    [
        (["a,b"], {}),
        (["a,b"], {"channels": ["a", "b"]}),
        (['"a, x","b (g)"'], {"channels": ["a, x", "b (g)"]}),
        (["x,y", "(m/s),(g)"], {"channels": ["x", "y"]}),
        (["x,y", "g,g"], {}),
        (["x,y", "[g],"], {"header": "present"}),
        (["# x,y"], {"channels": ["x", "y"]}),
        (["# bench 5", "# x,y"], {"channels": ["x", "y"]}),
        (["% no names here at all"], {}),
        (["\ufeffx,y"], {"channels": ["x", "y"]}),
        (["", "", "x,y", ""], {"channels": ["x", "y"]}),
        (["7,8"], {"header": "present"}),
        (["Bench 5", "at 25600 Hz", "x,y"], {"skip_lines": 2, "channels": ["x", "y"]}),
        (["1,2,3", "4", ""], {"skip_lines": 3}),
        (["a,b,"], {}),
        (["time,1"], {"header": "present"}),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r", "\r\r\n"])
def test_what_stands_before_samples(tmp_path, head, options, newline):
    write(tmp_path, newline.join([*head, *rows()]) + newline)
    close(signal(tmp_path, **options)[0], BOTH)


def test_a_preamble_is_named_with_the_key_that_passes_it_over(tmp_path):
    head = ["Title:\tbearing", "Rate:\t5120", "", "Data", ""]
    write(tmp_path, "\r\n".join([*head, *rows("\t", end="\t")]))
    message = refusal(tmp_path, "line 1", "skip_lines: 5")
    close(remedied(tmp_path, message), BOTH)
    write(tmp_path, "\n".join([*head, "DE\tFE", "(g)\t(g)", *rows("\t")]))
    close(remedied(tmp_path, refusal(tmp_path, "skip_lines: 5"), channels=["DE", "FE"]), BOTH)
    with pytest.raises(BadData, match="leaves no line"):
        signal(tmp_path, skip_lines=1000)


@pytest.mark.parametrize(
    ("head", "end"), [(["a,b"], ","), (["a,b,"], ","), ([], ","), (["a,b"], ",,,"), (["a,b,"], "")]
)
def test_separators_at_the_ends_of_lines(tmp_path, head, end):
    write(tmp_path, "\n".join([*head, *rows(end=end)]))
    close(signal(tmp_path)[0], BOTH)
    close(signal(tmp_path, channels=[1])[0], BOTH[:, 1:])


@pytest.mark.parametrize("last", ["Mean,0.1", "a,b", "#END,1"])
def test_a_line_of_text_below_samples_is_refused(tmp_path, last):
    write(tmp_path, "\n".join(["a,b", *rows(), "", last]))
    refusal(tmp_path, "line 123, column 0", last.partition(",")[0])


def test_a_text_with_zeros_is_none(tmp_path):
    write(tmp_path, "\n".join(rows()).encode("utf-16-le"))
    refusal(tmp_path, "encoding: utf-16-le")
    close(signal(tmp_path, encoding="utf-16-le")[0], BOTH)
    write(tmp_path, "\n".join(rows()).encode("utf-16"))
    refusal(tmp_path, "encoding: utf-16")
    close(signal(tmp_path, encoding="utf-16")[0], BOTH)


def test_a_quotation_mark_that_is_not_closed(tmp_path):
    lines = rows()
    lines[50] = '"' + lines[50]
    write(tmp_path, "\n".join(lines))
    refusal(tmp_path, "line 51", "not closed")


# -- files by another name ------------------------------------------------------------------------


def test_a_format_is_told_where_the_name_does_not(tmp_path):
    for minute in (14, 24):
        write(tmp_path, "\n".join(rows("\t")), f"2003.10.22.12.{minute}.24")
    options = {"files": "2003.10.22.12.{unit}.24"}
    with pytest.raises(BadData, match="format: text"):
        list(told(tmp_path, **options).recordings())
    read = list(told(tmp_path, **options, format="text").recordings())
    assert [r.recording_id for r in read] == [f"2003.10.22.12.{m}.24" for m in (14, 24)]
    for one in read:
        close(one.signal, BOTH)


def test_files_are_excluded_by_pattern(tmp_path):
    for name in ("u1.csv", "u2_old.csv", "u3.csv"):
        write(tmp_path, "\n".join(rows()), name)
    source = told(tmp_path, exclude=["*_old.csv"])
    assert [r.unit_id for r in source.recordings()] == ["1", "3"]
    assert "u*_old.csv: 1" in source.notes[0]
    with pytest.raises(UserError, match="`exclude` leaves no file"):
        list(told(tmp_path, exclude=["u{any}"]).recordings())


LVM = """LabVIEW Measurement
Writer_Version{0}2
Separator{0}{1}
Decimal_Separator{0}{2}
X_Columns{0}One
***End_of_Header***

Channels{0}2
Samples{0}120{0}120
X_Dimension{0}Time{0}Time
Delta_X{0}{3}{0}{3}
***End_of_Header***
X_Value{0}Acc 1{0}Acc 2{0}Comment
"""


@pytest.mark.parametrize(("sep", "decimal"), [("\t", "."), ("\t", ","), (",", ".")])
@pytest.mark.parametrize("name", ["u1.lvm", "u1.txt"])
def test_labview_measurements(tmp_path, sep, decimal, name):
    said = "Comma" if sep == "," else "Tab"
    head = LVM.format(sep, said, decimal, "0.001".replace(".", decimal))
    body = [f"{i / 1000:.6f}{sep}{row}" for i, row in enumerate(rows(sep))]
    body = [line.replace(".", decimal) for line in body]
    body[0] += f"{sep}begin"
    write(tmp_path, (head + "\n".join(body) + "\n").replace("\n", "\r\n"), name)
    files = "u{unit}" + name[2:]
    source = told(tmp_path, files=files, rate_hz="unknown")
    (read,) = source.recordings()
    close(read.signal, BOTH)
    assert read.rate_hz == pytest.approx(1000)
    close(signal(tmp_path, files=files, channels=["Acc 2"])[0], BOTH[:, 1:])
    with pytest.raises(BadData, match=r"contradicts the file[\s\S]*Delta_X"):
        signal(tmp_path, files=files, rate_hz=2000)
    lines = body[:60] + [body[0] + f"{sep}more"] + body[60:]
    write(tmp_path, head + "\n".join(lines) + "\n", name)
    refusal(tmp_path, "line 74", files=files)
    write(tmp_path, head + "\n".join(body) + "\n\n" + head + "\n".join(body), name)
    refusal(tmp_path, "more than one segment", files=files)


# -- sheets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ([("a", "b"), *BOTH.tolist()], {}),
        ([("a", "b"), ("g", "g"), *BOTH.tolist()], {"channels": ["a", "b"]}),
        ([("Bench 5",), ("a", "b"), *BOTH.tolist()], {"skip_lines": 1}),
        ([("a", "b"), *((f"{a:.6f}", f"{b:.6f}") for a, b in BOTH)], {}),
        ([("a", "b"), *((comma(a), comma(b)) for a, b in BOTH)], {"decimal": ","}),
        ([(None, a, b) for a, b in BOTH], {}),
        ([(None, a, b) for a, b in BOTH], {"channels": [1, 2]}),
        ([("S1", a, b) for a, b in BOTH], {"channels": [1, 2]}),
        ([*BOTH.tolist(), (None, None), ()], {}),
        ([(0, 1), *BOTH.tolist()], {"header": "present"}),
    ],
)
def test_sheets(tmp_path, content, options):
    book(tmp_path, content)
    close(sheet(tmp_path, **options)[0], BOTH)


def test_sheets_that_are_refused(tmp_path):
    def refused(content, *texts, **options):
        book(tmp_path, content)
        return refusal(tmp_path, *texts, files="u{unit}.xlsx", **options)

    samples = BOTH.tolist()
    refused([("a", "b"), *samples[:50], (), *samples[50:]], "row 52", "an empty cell")
    refused([("a", "b"), *samples[:50], (1.5,), *samples[50:]], "row 52", "column 1")
    refused([("a", "b"), *samples[:50], (7, 1.5, 2), *samples[50:]], "row 52, column 2")
    refused([("a", "b"), *samples * 3, (7, 1.5, 2), *samples], "row 362, column 2")
    refused([("a", "b"), *((comma(a), comma(b)) for a, b in BOTH)], "decimal comma")
    refused([(0, 1), *((round(99 * a), round(99 * b)) for a, b in BOTH)], "line 1", "header")
    refused([("Bench",), ("a", "b"), *samples], "skip_lines: 1")
    refused([("a",), *((f"=SIN({i})",) for i in range(99))], "formulas")
    late = [(None,), *((a,) if i else (None,) for i, a in enumerate(SINE)), ("x",)]
    refused(late, "line 1", "skip_lines: 2")
    refused(late, "row 122", skip_lines=2)


# -- tables beside recordings ---------------------------------------------------------------------

HEADER = "file,unit_id,condition,run_id"


def listed(root, text):
    write(root, "\n".join(rows()))
    (root / "rig.csv").write_text(text)
    source = told(root, files=None, fields={}, table="rig.csv")
    return list(source.recordings())


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\nu1.csv,1,c,r\n\n,,,\n",
        f"{HEADER},\nu1.csv,1,c,r,\n",
        f"{HEADER}\nu1.csv,1,c,r,\n",
        f",{HEADER}\n0,u1.csv,1,c,r\n",
        f'{HEADER},note\nu1.csv,1,c,r,"two\nlines, and more"\n',
    ],
)
def test_tables_as_programs_write_them(tmp_path, text):
    (read,) = listed(tmp_path, text)
    assert (read.unit_id, read.condition, read.run_id) == ("1", "c", "r")
    assert set(read.attributes) <= {"file", "note"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{HEADER}\n1,u1.csv,1,c,r\n", "line 2[\\s\\S]*5 cells for 4"),
        (f"{HEADER}\nu1.csv,1,c\n", "line 2[\\s\\S]*3 cells for 4"),
        (f"x,{HEADER},\nu,u1.csv,1,c,r,7\n", "has no name"),
        (f'{HEADER},rate_hz\nu1.csv,1,c,r,"25600,5"\n', "decimal comma[\\s\\S]*25600.5"),
        ("File,unit_id\nu1.csv,1\n", "`file` in place of `File`"),
    ],
)
def test_tables_that_would_lose_a_cell(tmp_path, text, said):
    with pytest.raises(BadData, match=said):
        listed(tmp_path, text)


# -- drafts ---------------------------------------------------------------------------------------

DRAFTED = {
    "decimal comma": (["acc", *(comma(a) for a in SINE)], {"decimal": ","}, 1),
    "thousands": ([f"{int(1e6 + 1e5 * a):,}" for a in SINE], {"thousands": ","}, 1),
    "preamble": (["Bench 5", "", "x;y", *rows(";")], {"skip_lines": 2}, 2),
    "units": (["x;y", "(g);(g)", *rows(";")], {}, 2),
    "preamble and commas": (
        ["Bench 5", "of today", "x;y", *(r.replace(".", ",") for r in rows(";"))],
        {"decimal": ",", "skip_lines": 2},
        2,
    ),
}


@pytest.mark.parametrize("case", DRAFTED)
def test_a_draft_has_the_keys_that_read_its_files(tmp_path, case):
    lines, keys, channels = DRAFTED[case]
    folder = tmp_path / "bench"
    folder.mkdir()
    for unit in (1, 2, 3):
        write(folder, "\n".join(lines), f"u{unit}.csv")
    text = inspect(folder).rig
    assert "tried: the first 3 recordings are read" in text
    rig = Rig.model_validate(yaml.safe_load(text)).folder
    given = rig.model_dump(include={"decimal", "thousands", "skip_lines"}, exclude_none=True)
    assert given == keys
    read = next(FolderSource(rig, None, tmp_path).recordings())
    assert read.signal.shape == (LENGTH, channels)


# -- any dialect ----------------------------------------------------------------------------------

DIALECTS = st.fixed_dictionaries(
    {
        "sep": st.sampled_from([",", ";", "\t", " ", "  ", ", "]),
        "decimal": st.sampled_from([".", ".", ","]),
        "form": st.sampled_from(["{:.6f}", "{!r}", "{:.6g}", "{:.3e}", "{:+.4f}", "{:.0f}"]),
        "head": st.sampled_from(["none", "names", "units", "numbers", "comment", "preamble"]),
        "index": st.booleans(),
        "trailing": st.booleans(),
        "quoted": st.booleans(),
        "newline": st.sampled_from(["\n", "\r\n"]),
        "bom": st.booleans(),
        "blank": st.sampled_from(["none", "end", "top"]),
        "channels": st.integers(1, 4),
        "length": st.integers(30, 70),
        "seed": st.integers(0, 999),
        "scale": st.sampled_from([1e-3, 1.0, 50.0, 2000.0]),
    }
)


def dialect_text(d):
    """The text of samples in a dialect, and the samples as they are written (L, C)."""
    rng = np.random.default_rng(d["seed"])
    samples = rng.standard_normal((d["length"], d["channels"])) * d["scale"]
    cells = [[d["form"].format(float(v)) for v in row] for row in samples]
    expected = np.array([[float(c) for c in row] for row in cells])
    names = [f"a{c}" for c in range(d["channels"])]
    body = [[c.replace(".", d["decimal"]) for c in row] for row in cells]
    if d["quoted"]:
        body = [[f'"{c}"' for c in row] for row in body]
    head = {
        "names": [names],
        "units": [names, ["(g)"] * len(names)],
        "numbers": [[str(c) for c in range(len(names))]],
    }.get(d["head"], [])
    if d["index"]:
        body = [[str(i), *row] for i, row in enumerate(body)]
        head = [["", *row] for row in head]
    end = d["sep"].strip(" ") if d["trailing"] else ""
    lines = [d["sep"].join(row) + end for row in [*head, *body]]
    if d["head"] == "comment":
        lines.insert(0, "# " + d["sep"].join(([""] if d["index"] else []) + names))
    if d["head"] == "preamble":
        lines = ["Bench 5", "Operator: me", d["sep"].join(names), *lines]
    lines = [""] * (2 if d["blank"] == "top" else 0) + lines
    lines += [""] * (2 if d["blank"] == "end" else 0)
    text = "\ufeff" * d["bom"] + d["newline"].join(lines) + d["newline"]
    return text, expected


@examples(300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(DIALECTS, st.booleans())
def test_any_dialect_comes_back_equal_or_is_refused(tmp_path, dialect, declared):
    # A single 0 above numbers that are written without needless zeros is a sample by all it shows.
    undecided = dialect["form"] in ("{:.6g}", "{:.0f}") and dialect["channels"] == 1
    assume(not (undecided and dialect["head"] == "numbers" and not dialect["index"]))
    text, expected = dialect_text(dialect)
    write(tmp_path, text)
    options = {"decimal": dialect["decimal"]} if declared else {}
    try:
        read = signal(tmp_path, **options)[0]
    except BadData:
        refusal(tmp_path, **options)  # which names the file
        return
    if dialect["index"] and read.shape[1] == expected.shape[1] + 1:
        np.testing.assert_array_equal(read[:, 0], np.arange(len(read)))  # nothing names it
        read = read[:, 1:]
    np.testing.assert_array_equal(read, expected.astype(np.float32))


PLAIN = {"head": "names", "index": False, "trailing": False, "blank": "none", "form": "{!r}"}


@examples(100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(DIALECTS)
def test_a_plain_dialect_is_read(tmp_path, dialect):
    dialect |= PLAIN
    if dialect["sep"].strip() == "," and not dialect["quoted"]:
        dialect["decimal"] = "."
    text, expected = dialect_text(dialect)
    write(tmp_path, text)
    read = signal(tmp_path, decimal=dialect["decimal"])[0]
    np.testing.assert_array_equal(read, expected.astype(np.float32))


@examples(60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, 99),
    st.integers(1, 3),
    st.sampled_from(["drop", "add", "blank", "text"]),
    st.integers(5, 45),
    st.booleans(),
    st.sampled_from([",", ";", "\t"]),
)
def test_a_damaged_row_never_passes(tmp_path, seed, channels, damage, at, named, sep):
    samples = np.random.default_rng(seed).standard_normal((50, channels))
    cells = [[repr(float(v)) for v in row] for row in samples]
    row = cells[at]
    if damage == "drop" and channels == 1:
        damage = "blank"
    cells[at] = {
        "drop": row[1:],
        "add": [*row, "1.5"],
        "blank": [""] * channels,
        "text": ["x", *row[1:]],
    }[damage]
    head = [[f"a{c}" for c in range(channels)]] if named else []
    write(tmp_path, "\n".join(sep.join(row) for row in [*head, *cells]))
    with pytest.raises(BadData, match="u1"):
        signal(tmp_path)


def test_a_file_of_separators_alone(tmp_path):
    write(tmp_path, ";;\n;;\n")
    refusal(tmp_path, "separators alone")


@pytest.mark.parametrize(
    ("line", "cells"), [("7,1,3,a.csv,0", 5), ("1,3,a.csv", 3), ("1,3,a.csv,0,x", 5)]
)
def test_metadata_of_phm_vibench_move_no_cell(tmp_path, line, cells):
    path = tmp_path / "metadata.csv"
    header = "Id,Dataset_id,Name,Label"
    path.write_text(f"{header}\n1,3,a.csv,0\n{line}\n")
    with pytest.raises(BadData, match=rf"line 3[\s\S]*{cells} cells for 4 columns"):
        read_table(path)
    path.write_text(f"{header}\n1,3,a.csv,0,\n\n2,3,b.csv,1,\n")  # separators at the ends
    assert read_table(path)["Label"].tolist() == ["0", "1"]


def test_a_gap_of_millions_of_lines_is_refused_before_it_is_read(tmp_path):
    write(tmp_path, "1.5\n2.5\n" + "\n" * 1_000_001 + "3.5\n")
    refusal(tmp_path, "blank lines in a row", "line 3")
