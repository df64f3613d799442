"""YAML is read as it was written: what has more than one reading, or stands twice, is refused.

The oracle is the text that was typed. What a remedy says to write is read again, and gives it.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.configuration.command_line import over_files, typed
from workflow_src.configuration.lines import COMMAND_LINE
from workflow_src.configuration.loading import _datasets, _one
from workflow_src.configuration.reading import read
from workflow_src.configuration.schema import Rig
from workflow_src.configuration.strict_yaml import TextPlace, parse
from workflow_src.configuration.validation_errors import as_flow, as_yaml
from workflow_src.errors import UserError

from ..examples import examples

REPOSITORY = Path(__file__).parents[2]
FILE = TextPlace("f.yaml")


def refused(text: str, origin: TextPlace = FILE) -> str:
    with pytest.raises(UserError) as caught:
        parse(text, origin)
    return str(caught.value)


def remedies(said: str) -> list[str]:
    """The ways to write it that a message offers."""
    lines = said.partition("  remedy:   ")[2].replace("\n" + " " * 12, "\n")
    return lines.split("\nor\n")


@pytest.mark.parametrize(
    ("word", "text", "other"),
    [
        ("010", "010", 10),
        ("008", "008", 8),
        ("00", "00", 0),
        ("-07", "-07", -7),
        ("025600", "025600", 25600),
        ("00.5", "00.5", 0.5),
        ("0x1F", "0x1F", 31),
        ("0o17", "0o17", 15),
        ("0b101", "0b101", 5),
        ("1_1", "1_1", 11),
        ("1_000.5", "1_000.5", 1000.5),
        ("._5", "._5", 0.5),
        ("20:00", "20:00", 1200),
        ("12:30:00", "12:30:00", 45000),
        ("08:30", "08:30", 510),
        ("1e3", "1e3", 1000.0),
        ("25.6e3", "25.6e3", 25600.0),
        ("1E-3", "1E-3", 0.001),
        ("-.5", "-.5", -0.5),
        ("yes", "yes", True),
        ("On", "On", True),
        ("Y", "Y", True),
        ("NO", "NO", False),
        ("off", "off", False),
        ("n", "n", False),
        ("2024-05-01", "2024-05-01", None),
        ("2024-13-45", "2024-13-45", None),
        ("2024-5-1 10:00:00", "2024-5-1 10:00:00", None),
    ],
)
@pytest.mark.parametrize("form", ["a: {word}", "a: {{b: [x, {word}]}}", "a:\n  - b: {word}"])
def test_a_word_of_two_readings_is_refused_with_both(
    word: str, text: str, other: Any, form: str
) -> None:
    said = refused("# comment\n" + form.format(word=word))
    line = 2 + form.count("\n")
    key = {"a: {word}": "a", "a: {{b: [x, {word}]}}": "a.b[1]"}.get(form, "a[0].b")
    assert said.startswith(f"`{word}` without quotes has more than one reading")
    assert f"f.yaml, line {line}, key `{key}`" in said
    shapes = {"a": lambda v: {"a": v}, "a.b[1]": lambda v: {"a": {"b": ["x", v]}}}
    shape = shapes.get(key, lambda v: {"a": [{"b": v}]})
    values = [text] if other is None else [text, other]
    assert [parse(r, FILE) for r in remedies(said)] == [shape(v) for v in values]
    assert all(type(v) is type(parse(as_flow(v), FILE)) for v in values)


@pytest.mark.parametrize("key", ["007", "1_1", "no", "12:30", "1e3", "1.10", "+5", "2024-05-01"])
def test_a_key_is_text(key: str) -> None:
    said = refused(f"values: {{a: x, {key}: y}}")
    assert f"key `values.{key}`" in said
    (mended,) = remedies(said)
    assert parse(mended, FILE) == {"values": {"a": "x", key: "y"}}


@pytest.mark.parametrize("text", ["N: normal", "y: vibration", "1: a", "1.5: a", "'010': a"])
def test_codes_and_plain_numbers_are_keys(text: str) -> None:
    assert parse(text, FILE) == yaml.safe_load(text)


MERGED = """\
base: &b {epochs: 5, batch_size: 8}
training:
  <<: *b
  epochs: 6
"""


@pytest.mark.parametrize(
    "text",
    [
        MERGED,
        "a: &a {x: 1}\nb: &b {x: 2, y: 3}\nc: {<<: [*a, *b], z: 4}",
        "a:\n  - &a {x: 1}\n  - {<<: *a, y: 2}",
        "a: {<<: {x: 1}, y: 2}",
        "a: {=: x}",
        "a: &a [1, 2]\nb: *a",
    ],
)
def test_what_is_merged_or_repeated_by_name_is_read_as_yaml_says(text: str) -> None:
    assert parse(text, FILE) == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("text", "key", "shown"),
    [
        (MERGED.replace("6", "010"), "training.epochs", {"training": {"epochs": "010"}}),
        (MERGED.replace("5", "010"), "base.epochs", {"base": {"epochs": "010"}}),
        ("a: {<<: {x: 010}, y: 2}", "a.x", {"a": {"x": "010"}}),
        ("a: {<<: [{x: 1}, {y: 010}]}", "a.y", {"a": {"y": "010"}}),
        ("a:\n- &a {x: 1}\n- {<<: *a, y: 010}", "a[1].y", {"a": [{"x": 1}, {"x": 1, "y": "010"}]}),
    ],
)
def test_a_word_that_is_merged_or_beside_one_is_asked_about(
    text: str, key: str, shown: Any
) -> None:
    said = refused(text)
    assert f"key `{key}`" in said
    assert parse(remedies(said)[0], FILE) == shown


@pytest.mark.parametrize(
    "pair", ["1 '1'", "1 1.0", "1.0 '1.0'", "true True", "null ~", "a 'a'", "1 1"]
)
def test_a_key_that_stands_twice_after_parsing(pair: str) -> None:
    first, second = pair.split()
    said = refused(f"v:\n  {first}: a\n  {second}: b")
    assert "stands twice" in said
    assert "f.yaml, lines 2 and 3" in said


@pytest.mark.parametrize("text", ["!!int '010'", "!!float '1_0'", "!!set {a, b}", "!!binary aGk="])
def test_a_tag_hides_nothing(text: str) -> None:
    with pytest.raises(yaml.YAMLError, match="without it"):
        parse(f"a: {text}", FILE)


@examples(300)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])))
def test_any_text_is_written_so_that_it_comes_back(text: str) -> None:
    assert parse(as_flow({text: [text]}), FILE) == {text: [text]}
    assert parse(as_yaml(("a", "b"), text), FILE) == {"a": {"b": text}}


WORDS = st.text("0123456789._-+:eExobyYnNtT", max_size=8)


@examples(500)
@given(WORDS)
def test_any_word_in_quotes_is_that_word(word: str) -> None:
    for text in (f"'{word}'", f'"{word}"'):
        assert parse(f"- {text}\n- {{{text}: 1}}", FILE) == [word, {word: 1}]


@examples(500)
@given(WORDS)
def test_a_word_without_quotes_is_a_number_in_these_digits_or_that_text(word: str) -> None:
    """Nothing is accepted that means something else than what was typed."""
    try:
        value = parse(f"a: {word}", FILE)["a"]
    except (UserError, yaml.YAMLError):
        return
    if isinstance(value, int | float) and not isinstance(value, bool):
        assert re.fullmatch(
            r"[-+]?(0|[1-9][0-9]*)(\.[0-9]*(e[-+][0-9]+)?)?|\.[0-9]+(e[-+][0-9]+)?", word.lower()
        )
        assert value == float(word)
    elif value is not None:
        assert value == word
        assert not re.fullmatch(r"[-+]?[0-9._]*[0-9][0-9._]*(e[-+]?[0-9]+)?", word.lower()) or (
            word.count(".") > 1 or word[0] == "_"
        ), "a number to some"


@examples(300)
@given(st.one_of(st.integers(-(10**18), 10**18), st.floats(allow_nan=False, allow_infinity=False)))
def test_any_number_is_read_as_it_is_printed(number: float) -> None:
    read = parse(as_flow([number]), FILE)
    assert read == [number]
    assert type(read[0]) is type(number)
    if isinstance(number, int):
        assert parse(f"a: {number}", FILE) == {"a": number}


# ------------------------------------------------------------------------------- where text stands


RIG = """source: folder
unit: g
amplitude_comparable: false
folder:
  path: x
  files: "{size}_{unit}.csv"
  rate_hz: RATE
  ends_in_failure: ENDS
  fields: {unit_id: "{unit}", condition: c, run_id: "{unit}", fault: {from: size, values: VALUES}}
  time: {from: unit, step_s: 10}
"""
DATASET = """rig: mine
span: {window: 2048, horizon: 96}
split: {strategy: unit, test: TEST}
"""


def rig(tmp_path: Path, rate: str = "25600", ends: str = "false", values: str = "{a: b}") -> Rig:
    text = RIG.replace("RATE", rate).replace("ENDS", ends).replace("VALUES", values)
    (tmp_path / "mine.yaml").write_text(text)
    made: Rig = _one(Rig, tmp_path, "mine")
    return made


@pytest.mark.parametrize(
    ("change", "line", "key", "mended"),
    [
        ({"ends": "[1.10]"}, 8, "folder.ends_in_failure[0]", "ends_in_failure: ['1.10']"),
        ({"ends": "[+5]"}, 8, "folder.ends_in_failure[0]", "ends_in_failure: ['+5']"),
        ({"ends": "[a, 010]"}, 8, "folder.ends_in_failure[1]", "ends_in_failure: [a, '010']"),
        ({"values": "{a: 1.0e+3}"}, 9, "folder.fields.fault.values.a", "a: '1.0e+3'"),
        ({"values": "{007: ball}"}, 9, "folder.fields.fault.values.007", "'007': ball"),
        ({"rate": "025600"}, 7, "folder.rate_hz", "rate_hz: 25600"),
        ({"rate": "20:00"}, 7, "folder.rate_hz", "rate_hz: 1200"),
    ],
)
def test_a_rig_of_such_words(
    tmp_path: Path, change: dict[str, str], line: int, key: str, mended: str
) -> None:
    with pytest.raises(UserError) as caught:
        rig(tmp_path, **change)
    said = str(caught.value)
    assert f"mine.yaml, line {line}, key `{key}`" in said
    assert mended in said


def test_numbers_in_their_own_digits_are_text_where_text_is_meant(tmp_path: Path) -> None:
    made = rig(tmp_path, ends="['1.10', '007']", values="{'007': 600, 14: 1.5, '1_1': b, N: c}")
    assert made.folder is not None
    assert made.folder.ends_in_failure == ("1.10", "007")
    assert made.folder.fields["fault"].values == {  # type: ignore[union-attr]
        "007": "600", "14": "1.5", "1_1": "b", "N": "c"
    }  # fmt: skip
    assert rig(tmp_path, rate="2.560e+4").folder.rate_hz == 25600  # type: ignore[union-attr]


@pytest.mark.parametrize("word", ["1.10", "+7", "1.0e+3", ".nan", ".inf", "-0", "5."])
def test_a_selector_of_other_digits_is_refused_with_quotes(tmp_path: Path, word: str) -> None:
    folder = tmp_path / "datasets"
    folder.mkdir()
    (folder / "mine.yaml").write_text(DATASET.replace("TEST", f"{{unit_id: [a, {word}]}}"))
    with pytest.raises(UserError) as caught:
        _datasets(tmp_path, ["mine"])
    said = str(caught.value)
    assert "datasets/mine.yaml, line 3, key `split.test.unit_id[1]`" in said
    assert parse(remedies(said)[0], FILE) == {"split": {"test": {"unit_id": ["a", word]}}}


# ------------------------------------------------------------------------------- --config


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("seeds=[42,43]", [42, 43]),
        ("seeds=[42]", [42]),
        ("training={fused_optimizer: false}", {"fused_optimizer": False}),
        ("training={'epochs': 5, 'learning_rate': 0.001}", {"epochs": 5, "learning_rate": 0.001}),
        ("data_root=.", "."),
        ("data_root=/a b/c=d", "/a b/c=d"),
        ("hardware=a100-80g", "a100-80g"),
        ("study='010'", "010"),
        ('study="1e3"', "1e3"),
        ("exclude=['*/fno/*']", ["*/fno/*"]),
        ("data_root=", None),
    ],
)
def test_an_argument_is_read_as_yaml(argument: str, value: Any) -> None:
    assert typed([argument]) == {argument.partition("=")[0]: value}


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("seeds=[010, 11]", [["010", 11], [10, 11]]),
        ("study=1_1", ["1_1", 11]),
        ("study=2024-05-01", ["2024-05-01"]),
        ("training={fused_optimizer: no}", [{"fused_optimizer": "no"}, {"fused_optimizer": False}]),
        ("exclude=[*/fno/*, hit_*]", [["*/fno/*", "hit_*"]]),
        ("data_root=[x", ["[x"]),
        ("data_root=it's: a: b", ["it's: a: b"]),
    ],
)
def test_the_remedy_of_an_argument_is_one_that_a_shell_takes(
    argument: str, values: list[Any]
) -> None:
    with pytest.raises(UserError) as caught:
        typed([argument])
    said = str(caught.value)
    assert f"where:    {COMMAND_LINE}, key `{argument.partition('=')[0]}" in said
    written = [shlex.split(remedy, comments=True) for remedy in remedies(said)]
    assert [words[0] for words in written] == ["--config"] * len(values)
    assert [typed(words[1:]) for words in written] == [
        {argument.partition("=")[0]: value} for value in values
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["seeds=[1]", "seeds=[2]"], "The key `seeds` stands twice."),
        (["training={epochs: 1, epochs: 2}"], "The key `training.epochs` stands twice."),
        (["data_root=~"], "`~` without quotes"),
    ],
)
def test_other_arguments_that_are_refused(arguments: list[str], says: str) -> None:
    with pytest.raises(UserError, match=re.escape(says)):
        typed(arguments)


def test_arguments_stand_above_the_files(capsys: pytest.CaptureFixture[str]) -> None:
    files = {"study": "a", "seeds": [1], "training": {"epochs": 3, "batch_size": 8}}
    said = over_files(files, ["training={epochs: 5}", "hardware=cpu"], scheduled=False)
    assert said == {**files, "training": {"epochs": 5, "batch_size": 8}, "hardware": "cpu"}
    assert not capsys.readouterr().err


def test_without_profile_and_arguments_the_hardware_is_this_machine(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert over_files({}, [], scheduled=False) == {"hardware": "local"}
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert over_files({"hardware": "cpu"}, [], scheduled=False) == {"hardware": "cpu"}
    assert over_files({}, [], scheduled=True) == {}
    assert over_files({}, ["study=a"], scheduled=False) == {"study": "a"}
    assert not capsys.readouterr().err


# ------------------------------------------------------------------------------- what is shipped


SHIPPED = sorted(
    path for folder in ("config", "profiles") for path in (REPOSITORY / folder).rglob("*.yaml")
)
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{page.name}-{i}")
    for page in PAGES
    for i, block in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.S))
]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_file_is_accepted_and_means_the_same(path: Path) -> None:
    assert read(path) == (yaml.safe_load(path.read_text(encoding="utf-8")) or {})


@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_of_the_documentation_is_accepted(block: str) -> None:
    for document in re.split(r"^# ---- .*\n", block, flags=re.MULTILINE):
        assert parse(document, FILE) == yaml.safe_load(document)
