"""A draft is YAML that says what was guessed, beside the guess."""

from __future__ import annotations

import yaml

from workflow_src.configuration.drafts import MARK, draft

VALUES = {
    "source": "folder",
    "unit": "unknown",
    "folder": {"path": "a b: c", "channels": [1, 2], "fields": {"unit_id": "{u}", "fault": "{f}"}},
    "description": "two words: and a colon",
}


def test_it_reads_as_what_was_given() -> None:
    questions = {("unit",): "no file says it", ("folder", "fields", "fault"): "by its name"}
    text = draft("rig", VALUES, questions, ["found by looking"])
    assert yaml.safe_load(text) == VALUES
    assert list(yaml.safe_load(text)) == list(VALUES)
    marked = [line for line in text.splitlines() if MARK in line]
    assert [line.split(":")[0].strip() for line in marked] == ["unit", "fault"]
    assert marked[0].endswith("no file says it")
    assert text.splitlines()[0].endswith("rig.schema.json")
