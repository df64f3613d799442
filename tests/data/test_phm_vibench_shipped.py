"""The rigs and datasets of PHM-Vibench that are shipped, on files named as the real ones are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from workflow_src.configuration import Configuration, load
from workflow_src.configuration.reading import read
from workflow_src.data.sources.phm_vibench import PhmVibenchSource
from workflow_src.data.splits import make_split
from workflow_src.data.store import Heading, Store, write_store

from .. import phm_vibench_files as files

CONFIG = Path(__file__).parents[2] / "config"
RUN = {"study": "demo", "models": ["dlinear"], "task_sets": ["all"], "seeds": [1]}
SAMPLES = 17_000  # a span in three time blocks, and what lies between


class Acquisition(NamedTuple):
    """A row as the metadata table has it; ``life`` is its RUL_label."""

    file: str
    label: float
    domain: str = ""
    life: float | None = None
    rate: float = 48_000


class Real(NamedTuple):
    """What the real file is like: its name, Dataset_id and channels, and some of its rows."""

    name: str
    dataset_id: int
    channels: int
    rows: list[Acquisition]
    first_id: int = 100


def cwru() -> Iterator[Acquisition]:
    for load_hp in range(4):
        yield Acquisition(f"{97 + load_hp}.mat", 0, str(load_hp), rate=12_000)
    for label, number in ((1, 109), (2, 122), (3, 135)):
        for load_hp in range(4):
            yield Acquisition(f"{number + load_hp}.mat", label, str(load_hp))
            yield Acquisition(f"{number + load_hp + 100}.mat", label, str(load_hp), rate=12_000)


def runs(names: list[str], number: Any, count: int = 5) -> Iterator[Acquisition]:
    """Runs of `count` snapshots: normal, degrading, then the number of the bearing."""
    for name in names:
        for k in range(count):
            label = 0 if k < 2 else -1 if k < count - 1 else number(name)
            yield Acquisition(name.format(k + 1), label, "", 1 - k / (count - 1))


def xjtu() -> Iterator[Acquisition]:
    loads = ("35Hz12kN", "37.5Hz11kN", "40Hz10kN")
    names = [f"{of}/Bearing{i}_{k}/{{}}.csv" for i, of in enumerate(loads, 1) for k in (1, 2, 3)]
    return runs(names, lambda name: int(name.split("_")[1][0]))


def femto() -> Iterator[Acquisition]:
    for part, bearings in (("Learning_set", ("1_1", "2_1")), ("Test_Set", ("1_3", "2_3"))):
        names = [f"{part}/Bearing{b}/acc_{{:05d}}.csv" for b in bearings]
        yield from runs(names, lambda name: 1)
        yield Acquisition(f"{part}/Bearing{bearings[0]}/temp_00001.csv", float("nan"))


def ims() -> Iterator[Acquisition]:
    names = ["1st_test/2003.10.22.12.{:02d}.24", "2nd_test/2004.02.12.10.{:02d}.39"]
    names.append("4th_test/txt/2004.03.04.09.{:02d}.46")
    return runs(names, lambda name: int(name[0]))


def unsw() -> Iterator[Acquisition]:
    for test in (1, 2, 3, 4):
        for k in range(5):
            name = f"Test {test}/6Hz/vib_{1000 * k + 2663:09d}_06.mat"
            yield Acquisition(name, test - 1, "0", 1 - k / 4)


def ottawa23() -> Iterator[Acquisition]:
    folder = "1_CSV_Raw_Data_Files (.csv)"
    for label, (code, state) in enumerate(
        [("I", "2_Inner_Race_Faults"), ("O", "3_Outer_Race_Faults"), ("B", "4_Ball_Faults"),
         ("C", "5_Cage_Faults")], 1
    ):  # fmt: skip
        for bearing in range(5 * label - 4, 5 * label + 1):
            yield Acquisition(f"{folder}/1_Healthy/H_{bearing}_0.csv", 0)
            yield Acquisition(f"{folder}/{state}/{code}_{bearing}_1.csv", label)


def grid(pattern: str, states: dict[str, int], conditions: list[Any]) -> Iterator[Acquisition]:
    """A record for each state and condition, by a pattern of File."""
    for state, label in states.items():
        for condition in conditions:
            yield Acquisition(
                pattern.format(state, *np.atleast_1d(condition)), label, str(condition)
            )


def mfpt() -> Iterator[Acquisition]:
    for k in (1, 2, 3):
        yield Acquisition(f"1 - Three Baseline Conditions/baseline_{k}.mat", 0)
        yield Acquisition(f"2 - Three Outer Race Fault Conditions/OuterRaceFault_{k}.mat", 1)
        yield Acquisition(f"4 - Seven Inner Race Fault Conditions/InnerRaceFault_vload_{k}.mat", 2)
    yield Acquisition("6 - Real World Examples/OilPumpBearing.mat", 3)


def hust24() -> Iterator[Acquisition]:
    states = ["H", "0.5X_B", "0.5X_C", "0.5X_I", "0.5X_O", "B", "C", "I", "O"]
    speeds = ["20Hz", "40Hz", "80Hz", "VS_0_40_0Hz"]
    return grid("Raw data/{}_{}.xls", {s: k for k, s in enumerate(states)}, speeds)


def pu() -> Iterator[Acquisition]:
    for kind, label, count in (("K00", 0, 6), ("KA0", 2, 5), ("KI0", 1, 5), ("KB2", 3, 3)):
        for number in range(1, count + 1):
            for condition in ("N15_M07_F10", "N09_M07_F10"):
                code = f"{kind}{number}"
                yield Acquisition(f"{code}/{condition}_{code}_1.mat", label, condition)


JUST = [("C1", 2, 0), ("C4", 6, 0), ("C7", 12, 60)]
HIT = {"Normal": 0, "IR2": 1, "IR8": 1, "OR2": 2, "OR8": 2}
HIT_ON = {"Self-built dataset": HIT, "SpectraQuest MFS dataset": {k: v + 3 for k, v in HIT.items()}}
BEARINGS = {"health": 0, "ball": 1, "comb": 2, "inner": 3, "outer": 4}
GEARS = {"Health": 0, "Chipped": 1, "Miss": 2, "Root": 3, "Surface": 4}
SEU = [[20, 0], [30, 2]]
THU = {"health_bearing": 0, "inner_fault": 1, "roller_fault": 2, "outer_fault": 3}
SUSU = {"Normal": 0, "Inner": 1, "Ball": 2, "Outer": 3, "Combination": 4}
CAGES = {"health": 0, "inner": 1, "ball": 2, "outer": 3, "cage": 4}
DIRG = {"C0A": 0, "C1A": 1, "C3A": 1, "C4A": 2, "E4A": 2}
REAL = {
    "cwru": Real("RM_001_CWRU", 1, 2, list(cwru()), first_id=1),
    "xjtu": Real("RM_002_XJTU", 2, 2, list(xjtu())),
    "femto": Real("RM_003_FEMTO", 3, 2, list(femto())),
    "ims": Real("RM_004_IMS", 4, 8, list(ims())),
    "ottawa23": Real("RM_005_Ottawa23", 5, 3, list(ottawa23())),
    "thu": Real("RM_006_THU", 6, 2, list(grid("vibration/{}/{}hz_1.mat", THU, [1, 10, 15]))),
    "mfpt": Real("RM_007_MFPT", 7, 1, list(mfpt())),
    "unsw": Real("RM_008_UNSW", 8, 6, list(unsw())),
    "seu_bearing": Real(
        "RM_010_SEU", 9, 8, list(grid("gearbox/bearingset/{}_{}_{}.csv", BEARINGS, SEU))
    ),
    "seu_gear": Real("RM_010_SEU", 15, 8, list(grid("gearbox/gearset/{}_{}_{}.csv", GEARS, SEU))),
    "susu": Real(
        "RM_015_susu", 11, 3, list(grid("Data_{1}Hz/{0}_1_inch_{1}Hz.mat", SUSU, [18, 20]))
    ),
    "jnu": Real(
        "RM_016_JNU", 12, 1,
        [*grid("{}{}_2.csv", {"ib": 1, "ob": 2, "tb": 3}, [600, 800, 1000]),
         *grid("{}{}_3_2.csv", {"n": 0}, [600, 800, 1000])],
    ),
    "ottawa19": Real(
        "RM_017_Ottawa19", 13, 2, list(grid("{}-{}-1.mat", {"H": 0, "I": 1, "O": 2}, [*"ABCD"]))
    ),
    "thu24": Real("RM_018_THU24", 14, 2, list(grid("{0}/15hz_{0}_400s_{1}.csv", CAGES, [1, 2, 3]))),
    "dirg": Real("RM_020_DIRG", 16, 6, list(grid("{}_{}_000_1.mat", DIRG, [100, 200, 300, 400]))),
    "hit23": Real(
        "RM_023_HIT23", 17, 1,
        [row for bench, of in HIT_ON.items() for row in grid(bench + "/{}_{}.mat", of, [600, 900])],
    ),
    "just": Real(
        "RM_024_JUST", 18, 7,
        list(grid("{1}/20221208-{0}-{2}rpm-{3}N-1.csv", {"N": 0, "I": 1, "O": 2, "B1": 3}, JUST)),
    ),
    "hust24": Real("RM_031_HUST24", 19, 3, list(hust24())),
    "pu": Real("RM_027_PU", 20, 3, list(pu())),
}  # fmt: skip


def written(real: Real, folder: Path) -> None:
    """`folder`/PHM-Vibench with a file and a table as the real ones are, of short arrays."""
    rows, arrays = [], {}
    noise = np.random.default_rng(0).standard_normal((SAMPLES, real.channels, 1)).astype("f4")
    for key, acquisition in enumerate(real.rows, real.first_id):
        flags = {"Fault_Diagnosis": 1, "Anomaly_Detection": "TRUE", "Visiable": 1}
        rows.append(
            {
                **dict.fromkeys(files.COLUMNS, ""),
                **flags,
                "Id": key,
                "Dataset_id": real.dataset_id,
                "Name": real.name,
                "File": acquisition.file,
                "Label": acquisition.label,
                "Domain_id": acquisition.domain,
                "Domain_description": acquisition.domain,
                "RUL_label": "" if acquisition.life is None else acquisition.life,
                "Remaining_Life": acquisition.life is not None,
                "Sample_rate": acquisition.rate,
                "Sample_lenth": SAMPLES,
                "Channel": real.channels,
            }
        )
        arrays[str(key)] = noise[:, :0] if "temp_" in acquisition.file else noise
    files.write_rows(folder / "PHM-Vibench", rows, arrays, name=real.name)


def configured(*datasets: str) -> Configuration:
    run = {**RUN, "hardware": "local", "datasets": [f"vibench_{name}" for name in datasets]}
    return load(run, CONFIG)


def test_there_is_a_rig_and_a_dataset_for_each_file() -> None:
    for kind in ("rigs", "datasets"):
        shipped = {path.stem for path in (CONFIG / kind).glob("vibench_*.yaml")}
        assert shipped == {f"vibench_{name}" for name in REAL}
    options = [rig.phm_vibench for rig in configured(*REAL).rigs.values()]
    assert len({of.path for of in options if of}) == 18  # RM_010_SEU.h5 holds two
    assert [of.dataset_ids for of in options if of] == [[r.dataset_id] for r in REAL.values()]


RUL = ("xjtu", "femto", "ims", "unsw")
NO_CLASS = ("unsw",)
PROXY = ("xjtu", "femto", "ims")


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_the_shipped_files_read_and_split_files_like_the_real_ones(
    tmp_path: Path, name: str
) -> None:
    real, configuration = REAL[name], configured(name)
    written(real, tmp_path)
    options = configuration.rigs[f"vibench_{name}"].phm_vibench
    assert options is not None
    assert Path(options.path).stem == real.name
    source = PhmVibenchSource(options, tmp_path)
    write_store(source.recordings(), tmp_path / "store", Heading(name, "phm_vibench"))
    for fold, dataset in configuration.datasets.items():
        with Store(tmp_path / "store") as store:
            summary = make_split(store.table, dataset, fold, CONFIG / "datasets").summary
        assert summary.strength == dataset.split.strategy, summary.reasons
        lacks = summary.supported
        assert (lacks["rul_prediction"] is None) is (name in RUL), lacks
        assert (lacks["classification"] is None) is (name not in NO_CLASS), lacks
        assert (lacks["anomaly_detection"] is None) is (name not in NO_CLASS), lacks
        assert ("proxy" in dataset.note) is (name in PROXY)


@pytest.mark.parametrize("name", ["foundation", "domain_generalisation"])
def test_the_papers_experiments_are_current(name: str) -> None:
    file = CONFIG / "experiments" / f"{name}.yaml"
    own = {**read(CONFIG / "config.yaml"), **read(file), "hardware": "local"}
    configuration = load(own, CONFIG, [file])
    ids = [of.phm_vibench.dataset_ids[0] for of in configuration.rigs.values() if of.phm_vibench]
    assert ids == ([1, 2, 5, 6, 13, 19] if name == "foundation" else [1, 5, 6, 13, 19])
    batches = {"dlinear": 384, "fno": 320, "patchtst": 512, "timesnet": 512}
    for dataset in configuration.datasets:
        for model, batch in batches.items():
            cell = configuration.resolve(dataset, model, "all", 42)
            training, tasks = cell.training, cell.content()["tasks"]
            assert (training.epochs, training.batch_size) == (200, batch)
            assert (training.learning_rate, training.weight_decay) == (5e-4, 0.01)
            assert [task["weight"] for task in tasks.values()] == [1.0, 0.6, 0.7, 0.8]
            assert cell.dataset.span.window == 4096
    assert configuration.run.seeds == [42, 43]
