"""Files below data/: what is edited by hand is named, with its key and the command that helps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workflow_src.artifacts.audit_report import AuditReport
from workflow_src.artifacts.store_manifest import StoreManifest
from workflow_src.errors import BadData

MANIFEST: dict[str, Any] = {
    "rig": "bench",
    "source": "folder",
    "unit": "m/s2",
    "description": "",
    "versions": {},
    "recordings": 2,
    "bytes": 8000,
    "sha256": "ab",
    "table_sha256": "cd",
    "files": {"z.csv": "01", "a.csv": "02"},
    "links": {"/x.h5": {"size": 5, "mtime_s": 7}},
    "notes": ["é"],
}


def written(folder: Path, content: dict[str, Any]) -> Path:
    path = folder / "data" / "bench" / "manifest.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def test_what_is_read_is_written_byte_for_byte(tmp_path: Path) -> None:
    path = written(tmp_path, MANIFEST)
    before = path.read_bytes()
    StoreManifest.read(path).write(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("edit", "key"),
    [
        ({"recordings": "2"}, "recordings"),
        ({"links": {"/x.h5": {"size": 5}}}, "links./x.h5.mtime_s"),
        ({"colour": "red"}, "colour"),
        ({"notes": [1]}, "notes.0"),
    ],
)
def test_an_edit_is_named_with_file_key_and_command(
    tmp_path: Path, edit: dict[str, Any], key: str
) -> None:
    path = written(tmp_path, MANIFEST | edit)
    with pytest.raises(BadData) as caught:
        StoreManifest.read(path)
    said = str(caught.value)
    assert f"{path}, key `{key}`" in said
    command = "snakemake --profile profiles/local --force"
    assert f"{command} {path.parent / 'recordings.h5'}" in said


def test_a_file_that_is_cut_short_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, MANIFEST)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(BadData, match=r"manifest\.json cannot be read[\s\S]*--force"):
        StoreManifest.read(path)


SHARED = {
    "part": "test", "recording_id": "b", "from": 0, "to": 900,
    "shared_with": "train", "their_recording_id": "a", "their_from": 5, "their_to": 905,
    "shift": -5, "samples": 900, "stretches": 1, "channels": [[0, 1], [1, 0]], "gain": 1.0,
}  # fmt: skip
AUDIT: dict[str, Any] = {
    "dataset": "bench",
    "rig": "bench",
    "certain_from_samples": None,
    "declared_leaky": False,
    "shared_pairs": 2,
    "shared": [SHARED, SHARED | {"ratio": -0.5}],
    "shared_spans": {"test": {"spans": 1, "of": 2}},
    "passed_over": 0,
    "shortcuts": [],
    "warnings": {"classification": ["RMS alone tells the class"]},
}


def test_an_audit_is_written_byte_for_byte_and_an_edit_is_named(tmp_path: Path) -> None:
    path = tmp_path / "audit.json"
    path.write_text(json.dumps(AUDIT, indent=1) + "\n", encoding="utf-8")
    before = path.read_bytes()
    AuditReport.read(path).write(path)
    assert path.read_bytes() == before
    path.write_bytes(before.replace(b'"from": 0', b'"from": "0"', 1))
    with pytest.raises(BadData, match=r"key `shared\.0\.from`[\s\S]*--force .*split\.csv"):
        AuditReport.read(path)
