"""The values of Snakemake's --config, read as those of a file are.

Snakemake reads them by rules of its own: to it `seeds=010` is ten, and `seeds=[42]` a list of
text. So they are read again, from what was typed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from workflow_src.configuration.lines import COMMAND_LINE
from workflow_src.configuration.messages import as_argument
from workflow_src.configuration.reading import merged
from workflow_src.configuration.strict import Origin, parse
from workflow_src.errors import UserError

_HERE = "local"


def over_files(
    config: Mapping[str, Any], arguments: Sequence[str], *, scheduled: bool
) -> dict[str, Any]:
    """The keys of the files, `config`, with those of --config or a profile above them.

    A profile names the hardware. Without one, without --config and without a scheduler the run
    is planned for this machine, and that is said.
    """
    values = merged(config, typed(arguments))
    if not arguments and not scheduled and "hardware" not in values:
        print(
            f"Neither a profile nor --config names the hardware: planned with `{_HERE}`, this "
            "machine.",
            file=sys.stderr,
        )
        values["hardware"] = _HERE
    return values


def typed(arguments: Iterable[str]) -> dict[str, Any]:
    """The keys that `arguments`, each `key=value`, set; an empty value is null.

    Raises UserError for a value that is no YAML or has more than one reading, and for a key that
    stands twice.
    """
    values: dict[str, Any] = {}
    for argument in arguments:
        key, _, text = argument.partition("=")
        if key in values:
            raise UserError(
                f"The key `{key}` stands twice.",
                where=COMMAND_LINE,
                found=argument,
                remedy=f"remove one of the two `{key}=`",
            )
        values[key] = _value(key, text)
    return values


def _value(key: str, text: str) -> Any:
    if text == "~":  # the home folder to a shell, nothing to YAML
        remedy = f"{as_argument(key, '~')}   # text\nor leave `{key}=~` out"
        raise UserError(
            "`~` without quotes has more than one reading: YAML reads nothing.",
            where=f"{COMMAND_LINE}, key `{key}`",
            found=f"{key}=~",
            remedy=remedy,
        )
    try:
        return parse(text, Origin(COMMAND_LINE, key))
    except (yaml.YAMLError, RecursionError) as error:
        raise UserError(
            "A value is not YAML.",
            where=f"{COMMAND_LINE}, key `{key}`",
            found=f"{key}={text}",
            expected=getattr(error, "problem", None) or str(error),
            remedy=as_argument(key, _quoted(text)),
        ) from None


def _quoted(text: str) -> Any:
    """What was meant by a text that is no YAML: the words of a list, or one word."""
    inner = text.strip()
    if inner.startswith("[") and inner.endswith("]"):
        return [word.strip(" \"'") for word in inner[1:-1].split(",")]
    return text
