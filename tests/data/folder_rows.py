"""Tables of samples as text or sheets, written and read back."""

from __future__ import annotations

import math
import re

import numpy as np
import openpyxl
import pytest
import yaml

from workflow_src.data.recordings import check
from workflow_src.data.sources.folder import FolderOptions, FolderSource
from workflow_src.errors import BadData

FIELDS = {"unit_id": "{unit}", "condition": "c", "run_id": "{unit}"}
LENGTH = 120
SINE = [2.5 * math.sin(i / 5) for i in range(LENGTH)]
COSINE = [3 * math.cos(i / 7) for i in range(LENGTH)]
BOTH = np.array([SINE, COSINE]).T  # (L, 2)


def told(root, **options):
    given = {"path": ".", "rate_hz": 1000.0, "fields": FIELDS, "files": "u{unit}.csv"}
    return FolderSource(FolderOptions(**{**given, **options}), root, root)


def signal(root, **options):
    """The signal of the only recording, and the notes on it."""
    source = told(root, **options)
    (read,) = source.recordings()
    check(read)
    return read.signal, source.notes


def write(root, text, name="u1.csv"):
    (root / name).write_bytes(text.encode() if isinstance(text, str) else text)


def rows(sep=",", form="{:.5f}", columns=BOTH, end=""):
    return [sep.join(form.format(v) for v in row) + end for row in columns]


def comma(value):
    return f"{value:.6f}".replace(".", ",")


def refusal(root, *texts, **options):
    with pytest.raises(BadData) as caught:
        signal(root, **options)
    for text in ("u1", *texts):
        assert text in str(caught.value)
    return str(caught.value)


def remedied(root, message, **options):
    """What is read with the YAML that a refusal shows."""
    (text,) = re.findall(r"folder:(?: \{.*\}|\n +\w+: .*)", message)
    return signal(root, **{**options, **yaml.safe_load(text)["folder"]})[0]


def close(found, expected, decimals=5):
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.51 * 10**-decimals + 1e-6)


def book(root, content):
    made = openpyxl.Workbook()
    for row in content:
        made.active.append(list(row))
    made.save(root / "u1.xlsx")


def sheet(root, **options):
    return signal(root, files="u{unit}.xlsx", **options)
