"""A rig's page shows each class, marks what is known at its frequency, and says what is not."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.__main__ import main
from workflow_src.configuration import Rig, digest
from workflow_src.configuration.loading import load_rig, page_part
from workflow_src.data.prepare import prepare_rig
from workflow_src.data.recordings import Recording
from workflow_src.data.rig_view import MOST_RUNS, SNAPSHOTS, STRETCH, chosen, view
from workflow_src.data.source import Provenance
from workflow_src.data.store import Heading, Store, write_store
from workflow_src.drawing.rig_figures import (
    class_figure,
    life_figure,
    shared_scales,
    shown_range,
    staggered,
)
from workflow_src.drawing.rig_page import page, write_page
from workflow_src.drawing.style import house_style
from workflow_src.errors import BadData
from workflow_src.features.fault_orders import fault_orders

from ..recordings import RECORDINGS

CONFIG = Path(__file__).parents[2] / "config"
SIMULATED = ("bearing_sim", "gearbox_sim", "life_sim")
REAL = ("cwru", "hit_sm", "uestc", "gfd", "femto")
SHOWN = [
    pytest.param(name, marks=() if name == "bearing_sim" else pytest.mark.slow)
    for name in (*SIMULATED, *REAL)
]
OWN = {"inner": "BPFI", "outer": "BPFO", "ball": "2 BSF"}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A function: the shipped rig of a name -> its store's folder, made once."""
    root, made = tmp_path_factory.mktemp("rigs"), {}

    def prepare(name):
        if name not in made:
            rig = load_rig(CONFIG, name)
            if rig.folder is not None and not (RECORDINGS / rig.folder.path).is_dir():
                pytest.skip("no recordings: set PHM_DATA_ROOT to their folder")
            made[name] = _prepare(root, name, rig)
        return made[name]

    return prepare


def _prepare(root, name, rig):
    options = rig.model_dump(exclude_none=True, by_alias=True, exclude={"geometry"})
    if rig.simulated is not None:
        options["simulated"]["units_per_class"] = 3
    table = rig.folder.table if rig.folder is not None else None
    part = {"rig": options, "table": table and digest(CONFIG / "rigs" / table)}
    here = Path.cwd()
    os.chdir(root)
    try:
        prepare_rig(
            name,
            part,
            description=rig.description,
            data_root=RECORDINGS,
            config_folder=CONFIG / "rigs",
        )
    finally:
        os.chdir(here)
    return root / "data" / name


def seen(folder):
    """The view of a shipped rig."""
    rig = load_rig(CONFIG, folder.name)
    with Store(folder) as store:
        return view(store, rig.machine, rig.amplitude_comparable)


class Reader(HTMLParser):
    """The headings, the images and the text of a page."""

    def __init__(self, text):
        super().__init__()
        self.headings, self.images, self.tags, self.text = [], [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_data(self, data):
        self.text += data
        if self.tags[-1:] == ["h3"] and data.strip():
            self.headings.append(data)


def drawn(image):
    """The gids of the marks of an image of the page, which must be SVG."""
    kind, data = image["src"].split(",", 1)
    assert kind == "data:image/svg+xml;base64"
    root = ElementTree.fromstring(base64.b64decode(data))
    ids = [element.get("id", "") for element in root.iter()]
    return {i for i in ids if i.startswith("mark ")}


# ------------------------------------------------------------------------------- every rig


@pytest.mark.slow
@pytest.mark.parametrize("name", SHOWN)
def test_a_page_has_a_figure_a_class_and_marks_what_is_known(name, prepared):
    rig = seen(prepared(name))
    text = page(rig)
    read = Reader(text)
    titles = [example.title for example in rig.examples]
    assert read.headings == titles
    assert len(read.images) == len(titles) + bool(rig.runs)
    assert "http" not in re.sub(r"base64,[^\"]*", "", text)  # it needs nothing beside it
    assert "<script" not in text
    known = fault_orders(load_rig(CONFIG, name).machine)
    for example, image in zip(rig.examples, read.images, strict=False):
        assert example.title in image["alt"]
        expected = {"shaft", *known} if example.shaft_hz is not None else set()
        assert {mark.split(" ", 1)[1].rsplit(" ", 1)[0] for mark in drawn(image)} == expected
    if all(example.shaft_hz is None for example in rig.examples):
        assert "is unknown: no order is marked" in read.text
    for label in ("recordings", "units a class", "sampling rate", "channels", "unit of amplitude"):
        assert label in read.text


def test_marks_stand_at_the_harmonics_of_each_order(prepared):
    rig = seen(prepared("bearing_sim"))
    example = rig.examples[1]
    shaft = float(example.condition.removesuffix("rpm")) / 60
    figure = class_figure(example, shared_scales(rig.examples), "g")
    envelope = figure.axes[3]
    found = {
        line.get_gid(): line.get_xdata()[0] for line in envelope.lines if line.get_gid() is not None
    }
    orders = {"shaft": 1.0, **fault_orders(rig.geometry)}
    expected = {
        f"mark {name} {h}": h * order * shaft for name, order in orders.items() for h in (1, 2, 3)
    }
    assert found == pytest.approx(expected)
    assert envelope.get_xlim() == (0, example.top)
    assert max(expected.values()) < example.top


@pytest.mark.fast_cases("bearing_sim")
@pytest.mark.parametrize("name", SIMULATED)
def test_classes_share_every_scale(name, prepared):
    rig = seen(prepared(name))
    scales = shared_scales(rig.examples)
    figures = [class_figure(example, scales, "g") for example in rig.examples]
    for panel in range(4):
        assert len({figure.axes[panel].get_ylim() for figure in figures}) == 1
    for figure, example in zip(figures, rig.examples, strict=True):
        assert np.abs(figure.axes[0].lines[0].get_ydata()).max() <= scales.wave
        assert all("(g)" in figure.axes[panel].get_ylabel() for panel in (0, 1, 2)), example.title


@pytest.mark.slow
def test_the_same_recordings_give_the_same_bytes_whatever_a_users_settings(prepared):
    first = page(seen(prepared("gearbox_sim")))
    with mpl.rc_context({"font.size": 30, "lines.linewidth": 9, "svg.fonttype": "none"}):
        assert page(seen(prepared("gearbox_sim"))) == first


# ------------------------------------------------------------------------------- what is seen


def lines(example):
    """The height of each fault's first line in the envelope's spectrum, two per cent around it."""
    f, a = example.envelope.frequency, example.envelope.amplitude
    found = {}
    for name in OWN.values():
        place = example.orders[name] * example.shaft_hz
        found[name] = a[np.abs(f - place) <= max(0.02 * place, 1.5 * f[1])].max()
    return found


def highest(example):
    """Where the envelope's spectrum is highest, in orders of the shaft."""
    f, a = example.envelope.frequency, example.envelope.amplitude
    low, high = shown_range(example)
    inside = (f >= low) & (f <= high)
    return f[inside][a[inside].argmax()] / example.shaft_hz


@pytest.mark.fast_cases("bearing_sim")
@pytest.mark.parametrize("name", ["bearing_sim", "life_sim", "hit_sm"])
def test_each_fault_has_the_highest_line_at_its_own_order(name, prepared):
    examples = {e.title: e for e in seen(prepared(name)).examples}
    for fault, example in examples.items():
        if fault in OWN:
            found = lines(example)
            assert max(found, key=found.get) == OWN[fault], (fault, found)
    outer = examples["outer"]
    place = highest(outer) / outer.orders["BPFO"]
    assert place == pytest.approx(round(place), abs=0.04)


@pytest.mark.slow
def test_cwru_shows_its_races_at_the_speed_of_the_recording(prepared):
    examples = {e.title: e for e in seen(prepared("cwru")).examples}
    assert {e.rate_hz for e in examples.values()} == {48000.0}  # one that all classes share
    for fault in ("inner", "outer"):
        place = highest(examples[fault]) / examples[fault].orders[OWN[fault]]
        assert place == pytest.approx(round(place), abs=0.02), fault


@pytest.mark.slow
def test_a_damaged_tooth_strikes_once_a_turn(prepared):
    examples = {e.title: e for e in seen(prepared("gearbox_sim")).examples}
    broken, normal = examples["broken"], examples["normal"]
    place = highest(broken)
    assert place == pytest.approx(round(place), abs=0.1)
    assert broken.band.kurtosis > normal.band.kurtosis + 1
    whole = class_figure(broken, shared_scales([broken]), "g").axes[1]
    marks = {line.get_gid(): line.get_xdata()[0] for line in whole.lines if line.get_gid()}
    assert marks == pytest.approx({f"mark mesh {h}": h * 21 * 0.025 for h in (1, 2, 3)})  # kHz


# ------------------------------------------------------------------------------- lives


@pytest.mark.slow
def test_rms_over_life_has_a_panel_a_run_and_rises_after_the_onset(prepared):
    rig = seen(prepared("life_sim"))
    assert len(rig.runs) == 9
    with house_style():
        figure = life_figure(rig.runs, "g")
    titles = [axes.get_title(loc="left") for axes in figure.axes[:9]]
    assert titles == [f"{run.run_id}, {run.life_s / 3600:.3g} h" for run in rig.runs]
    for run in rig.runs:
        before = run.rms[run.share < run.onset]
        assert run.rms[-1] > 1.5 * before.mean()
        assert before.std() < 0.2 * before.mean()


def snapshot(run, number, count, **labels):
    rng = np.random.default_rng(number)
    return Recording(
        recording_id=f"{run}_{number}",
        unit_id=run,
        condition="c",
        run_id=run,
        signal=rng.standard_normal((64, 6)).astype(np.float32),
        channel_kinds=("temperature", *("vibration",) * 5),
        time_s=10.0 * number,
        life_s=10.0 * count,
        **labels,
    )


@pytest.mark.slow
def test_many_runs_and_snapshots_are_drawn_in_part_and_that_is_said(tmp_path):
    def recordings():
        for run in range(MOST_RUNS + 3):
            count = SNAPSHOTS + 100 if run == 0 else 2
            yield from (snapshot(f"r{run}", k, count) for k in range(count))

    write_store(recordings(), tmp_path, Heading("many", "test"))
    with Store(tmp_path) as store:
        rig = view(store, None, True)
    assert (len(rig.runs), rig.runs_left_out) == (MOST_RUNS, 3)
    assert rig.runs[0].rms.shape == (SNAPSHOTS, 4)  # of the channels of vibration
    assert rig.runs[0].share[-1] == pytest.approx((SNAPSHOTS + 99) / (SNAPSHOTS + 100))
    assert [e.channel for e in rig.examples] == [1, 1, 1]
    text = Reader(page(rig)).text
    assert "3 more are not drawn" in text
    assert "The sampling rate is unknown: no order is marked" in text


# ------------------------------------------------------------------------------- which recordings


def plain(name, fault, condition="a", rate=1000.0, length=4000):
    rng = np.random.default_rng(sum(name.encode()))
    return Recording(
        recording_id=name,
        unit_id=name,
        condition=condition,
        run_id=name,
        signal=rng.standard_normal((length, 1)).astype(np.float32),
        channel_kinds=("vibration",),
        rate_hz=rate,
        fault=fault,
        attributes={"speed_rpm": "600"},
    )


def store_of(folder, *recordings, notes=(), **heading):
    provenance = partial(Provenance, notes=notes)
    write_store(recordings, folder, Heading("r", "test", **heading), provenance)
    return folder


def test_examples_come_from_the_condition_and_rate_that_most_classes_share(tmp_path):
    folder = store_of(
        tmp_path,
        plain("i0", "inner", "a"),
        plain("i1", "inner", "b"),
        plain("i2", "inner", "b", rate=2000.0),
        plain("o1", "outer", "b"),
        plain("n0", "normal", "b"),
        plain("x0", "worn", "d"),
    )
    with Store(folder) as store:
        rows = {
            title: store.table.loc[row, "recording_id"]
            for title, row in chosen(store.table).items()
        }
    assert rows == {"normal": "n0", "inner": "i1", "outer": "o1", "worn": "x0"}
    assert list(rows) == ["normal", "inner", "outer", "worn"]


def test_a_long_recording_is_read_in_part(tmp_path):
    folder = store_of(tmp_path, plain("long", None, length=STRETCH + 1000))
    with Store(folder) as store:
        (example,) = view(store, None, False).examples
    assert (example.title, len(example.signal)) == ("no class label", STRETCH)


@pytest.mark.slow
def test_what_the_manifest_says_is_shown_as_text(tmp_path):
    folder = store_of(
        tmp_path,
        plain("n", "normal"),
        description="A <b>bench</b> & more",
        notes=["a.csv: 3 < 4 channels"],
        unit="m/s2",
    )
    with Store(folder) as store:
        text = page(view(store, None, True))
    assert "A <b>" not in text
    read = Reader(text)
    assert "A <b>bench</b> & more" in read.text
    assert "a.csv: 3 < 4 channels" in read.text
    assert "peak values in m/s2" in read.text
    assert "the rig has no `geometry`" in read.text


@pytest.mark.slow
def test_silence_is_drawn(tmp_path):
    silent = plain("s", "normal")
    silent.signal[:] = 0
    folder = store_of(tmp_path, silent)
    with Store(folder) as store:
        assert len(Reader(page(view(store, None, True))).images) == 1


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 0.3)), max_size=12).map(
        lambda pairs: sorted(pairs)
    )
)
def test_labels_of_one_row_do_not_overlap(pairs):
    centres, widths = [c for c, _ in pairs], [w for _, w in pairs]
    rows = staggered(centres, widths)
    ends: dict[int, float] = {}
    for centre, width, row in zip(centres, widths, rows, strict=True):
        assert centre - width / 2 > ends.get(row, -1.0)
        ends[row] = centre + width / 2


# ------------------------------------------------------------------------------- the verb


@pytest.mark.slow
def test_the_verb_draws_a_rig_of_the_config(tmp_path, monkeypatch, capsys, prepared):
    (tmp_path / "data").mkdir()
    shutil.copytree(prepared("gearbox_sim"), tmp_path / "data" / "gearbox_sim")
    monkeypatch.chdir(tmp_path)
    assert main(["rig", "gearbox_sim", "--config-folder", str(CONFIG)]) == 0
    assert capsys.readouterr().out.strip() == "data/gearbox_sim/rig.html"
    read = Reader((tmp_path / "data/gearbox_sim/rig.html").read_text(encoding="utf-8"))
    assert read.headings == ["normal", "broken", "chipped"]


def test_a_rig_without_recordings_says_how_they_are_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    part = page_part(Rig.model_validate({"source": "simulated", "simulated": {"kind": "bearing"},
                                         "unit": "g", "amplitude_comparable": True}))  # fmt: skip
    with pytest.raises(BadData, match=r"snakemake .* data/none/recordings.h5"):
        write_page("none", part)


@pytest.mark.browser
def test_a_browser_shows_every_figure(tmp_path, prepared):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no browser: apt-get install chromium")
    rig = seen(prepared("life_sim"))
    ask = "<script>onload = () => { document.title = 'widths ' + "
    ask += "[...document.images].map(i => i.naturalWidth).join(' ') }</script>"
    file = tmp_path / "page.html"
    file.write_text(page(rig).replace("</body>", f"{ask}</body>"), encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    done = subprocess.run(
        [*command, f"--user-data-dir={tmp_path / 'profile'}", file.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    widths = re.search(r"<title>widths ([\d ]+)</title>", done.stdout)
    assert widths, done.stdout[:500]
    shown = [int(width) for width in widths[1].split()]
    assert len(shown) == len(rig.examples) + 1
    assert min(shown) > 500
