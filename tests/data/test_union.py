"""Rigs as one: every recording of a common class once, under its rig's name, at one rate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.configuration.schema import Dataset, Rig
from workflow_src.configuration.union import UnionOptions
from workflow_src.data.provenance import rate_tells_class
from workflow_src.data.recordings import Recording
from workflow_src.data.resampling import SUPPORT
from workflow_src.data.sources.folder import FolderSource
from workflow_src.data.sources.union import UnionSource
from workflow_src.data.splits import make_split
from workflow_src.data.store import Heading, Store, write_store
from workflow_src.data.windows import SpanReader
from workflow_src.errors import BadData, UserError

from ..examples import examples

REPOSITORY = Path(__file__).parents[2]
KINDS = ("current", "vibration", "vibration")


def recording(name: str, fault: str | None, **given: Any) -> Recording:
    kinds = given.pop("channel_kinds", KINDS)
    length = given.pop("length", 600)
    rng = np.random.default_rng(sum(name.encode()))
    signal = rng.standard_normal((length, len(kinds))) + np.arange(len(kinds))
    facts = {"unit_id": f"{name}_unit", "condition": "slow", "run_id": name, "rate_hz": 2000.0}
    return Recording(
        recording_id=name,
        fault=fault,
        signal=signal.astype(np.float32),
        channel_kinds=kinds,
        **{**facts, **given},
    )


def stored(folder: Path, **rigs: list[Recording]) -> dict[str, Path]:
    for name, recordings in rigs.items():
        write_store(recordings, folder / name, Heading(name, "test"))
    return {name: folder / name for name in rigs}


def a(*faults: str | None, **given: Any) -> list[Recording]:
    return [recording(f"{i}", fault, **given) for i, fault in enumerate(faults)]


def union(folder: Path, parts: dict[str, list[Recording]], **keys: Any) -> UnionSource:
    given = {"rigs": list(parts), "rate_hz": 1000.0, **keys}
    return UnionSource(UnionOptions.model_validate(given), stored(folder, **parts))


def refused(folder: Path, parts: dict[str, list[Recording]], *texts: str, **keys: Any) -> None:
    source = union(folder, parts, **keys)
    with pytest.raises(UserError) as caught:
        next(source.recordings())
    for text in texts:
        assert text in str(caught.value), caught.value


# ------------------------------------------------------------------------------- what it holds


def test_names_are_prefixed_and_the_rest_is_kept(tmp_path):
    life = {"time_s": 3.0, "life_s": 9.0, "onset_s": 4.0, "attributes": {"load": "5 kg"}}
    source = union(tmp_path, {"one": a("normal", "inner", **life), "two": a("normal", "inner")})
    first, _, third, _ = source.recordings()
    names = (first.recording_id, first.unit_id, first.run_id, first.condition)
    assert names == ("one:0", "one:0_unit", "one:0", "one:slow")
    assert third.recording_id == "two:0"
    assert (first.fault, first.time_s, first.life_s, first.onset_s) == ("normal", 3.0, 9.0, 4.0)
    assert first.attributes == {"load": "5 kg", "rig": "one", "native_rate_hz": "2000"}
    assert third.attributes == {"rig": "two", "native_rate_hz": "2000"}
    assert first.rate_hz == 1000.0


def test_classes_that_a_rig_lacks_are_left_out_and_counted(tmp_path):
    parts = {"one": a("normal", "inner", "ball", "ball"), "two": a("normal", "inner", None)}
    source = union(tmp_path, parts)
    assert [r.recording_id for r in source.recordings()] == ["one:0", "one:1", "two:0", "two:1"]
    assert "classes: inner, normal" in source.notes
    assert "one: 2 recordings left out, class ball, not in every rig" in source.notes
    assert "two: 1 recordings left out, without a class" in source.notes
    assert "one: 2 recordings (2 at 2000 Hz)" in source.notes


def test_classes_of_other_names_are_mapped(tmp_path):
    parts = {"one": a("normal", "inner"), "two": a("healthy", "IR", "inner")}
    keys = {"classes": {"two": {"healthy": "normal", "IR": "inner"}}}
    faults = [r.fault for r in union(tmp_path, parts, **keys).recordings()]
    assert faults == ["normal", "inner", "normal", "inner", "inner"]


def test_a_selection_counts_for_its_rig_alone(tmp_path):
    fast = [recording("f", "normal", condition="fast"), *a("normal", "inner")]
    source = union(
        tmp_path,
        {"one": fast, "two": a("normal", "inner")},
        select={"one": {"condition": ["slow"]}},
    )
    assert len(list(source.recordings())) == 4
    assert "one: 1 recordings left out, not in `select`" in source.notes


@pytest.mark.parametrize(
    ("channels", "kinds"),
    [
        ({"vibration": 1}, ("vibration",)),
        ({"vibration": 2}, ("vibration", "vibration")),
        ({"current": 1, "vibration": 1}, ("vibration", "current")),  # one order for all rigs
    ],
)
def test_the_first_channels_of_each_kind_are_taken(tmp_path, channels, kinds):
    turned = ("vibration", "vibration", "current")
    parts = {"one": a("normal", "inner"), "two": a("normal", "inner", channel_kinds=turned)}
    made = list(union(tmp_path, parts, channels=channels).recordings())
    assert {r.channel_kinds for r in made} == {kinds}
    # The mean of a channel is its place in the recording.
    places = {"one": {"vibration": [1, 2], "current": [0]}}
    places["two"] = {"vibration": [0, 1], "current": [2]}
    for one in made:
        own = {kind: iter(where) for kind, where in places[one.attributes["rig"]].items()}
        expected = [next(own[kind]) for kind in kinds]
        np.testing.assert_allclose(one.signal.mean(0), expected, atol=0.2)


def test_each_is_brought_to_the_common_rate(tmp_path):
    parts = {"one": a("normal", "inner"), "two": a("normal", "inner", rate_hz=5000.0)}
    made = list(union(tmp_path, parts).recordings())
    assert [len(r.signal) for r in made] == [300, 300, 120, 120]
    assert {r.rate_hz for r in made} == {1000.0}


def test_the_store_tells_where_it_came_from(tmp_path):
    source = union(tmp_path, {"one": a("normal", "inner"), "two": a("normal", "inner")})
    heading = Heading("both", "union")
    manifest = write_store(source.recordings(), tmp_path / "both", heading, source.provenance)
    with Store(tmp_path / "one") as part:
        assert manifest.files[str(tmp_path / "one")] == part.manifest.sha256
    assert manifest.notes[-1].startswith("two: 2 recordings")


LABELS = st.lists(st.sampled_from(["normal", "inner", "outer", None]), min_size=1, max_size=6)


@given(faults=st.lists(LABELS, min_size=2, max_size=3), data=st.data())
@examples(25)
def test_every_selected_recording_of_a_common_class_is_there_once(tmp_path_factory, faults, data):
    parts = {
        f"rig{i}": [
            recording(
                f"{k}", fault, condition=data.draw(st.sampled_from(["slow", "fast"])), length=8
            )
            for k, fault in enumerate(own)
        ]
        for i, own in enumerate(faults)
    }
    chosen = {  # of the first rig the slow ones alone, where it has any
        rig: [r for r in own if rig != "rig0" or r.condition == "slow"]
        for rig, own in parts.items()
    }
    select = {"rig0": {"condition": ["slow"]}} if chosen["rig0"] else {}
    chosen = chosen if select else parts
    common = set.intersection(*({r.fault for r in own} - {None} for own in chosen.values()))
    source = union(tmp_path_factory.mktemp("parts"), parts, select=select)
    if len(common) < 2:
        with pytest.raises(UserError, match="classes in common"):
            list(source.recordings())
        return
    made = [r.recording_id for r in source.recordings()]
    expected = [
        f"{rig}:{r.recording_id}" for rig, own in chosen.items() for r in own if r.fault in common
    ]
    assert made == expected
    left = sum(int(n.split()[1]) for n in source.notes if "left out" in n)
    assert len(made) + left == sum(map(len, parts.values()))


# ------------------------------------------------------------------------------- refusals

GOOD = {"one": a("normal", "inner")}


def test_an_unknown_rate_is_refused_with_the_remedy(tmp_path):
    parts = {**GOOD, "two": a("normal", "inner", rate_hz=None)}
    refused(tmp_path, parts, "unknown", "rig `two`, recording '0'", "rate_hz", "take the rig out")


def test_a_rate_below_the_common_one_is_refused_with_one_that_works(tmp_path):
    parts = {**GOOD, "two": a("normal", "inner", rate_hz=800.0)}
    refused(tmp_path, parts, "1000 Hz is above 800 Hz", "union: {rate_hz: 800.0}")


def test_a_ratio_of_large_terms_is_taken_and_what_it_is_off_is_noted(tmp_path):
    parts = {**GOOD, "two": a("normal", "inner", rate_hz=48_828.0)}
    source = union(tmp_path, parts)
    assert len(list(source.recordings())[-1].signal) == 13  # ceil(600 * 1000 / 48828)
    assert not any("millionths" in note for note in source.notes)
    source = union(tmp_path, {**GOOD, "two": a("normal", "inner", rate_hz=2000.0007)})
    assert {r.rate_hz for r in source.recordings()} == {1000.0}
    assert sum("2000.0007 Hz become" in note for note in source.notes) == 1


def test_too_few_channels_are_refused_and_what_there_is_named(tmp_path):
    parts = {**GOOD, "two": a("normal", "inner", channel_kinds=("vibration",))}
    keys = {"channels": {"vibration": 2}}
    refused(tmp_path, parts, "rig `two`", "1 of kind vibration", "vibration: 1", **keys)


def test_rigs_without_two_common_classes_are_refused_with_what_they_have(tmp_path):
    parts = {**GOOD, "two": a("healthy", "IR")}
    refused(tmp_path, parts, "one: inner, normal", "two: IR, healthy", "classes:")


def test_a_class_that_the_mapping_invents_is_refused(tmp_path):
    parts = {**GOOD, "two": a("normal", "IR")}
    keys = {"classes": {"two": {"IR": "inner", "OR": "outer"}}}
    refused(tmp_path, parts, "no class 'OR'", "IR: inner", **keys)


def test_a_selection_of_nothing_is_refused_and_its_key_named(tmp_path):
    parts = {**GOOD, "two": a("normal", "inner")}
    refused(tmp_path, parts, "union.select.two", select={"two": {"rate_hz": [1]}})


def test_attributes_that_the_union_gives_are_refused(tmp_path):
    parts = {**GOOD, "two": a("normal", "inner", attributes={"rig": "a bench"})}
    refused(tmp_path, parts, "found:    rig", "rig `two`")


# ------------------------------------------------------------------------------- split by rig

UNIT = {"strategy": "unit"}


def three_rigs(folder: Path) -> Path:
    """A store of three rigs, two specimens a class each."""
    parts = {
        rig: [
            recording(
                f"{fault}{i}", fault, unit_id=f"{fault}{i}", run_id=f"{fault}{i}", length=4000
            )
            for fault in ("normal", "inner")
            for i in range(2)
        ]
        for rig in ("one", "two", "three")
    }
    source = union(folder, parts)
    write_store(source.recordings(), folder / "all", Heading("all", "union"))
    return folder / "all"


def dataset(**split: Any) -> Dataset:
    given = {"strategy": "rig", "gap": SUPPORT, **split}
    return Dataset.model_validate(
        {"rig": "all", "span": {"window": 40, "horizon": 8}, "split": given, "amplitude": "none"}
    )


@pytest.mark.fast_cases("rig-two")
@pytest.mark.parametrize("held_out", ["one", "two", "three"])
@pytest.mark.parametrize("validation", ["time_block", "unit", "rig"])
def test_a_rig_held_out_is_neither_trained_nor_validated_on(tmp_path, held_out, validation):
    with Store(three_rigs(tmp_path)) as store:
        gap = {"gap": SUPPORT if validation == "time_block" else 0}
        keys = dataset(
            test={"rig": [held_out]}, validation={"strategy": validation, "share": 0.3}, **gap
        )
        split = make_split(store.table, keys, "d")
        rigs = split.rows["recording_id"].str.partition(":")[0]
        inside = {part: set(rigs[split.rows["part"] == part]) for part in ("train", "val", "test")}
    assert inside["test"] == {held_out}
    assert held_out not in inside["train"] | inside["val"]
    assert inside["train"]
    assert inside["val"]
    assert split.summary.strength == "rig"
    assert split.summary.test_rigs == (held_out,)
    assert split.summary.validation.strategy == validation
    if validation == "rig":
        assert not inside["train"] & inside["val"]


def test_a_rig_is_drawn_where_none_is_named(tmp_path):
    with Store(three_rigs(tmp_path)) as store:
        split = make_split(store.table, dataset(test_share=0.3), "d")
    assert split.summary.strength == "rig"
    assert len(split.summary.test_rigs) == 1


def test_a_test_part_of_half_a_rig_is_no_split_by_rig(tmp_path):
    units = {"unit_id": ["one:normal0", "one:inner0"]}
    with Store(three_rigs(tmp_path)) as store:
        summary = make_split(store.table, dataset(test=units), "d").summary
    assert (summary.declared, summary.strength) == ("rig", "unit")
    assert "1 values of rig are on both sides, among them one" in summary.reasons[0]


def test_validation_on_the_rig_held_out_is_no_split_by_rig(tmp_path):
    """A file may put a recording of the test rig into validation: it then selects the model."""
    with Store(three_rigs(tmp_path)) as store:
        names = store.table["recording_id"]
        parts = ["test" if name.startswith("one:") else "train" for name in names]
        parts[parts.index("test")] = "val"
        listed = "\n".join(f"{n},{p}" for n, p in zip(names, parts, strict=True))
        (tmp_path / "mine.csv").write_text(f"recording_id,part\n{listed}\n")
        keys = dataset(strategy="fixed", file="mine.csv", gap=0)
        summary = make_split(store.table, keys, "d", tmp_path).summary
    assert summary.strength == "unit"


def test_one_rig_cannot_be_split_by_rig(tmp_path):
    """Fewer than two: the next strength, and why."""
    own = [recording(f"{f}{i}", f) for f in ("normal", "inner") for i in range(3)]
    folder = stored(tmp_path, one=own)["one"]
    with Store(folder) as store:
        summary = make_split(store.table, dataset(gap=0, validation=UNIT), "d").summary
    assert summary.strength == "unit"
    assert summary.reasons[0] == "not by rig: there is only one rig"
    assert summary.test_rigs is None
    named = dataset(test={"unit_id": ["normal0_unit", "inner0_unit"]}, gap=0, validation=UNIT)
    with Store(folder) as store:
        summary = make_split(store.table, named, "d").summary
    assert list(summary.reasons) == ["declared rig, proven unit: there is only one rig"]


def test_blocks_nearer_than_the_filter_reaches_are_refused(tmp_path):
    with Store(three_rigs(tmp_path)) as store, pytest.raises(UserError) as caught:
        make_split(store.table, dataset(test={"rig": ["one"]}, gap=SUPPORT - 1), "d")
    assert f"gap: {SUPPORT}" in str(caught.value)


def test_predictions_name_the_rig_that_a_span_comes_from(tmp_path):
    folder = three_rigs(tmp_path)
    keys = dataset(test={"rig": ["two"]})
    with Store(folder) as store:
        split = make_split(store.table, keys, "d")
    reader = SpanReader(folder, split, keys)
    assert set(reader.frame(reader.rows("test"))["rig"]) == {"two"}
    assert set(reader.frame(reader.rows("train"))["rig"]) == {"one", "three"}
    reader.close()


# ------------------------------------------------------------------------------- shortcuts


def test_a_rate_of_origin_that_predicts_the_class_is_said(tmp_path):
    mixed = [*a("normal", "inner"), recording("x", "inner", rate_hz=1000.0)]
    source = union(tmp_path, {"one": mixed, "two": a("normal", "inner", rate_hz=4000.0)})
    expected = (
        "one: the rate of origin predicts the class (1000 and 2000 Hz before resampling; "
        "normal at 2000 Hz alone)"
    )
    heading = Heading("both", "union")
    manifest = write_store(source.recordings(), tmp_path / "both", heading, source.provenance)
    assert manifest.notes[-1] == expected
    with Store(tmp_path / "both") as store:
        assert rate_tells_class(store.table) == [expected]
        split = make_split(store.table, dataset(test={"rig": ["two"]}), "d")
    assert split.summary.warnings == (expected,)


def test_rates_that_differ_between_rigs_alone_say_nothing(tmp_path):
    source = union(
        tmp_path, {"one": a("normal", "inner"), "two": a("normal", "inner", rate_hz=4000.0)}
    )
    list(source.recordings())
    assert not [note for note in source.notes if "predicts" in note]


def test_a_rig_that_is_no_union_may_tell_its_native_rate(tmp_path):
    own = [replace(r, attributes={"native_rate_hz": "9"}) for r in a("normal", "inner")]
    with Store(stored(tmp_path, one=own)["one"]) as store:
        assert rate_tells_class(store.table) == []


# ------------------------------------------------------------------------------- real rigs


@pytest.mark.slow
def test_the_three_bearing_rigs_become_one_at_12_khz(data_root, tmp_path):
    rigs = REPOSITORY / "config" / "rigs"

    def rig(name: str) -> Rig:
        return Rig.model_validate(yaml.safe_load((rigs / f"{name}.yaml").read_text()))

    options = rig("cross_12k").union
    folders = {}
    for name in options.rigs:
        source = FolderSource(rig(name).folder, data_root, rigs)
        write_store(source.recordings(), tmp_path / name, Heading(name, "folder"))
        folders[name] = tmp_path / name
    made = UnionSource(options, folders)
    counts: dict[tuple[str, str], int] = {}
    for one in made.recordings():
        assert one.rate_hz == 12000
        assert one.channel_kinds == ("vibration",)
        key = (one.attributes["rig"], str(one.fault))
        counts[key] = counts.get(key, 0) + 1
    assert counts == {
        **{("uestc", fault): 4 for fault in ("normal", "inner", "outer")},
        ("hit_sm", "normal"): 2,
        ("hit_sm", "inner"): 4,
        ("hit_sm", "outer"): 4,
        ("cwru", "normal"): 1,
        ("cwru", "inner"): 3,
        ("cwru", "outer"): 2,
    }
    assert any("cwru: the rate of origin predicts the class" in note for note in made.notes)


def test_bad_data_is_an_error_of_the_data(tmp_path):
    """Not to be tried again by the scheduler."""
    parts = {**GOOD, "two": a("normal", "inner", rate_hz=None)}
    with pytest.raises(BadData):
        next(union(tmp_path, parts).recordings())
