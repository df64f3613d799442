"""The values of Snakemake's --config, read as those of a file are.

Snakemake reads them by rules of its own: to it `seeds=010` is ten, and `seeds=[42]` a list of
text. So they are read again, from what was typed.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import yaml
from pydantic import JsonValue

from workflow_src.configuration.lines import COMMAND_LINE
from workflow_src.configuration.reading import merged
from workflow_src.configuration.strict_yaml import TextPlace, parse
from workflow_src.configuration.validation_errors import as_argument
from workflow_src.errors import UserError

_HERE = "local"


def over_files(
    config: Mapping[str, JsonValue], arguments: Sequence[str], *, scheduled: bool
) -> dict[str, JsonValue]:
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


def missing_hardware(classes: Sequence[str]) -> UserError:
    """What is said where no file, --config or profile names one of the hardware `classes`.

    --config replaces the whole `config:` of a profile, and with it the class that it names.
    """
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--profile", default=os.environ.get("SNAKEMAKE_PROFILE"))
    parser.add_argument("--config", "-C", nargs="*", default=[])
    typed_here = parser.parse_known_args(sys.argv[1:])[0]
    profile = typed_here.profile
    file = Path(profile or "", "config.yaml")
    # Snakemake has read it, by the plain rules of YAML.
    said = yaml.safe_load(file.read_text(encoding="utf-8")) if profile and file.exists() else {}
    config = said.get("config")
    named = config.get("hardware") if isinstance(config, Mapping) else None
    given = [shlex.quote(argument) for argument in typed_here.config]
    remedy = " ".join(["--config", *given, f"hardware={named or 'NAME'}"])
    if not named:
        remedy += ", with a name of these,\nor leave --config out and use a profile that names one"
    return UserError(
        "The key `hardware` is missing.",
        where=COMMAND_LINE,
        found=f"`hardware: {named}` in {file}, which --config replaces" if named else None,
        expected="one of " + ", ".join(classes),
        remedy=remedy,
    )


def typed(arguments: Iterable[str]) -> dict[str, JsonValue]:
    """The keys that `arguments`, each `key=value`, set; an empty value is null.

    Raises UserError for a value that is no YAML or has more than one reading, and for a key that
    stands twice.
    """
    values: dict[str, JsonValue] = {}
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


def _value(key: str, text: str) -> JsonValue:
    if text == "~":  # the home folder to a shell, nothing to YAML
        remedy = f"{as_argument(key, '~')}   # text\nor leave `{key}=~` out"
        raise UserError(
            "`~` without quotes has more than one reading: YAML reads nothing.",
            where=f"{COMMAND_LINE}, key `{key}`",
            found=f"{key}=~",
            remedy=remedy,
        )
    try:
        return parse(text, TextPlace(COMMAND_LINE, key))
    except (yaml.YAMLError, RecursionError) as error:
        raise UserError(
            "A value is not YAML.",
            where=f"{COMMAND_LINE}, key `{key}`",
            found=f"{key}={text}",
            expected=getattr(error, "problem", None) or str(error),
            remedy=as_argument(key, _quoted(text)),
        ) from None


def _quoted(text: str) -> str | list[str]:
    """What was meant by a text that is no YAML: the words of a list, or one word."""
    inner = text.strip()
    if inner.startswith("[") and inner.endswith("]"):
        return [word.strip(" \"'") for word in inner[1:-1].split(",")]
    return text
