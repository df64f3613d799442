"""A YAML file as a draft: what was guessed bears a mark that asks to be looked at."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Literal

from workflow_src.configuration.scalars import Yaml
from workflow_src.configuration.validation_errors import as_flow

Values = Mapping[str, Yaml]  # keys of a file of YAML, in order
MARK = "# ?"  # what to search a draft for


def draft(
    kind: Literal["rig", "dataset"],
    values: Values,
    questions: Mapping[tuple[str, ...], str],
    head: Sequence[str] = (),
) -> str:
    """The text of a file of config/rigs/ or config/datasets/.

    Args:
        kind: which of the two.
        values: its keys, in order.
        questions: for keys by their path, why each is a guess; they stand behind `# ?`.
        head: lines of comment at the top.
    """
    lines = [f"# yaml-language-server: $schema=../schemas/{kind}.schema.json"]
    lines += [f"# {line}" for line in head]
    return "\n".join([*lines, *_lines(values, questions, ())]) + "\n"


def _lines(
    values: Values, questions: Mapping[tuple[str, ...], str], path: tuple[str, ...]
) -> list[str]:
    lines: list[str] = []
    for key, value in values.items():
        here = (*path, key)
        asked = f"  {MARK} {questions[here]}" if here in questions else ""
        below = any(other[: len(here)] == here for other in questions if len(other) > len(here))
        if isinstance(value, Mapping) and value and (below or not path):
            lines.append(f"{as_flow(key)}:{asked}")
            lines += textwrap.indent("\n".join(_lines(value, questions, here)), "  ").split("\n")
        else:
            lines.append(f"{as_flow(key)}: {as_flow(value)}{asked}")
    return lines
