"""The draft of a folder loads, matches its files, builds a store, and marks what it guessed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import h5py
import nptdms
import numpy as np
import openpyxl
import pandas as pd
import pytest
import scipy.io
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import wavfile

from workflow_src.__main__ import main
from workflow_src.configuration import Dataset, Rig
from workflow_src.configuration.drafts import MARK
from workflow_src.configuration.patterns import compile_pattern
from workflow_src.data.inspection import inspect
from workflow_src.data.inspection.columns import step_of_snapshots, usual
from workflow_src.data.inspection.names import common_names
from workflow_src.data.inspection.words import faults_of, kind_of, load_in, rate_in, speed_in
from workflow_src.data.sources.folder import FolderSource
from workflow_src.data.splits import make_split
from workflow_src.data.store import Heading, Store, write_store
from workflow_src.errors import UserError

REPOSITORY = Path(__file__).parents[2]
LENGTH = 4000


def signal(seed=0, channels=2, length=LENGTH):
    return np.random.default_rng(seed).standard_normal((length, channels))


def built(folder, tmp_path, data_root=None):
    """The draft of a folder, its keys, and the store that it builds."""
    drafts = inspect(folder, data_root=data_root)
    rig = Rig.model_validate(yaml.safe_load(drafts.rig))
    dataset = Dataset.model_validate(yaml.safe_load(drafts.dataset))
    assert dataset.rig == drafts.name
    source = FolderSource(rig.folder, data_root, tmp_path)
    heading = Heading(drafts.name, "folder")
    write_store(source.recordings(), tmp_path / "store", heading, source.provenance)
    store = Store(tmp_path / "store")
    split = make_split(store.table, dataset, drafts.name, tmp_path)
    assert {"train", "test"} <= set(split.rows["part"])
    return drafts, rig, store.table


def marked(text):
    """Keys of the lines that bear a mark."""
    return {line.split(":")[0].strip() for line in text.splitlines() if MARK in line}


FACTS = {"source", "folder", "path", "rig", "window", "horizon", "strategy", "test_share"}
FACTS |= {"validation"}  # under `span` and `split`, which bear the mark


def assert_all_marked(drafts):
    for text in (drafts.rig, drafts.dataset):
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        keys = {line.split(":")[0].strip() for line in lines}
        # `fields` is a heading, but where it says that there is no class
        assert keys - marked(text) <= FACTS | {"fields"}


# -- the reference rigs ---------------------------------------------------------------------------


@pytest.mark.slow
def test_femto(data_root, tmp_path):
    drafts, rig, table = built(data_root / "FEMTO", tmp_path, data_root)
    assert_all_marked(drafts)
    assert (len(table), set(table["length"]), set(table["channels"])) == (569, {2560}, {2})
    assert set(table["rate_hz"]) == {25_600}
    assert table["unit_id"].nunique() == 9
    assert rig.folder.time.step_s == 10
    assert (table["life_s"] > 0).all()
    assert "left out: 12 x temp_*.csv" in drafts.rig
    assert rig.folder.path == "FEMTO"


@pytest.mark.slow
def test_uestc(data_root, tmp_path):
    drafts, _, table = built(data_root / "UESTC", tmp_path, data_root)
    assert_all_marked(drafts)
    assert (len(table), set(table["rate_hz"])) == (16, {20_000})
    assert set(table["fault"]) == {"normal", "ball", "inner", "outer"}
    assert set(table["speed_rpm"]) == {"800", "1000", "1200"}
    assert table["run_id"].nunique() == 12  # parts of one recording share a run


def test_the_page_shows_what_is_printed(data_root):
    shown = (REPOSITORY / "docs" / "folder.md").read_text(encoding="utf-8")
    assert f"```yaml\n{inspect(data_root / 'UESTC', data_root=data_root)}```" in shown


@pytest.mark.slow
def test_cwru_says_that_its_rates_are_mixed(data_root, tmp_path):
    drafts, rig, table = built(data_root / "CWRU", tmp_path, data_root)
    assert_all_marked(drafts)
    assert len(table) == 8
    (line,) = [line for line in drafts.rig.splitlines() if line.strip().startswith("rate_hz")]
    assert re.search(rf"normal: unknown.*{re.escape(MARK)} mixed", line)
    rates = dict(zip(table["file"].str[:6], table["rate_hz"], strict=True))
    assert rates["12k_Dr"] == 12_000
    assert rates["48k_Dr"] == 48_000
    assert np.isnan(rates["normal"])  # the file does not say it, and neither does its name
    assert set(table["fault"]) == {"normal", "ball", "inner", "outer"}
    assert rig.folder.array == "X*_DE_time"


@pytest.mark.slow
def test_hit_sm(data_root, tmp_path):
    drafts, _, table = built(data_root / "HIT_SM", tmp_path, data_root)
    assert_all_marked(drafts)
    assert len(table) == 10
    assert table["rate_hz"].isna().all()
    assert set(table["fault"]) == {"normal", "inner", "outer"}
    assert set(table["speed_rpm"]) == {"600", "1200"}


@pytest.mark.slow
def test_gfd(data_root, tmp_path):
    drafts, _, table = built(data_root / "GFD_gearbox", tmp_path, data_root)
    assert_all_marked(drafts)
    assert (len(table), set(table["channels"])) == (6, {4})
    assert table["rate_hz"].isna().all()
    assert "what is 30hz in the names?" in drafts.rig
    assert set(table["fault"]) == {"normal", "broken"}


# -- folders of each format -----------------------------------------------------------------------


def write_csv(path, samples):
    times = np.arange(len(samples)) / 25_600
    pd.DataFrame(np.column_stack([times, samples])).to_csv(
        path, index=False, header=["time", "acc_x", "motor_current"]
    )


def write_h5(path, samples):
    with h5py.File(path, "w") as file:
        file["raw/acceleration"], file["raw/reference"] = samples, samples[:9]
        file.attrs["fs"] = 25_600.0


def write_tdms(path, samples):
    with nptdms.TdmsWriter(path) as writer:
        for group in ("log", "vibration"):
            data = samples if group == "vibration" else samples[:5]
            step = {"wf_increment": 1 / 25_600}
            writer.write_segment(
                [nptdms.ChannelObject(group, f"a{c}", data[:, c].copy(), step) for c in range(2)]
            )


def write_xlsx(path, samples):
    book = openpyxl.Workbook()
    for row in [["acc_x", "acc_y"], *samples[:400].tolist()]:
        book.active.append(row)
    book.save(path)


WRITERS = {
    ".csv": write_csv,
    ".txt": lambda path, samples: np.savetxt(path, samples),
    ".csv.gz": lambda path, samples: pd.DataFrame(samples).to_csv(path, index=False, header=False),
    ".npy": lambda path, samples: np.save(path, samples.T),
    ".npz": lambda path, samples: np.savez(path, acc=samples, fs=25_600, ref=samples[:9]),
    ".mat": lambda path, samples: scipy.io.savemat(path, {"bearing": {"gs": samples, "sr": 25600}}),
    ".h5": write_h5,
    ".wav": lambda path, samples: wavfile.write(path, 25_600, (1000 * samples).astype(np.int16)),
    ".tdms": write_tdms,
    ".xlsx": write_xlsx,
    ".parquet": lambda path, samples: pd.DataFrame(samples, columns=["x", "y"]).to_parquet(path),
}
STATED = {".csv", ".npz", ".mat", ".h5", ".wav", ".tdms"}


@pytest.mark.fast_cases(".csv")
@pytest.mark.parametrize("ending", WRITERS)
def test_a_folder_of_each_format(tmp_path, ending):
    folder = tmp_path / "My bench"
    for fault in ("healthy", "inner", "outer"):
        for speed in (900, 1500):
            (folder / fault).mkdir(parents=True, exist_ok=True)
            WRITERS[ending](folder / fault / f"b_{speed}rpm{ending}", signal(speed))
    (folder / "read me.md").write_text("what is here")
    drafts, _, table = built(folder, tmp_path)
    assert_all_marked(drafts)
    assert drafts.name == "my_bench"
    assert len(table) == 6
    assert set(table["channels"]) == {2}
    assert set(table["fault"]) == {"normal", "inner", "outer"}
    assert set(table["speed_rpm"]) == {"900", "1500"}
    assert set(table["condition"]) == {"900rpm", "1500rpm"}
    assert set(table["length"]) == {400 if ending == ".xlsx" else LENGTH}
    rates = set(table["rate_hz"])
    assert rates == {25_600} if ending in STATED else table["rate_hz"].isna().all()
    assert "left out: 1 x read me.md" in drafts.rig
    kinds = "vibration|current" if ending == ".csv" else "vibration|vibration"
    assert set(table["channel_kinds"]) == {kinds}


def test_runs_to_failure_without_a_clock(tmp_path):
    folder = tmp_path / "life"
    for run in ("1_1", "1_2", "2_1"):
        (folder / f"Bearing{run}").mkdir(parents=True)
        for index in range(1, 13):
            np.save(folder / f"Bearing{run}" / f"{index}.npy", signal(index))
    drafts, rig, table = built(folder, tmp_path)
    assert_all_marked(drafts)
    assert "step_s is not told" in drafts.rig
    assert rig.folder.ends_in_failure is True
    assert dict(table.groupby("run_id")["life_s"].first()) == {
        "Bearing1_1": 11, "Bearing1_2": 11, "Bearing2_1": 11
    }  # fmt: skip


@pytest.mark.slow
def test_a_folder_a_condition(tmp_path):
    """The first number of a bearing is that of its condition, and still a part of its name."""
    folder = tmp_path / "bench"
    for condition, runs in {"35Hz12kN": ("1_1", "1_2"), "37.5Hz11kN": ("2_1", "2_2")}.items():
        for run in runs:
            (folder / condition / f"Bearing{run}").mkdir(parents=True)
            for index in range(1, 11):
                np.save(folder / condition / f"Bearing{run}" / f"{index}.npy", signal(index))
    drafts, rig, table = built(folder, tmp_path)
    assert_all_marked(drafts)
    assert rig.folder.files == "{condition}/Bearing{bearing:d}_{number:d}/{index:d}.npy"
    assert set(table["unit_id"]) == {"Bearing1_1", "Bearing1_2", "Bearing2_1", "Bearing2_2"}
    assert set(table["speed_rpm"]) == {"2100", "2250"}
    assert set(table["load"]) == {"12 kN", "11 kN"}


def test_a_number_that_each_file_has_its_own_names_no_specimen(tmp_path):
    folder = tmp_path / "bench"
    folder.mkdir()
    for number, name in enumerate(("IR007_0hp", "IR007_1hp", "normal_0hp", "normal_1hp"), 105):
        np.save(folder / f"{name}_{number}.npy", signal(number))
    _, rig, table = built(folder, tmp_path)
    assert set(table["unit_id"]) == {"IR007", "normal"}
    assert set(table["load"]) == {"0 hp", "1 hp"}
    assert "number" in rig.folder.fields


def test_files_that_are_damaged_are_told_of(tmp_path):
    folder = tmp_path / "bench"
    folder.mkdir()
    for unit in range(1, 4):
        np.savez(folder / f"u{unit}.npz", x=signal(unit), y=signal(unit)[:5])
    (folder / "u2.npz").write_bytes(b"PK something else")
    text = inspect(folder).rig
    assert "cannot be read: u2.npz (A file is damaged or was cut short.)" in text
    assert "NOT YET READ by this draft: A file is damaged or was cut short." in text


def test_a_file_without_an_array_is_told_of(tmp_path):
    folder = tmp_path / "bench"
    folder.mkdir()
    for unit in (1, 2):
        write_h5(folder / f"u{unit}.h5", signal(unit))
    with h5py.File(folder / "u3.h5", "w") as file:
        file["rate"] = 25_600.0
    assert "u3.h5 has no single array 'raw/acceleration': it has none" in inspect(folder).rig


def test_rates_that_files_state_are_mixed(tmp_path):
    folder = tmp_path / "bench"
    folder.mkdir()
    for unit, rate in (("normal", 8000), ("ball", 16_000)):
        wavfile.write(folder / f"{unit}.wav", rate, (1000 * signal()).astype(np.int16))
    drafts, _, table = built(folder, tmp_path)
    assert "mixed: files state 8000, 16000 Hz" in drafts.rig
    assert set(table["rate_hz"]) == {8000, 16_000}


def test_counters_constants_and_text_are_no_channels(tmp_path):
    folder = tmp_path / "bench"
    folder.mkdir()
    for unit in (1, 2):
        frame = pd.DataFrame(signal(unit), columns=["x", "y"])
        frame.insert(0, "no", np.arange(LENGTH))
        frame["gain"], frame["who"] = 3, "me"
        frame.to_csv(folder / f"u{unit}.csv", index=False)
    drafts, rig, _ = built(folder, tmp_path)
    assert rig.folder.channels == ("x", "y")
    for said in ("no (rises by 1: a counter", "gain (never changes)", "who (no numbers)"):
        assert said in drafts.rig
    assert "fields:  # ? no name tells a fault" in drafts.rig


def test_a_draft_that_does_not_read_says_so(tmp_path):
    folder = tmp_path / "bench"
    folder.mkdir()
    scipy.io.savemat(folder / "u1.mat", {"a": signal(), "b": signal()})
    scipy.io.savemat(folder / "u2.mat", {"c": signal(), "b2": signal()})
    scipy.io.savemat(folder / "u3.mat", {"a": signal(), "z": signal()})
    text = inspect(folder).rig
    assert "NOT YET READ by this draft: The file has no array" in text
    assert "of 3 files do not have it once" in text


@pytest.mark.parametrize("content", [{}, {"a.doc": b"x"}, {"a.csv": b""}, {"a.csv": b"one,two\n"}])
def test_a_folder_without_recordings(tmp_path, content):
    for name, raw in content.items():
        (tmp_path / name).write_bytes(raw)
    with pytest.raises(UserError, match="no file that can be read as a recording"):
        inspect(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        inspect(tmp_path / "absent")


# -- names and words ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "pattern"),
    [
        (["a_1.csv", "a_2.csv"], "a_{0:d}.csv"),
        (["N_800/N_800_1.csv", "I_900/I_900_1.csv"], "{0}_{1:d}/{0}_{1}_1.csv"),
        (["IR8_600.csv", "Normal_600.csv", "IR2_1200.csv"], "{0}_{1:d}.csv"),
        (["12k_x_y@6_2_132.csv", "normal_0_97.csv"], "{0}_{1:d}_{2:d}.csv"),
        (["one/b1.csv", "two set/b2.csv"], "{0}/b{1:d}.csv"),
        (["h30hz0.csv", "b30hz90.csv"], "{0}30hz{1:d}.csv"),
        (["only.csv"], "only.csv"),
        (["a{1}.csv", "b{1}.csv"], "{0}*1*.csv"),
    ],
)
def test_what_varies_in_names(files, pattern):
    names = common_names(files, ".csv")
    assert names.pattern({slot: str(i) for i, slot in enumerate(names.slots)}) == pattern


WORDS = st.sampled_from(["IR", "OR", "normal", "k", "48", "7", "007", "_", "-", " ", "@", "x y"])
STEMS = st.lists(WORDS, min_size=1, max_size=6).map("".join).filter(lambda s: s.strip() == s)


@given(st.lists(st.tuples(STEMS, STEMS), min_size=1, max_size=8, unique=True))
def test_the_pattern_matches_every_name(pairs):
    files = [f"{folder}/{file}.csv" for folder, file in pairs]
    names = common_names(files, ".csv")
    pattern = names.pattern({slot: f"s{i}" for i, slot in enumerate(names.slots)})
    matches = [compile_pattern(pattern).fullmatch(file) for file in files]
    assert all(matches)
    for number, slot in enumerate(names.slots):
        assert tuple(match[f"s{number}"] for match in matches) == slot.values
    assert len({tuple(match.groups()) for match in matches}) == len(files)


@pytest.mark.parametrize(
    ("values", "faults"),
    [
        ("NIOB", {"N": "normal", "I": "inner", "O": "outer", "B": "ball"}),
        ("hb", {"h": "normal", "b": "broken"}),
        ("abc", None),  # parts, and not a ball
        (["Normal", "InnerRace", "x9"], {"Normal": "normal", "InnerRace": "inner", "x9": "x9"}),
        (["IR7_OR7", "normal"], {"IR7_OR7": "inner_outer", "normal": "normal"}),
        (["left", "right"], None),
    ],
)
def test_words_of_faults(values, faults):
    assert faults_of(values) == faults


def test_quantities_in_names():
    assert rate_in("12k_Drive_End") == 12_000
    assert rate_in("a/25600Hz_x") == 25_600
    assert rate_in("25.6kHz") == 25_600
    assert [rate_in(text) for text in ("30hz0", "12kN", "600rpm", "run3")] == [None] * 4
    assert speed_in("35Hz12kN") == 2100
    assert speed_in("37.5Hz11kN") == 2250
    assert speed_in("600RPM") == 600
    assert speed_in("25600Hz") is None
    assert [load_in(text) for text in ("35Hz12kN", "3hp", "x")] == ["12 kN", "3 hp", None]
    assert [kind_of(text) for text in ("Motor Current", "acc_x")] == ["current", None]


def test_steps_and_usual_rates():
    assert usual(25_611.3) == 25_600
    assert usual(7777.4) == 7777
    assert step_of_snapshots([1, 2, 48], [86_395.0, 5.0, 465.0]) == 10  # over midnight
    assert step_of_snapshots([1], [0.0]) is None


@pytest.mark.slow
def test_the_verb_prints_two_drafts(tmp_path, capsys):
    folder = tmp_path / "bench"
    folder.mkdir()
    for state in ("normal", "inner"):
        np.save(folder / f"{state}.npy", signal())
    command = [sys.executable, "-m", "workflow_src", "inspect", str(folder), "--name", "mine"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    environment.pop("PHM_DATA_ROOT", None)
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    _, rig, dataset = re.split(r"^# ---- config/\w+/mine\.yaml\n", ended.stdout, flags=re.M)
    assert Rig.model_validate(yaml.safe_load(rig)).folder.path == str(folder)
    assert Dataset.model_validate(yaml.safe_load(dataset)).rig == "mine"
    assert main(["inspect", str(folder), "--data-root", str(tmp_path)]) == 0
    assert "  path: bench\n" in capsys.readouterr().out
    assert main(["inspect", str(folder / "absent")]) == 1
    assert capsys.readouterr().err.startswith("There is no such folder.")
