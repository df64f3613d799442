"""What counts as other code, and what does not."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from workflow_src import code_digest as module
from workflow_src.code_digest import code_digest, digest_of

PACKAGE = Path(module.__file__).parent
SOURCE = '''
"""What it is."""
import math

class Scale:
    """A factor."""
    factor: float = 2.0

    def apply(self, value):
        """Scaled."""
        # doubles
        return self.factor * (value + 1)
'''
SAME = [
    SOURCE.replace('"""A factor."""', '"""Something else entirely."""'),
    SOURCE.replace('    """Scaled."""\n', ""),
    SOURCE.replace("# doubles", "# says nothing\n\n"),
    SOURCE.replace("self.factor * (value + 1)", "(\n    self.factor\n    * (value + 1)\n  )"),
    SOURCE.replace("value + 1", "value+0x1"),
]
OTHER = [
    SOURCE.replace("2.0", "2.5"),
    SOURCE.replace("2.0", "2"),  # an integer
    SOURCE.replace("value + 1", "value - 1"),
    SOURCE.replace("self.factor * (value + 1)", "self.factor * value + 1"),
    SOURCE.replace("factor", "by"),
    SOURCE.replace("        return", "        value = math.sqrt(value)\n        return"),
    SOURCE + '\n"a statement, no docstring"\n',
    SOURCE.replace("value + 1", "value + True"),
]


def package(folder: Path, source: str) -> str:
    file = folder / "models" / "scale.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text(textwrap.dedent(source), encoding="utf-8")
    return digest_of(folder, ("models",))


@pytest.mark.parametrize("source", SAME, ids=range(len(SAME)))
def test_words_and_layout_do_not_count(tmp_path: Path, source: str) -> None:
    assert source != SOURCE
    assert package(tmp_path, source) == package(tmp_path, SOURCE)


@pytest.mark.parametrize("source", OTHER, ids=range(len(OTHER)))
def test_whatever_may_change_a_number_counts(tmp_path: Path, source: str) -> None:
    assert source != SOURCE
    assert package(tmp_path, source) != package(tmp_path, SOURCE)


def test_a_file_that_is_added_renamed_or_torn_counts(tmp_path: Path) -> None:
    first = package(tmp_path, SOURCE)
    folder = tmp_path / "models"
    (folder / "more.py").write_text("")
    added = digest_of(tmp_path, ("models",))
    (folder / "more.py").rename(folder / "less.py")
    renamed = digest_of(tmp_path, ("models",))
    (folder / "less.py").write_text("def (")
    assert len({first, added, renamed, digest_of(tmp_path, ("models",))}) == 4


@pytest.mark.fast_cases("training/step*")
@pytest.mark.parametrize(
    ("file", "network", "classic"),
    [
        ("models/dlinear.py", True, False),
        ("training/step.py", True, False),
        ("tasks/classification/objective.py", True, False),
        ("tasks/meters.py", True, False),
        ("tasks/classification/score.py", False, False),
        ("tasks/scores.py", False, False),
        ("tasks/rul_prediction/phm2012.py", False, False),
        ("classic/trivial.py", False, True),
        ("features/shape.py", False, True),
        ("tables/notes.py", False, False),
        ("scheduling/status.py", False, False),
    ],
)
def test_of_this_package_what_trains_counts(
    tmp_path: Path, file: str, network: bool, classic: bool
) -> None:
    copy = shutil.copytree(PACKAGE, tmp_path / "workflow_src")
    before = {kind: digest_of(copy, parts) for kind, parts in module._MAKERS.items()}
    assert before == {"network": code_digest("network"), "classic": code_digest("classic")}
    with (copy / file).open("a", encoding="utf-8") as source:
        source.write("\nADDED = 1\n")
    after = {kind: digest_of(copy, parts) for kind, parts in module._MAKERS.items()}
    assert (after["network"] != before["network"]) == network
    assert (after["classic"] != before["classic"]) == classic


def test_no_library_is_loaded_for_it() -> None:
    code = "import sys; from workflow_src.code_digest import code_digest as of; of('network'); "
    code += "assert not {'torch', 'numpy', 'pandas', 'yaml'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, check=True)
