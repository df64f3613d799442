"""What is written from the keys is current: schemas and docs/configuration.md."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from workflow_src.__main__ import main
from workflow_src.configuration.documentation import document, rows
from workflow_src.configuration.json_schema import FILES, schemas
from workflow_src.configuration.reading import read, read_extended
from workflow_src.configuration.schema import Run

REPOSITORY = Path(__file__).parents[2]
CONFIG = REPOSITORY / "config"
REMEDY = "python -m workflow_src schema"


def test_the_schemas_are_current() -> None:
    written = {p.name: p.read_text(encoding="utf-8") for p in CONFIG.glob("schemas/*.json")}
    assert written == schemas(), REMEDY


def test_the_documentation_is_current() -> None:
    text = (REPOSITORY / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert text == document(), REMEDY


def test_the_verb_writes_both(tmp_path: Path) -> None:
    assert main(["schema", str(tmp_path)]) == 0
    assert (tmp_path / "docs/configuration.md").read_text(encoding="utf-8") == document()
    found = {p.name: p.read_text() for p in (tmp_path / "config/schemas").iterdir()}
    assert found == schemas()


def test_every_key_stands_in_the_documentation() -> None:
    text = document()
    for path in (row.path for row in rows(Run)):
        assert f"| `{path}` |" in text
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.replace("\\|", "").count("|") == 6, line


def _kind(file: Path) -> str:
    if file.parent.name in ("config", "experiments"):
        return {"task_sets": "task_sets", "site.example": "site", "site": "site"}.get(
            file.stem, "config"
        )
    return {"models": "model", "datasets": "dataset", "rigs": "rig"}.get(
        file.parent.name, file.parent.name
    )


FOREIGN = ("site.yaml", "dataset.yaml")  # git-ignored; of the package bearing-datasets
FILES_THERE = sorted(p for p in CONFIG.rglob("*.yaml") if p.name not in FOREIGN)


@pytest.mark.parametrize("file", FILES_THERE, ids=lambda p: str(p.relative_to(CONFIG)))
def test_every_file_of_the_repository_is_allowed(file: Path) -> None:
    kind = _kind(file)
    values = read(file)
    if "extends" in values:
        values, _ = read_extended(file.parent, file.stem)
    try:
        TypeAdapter(FILES[kind]).validate_python(values)
    except ValidationError as error:
        wrong = [e for e in error.errors() if e["type"] != "missing" or kind != "config"]
        assert not wrong


def test_the_schema_that_a_file_names_is_its_own() -> None:
    for file in FILES_THERE:
        first = file.read_text(encoding="utf-8").split("\n", 1)[0]
        if first.startswith("# yaml-language-server:"):
            schema = (file.parent / first.partition("$schema=")[2]).resolve()
            assert schema == CONFIG / "schemas" / f"{_kind(file)}.schema.json", file


def test_a_schema_refuses_what_the_keys_refuse() -> None:
    for name, text in schemas().items():
        schema = json.loads(text)
        closed = [schema, *schema.get("$defs", {}).values()]
        for section in closed:
            if "properties" in section:
                assert section["additionalProperties"] is False, name


def test_an_extending_file_need_not_repeat_what_is_required() -> None:
    schema = json.loads(schemas()["dataset.schema.json"])
    assert {"required": ["extends"]} in schema["anyOf"]
    assert "required" not in schema


def test_yaml_reads_the_examples_of_the_documentation() -> None:
    for row in rows(Run):
        for example in row.field.examples or []:
            assert yaml.safe_load(yaml.safe_dump(example)) == example
