"""The verbs that rules and users call; alone turns an error or a Cause into an exit code."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from workflow_src.errors import Stopped, UserError
from workflow_src.files import disk_full, is_disk_full

try:
    from workflow_src.scheduling.cause import Cause, cause_of
    from workflow_src.verbs import cells, data, needs, tables, users
except ModuleNotFoundError as missing:
    sys.exit(
        f"{missing}: {sys.executable} is not the Python of the environment.\n"
        "  remedy:   . .venv/bin/activate   # `make` installs it where it is not there"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workflow_src", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="verb")

    def verb(
        name: str, run: Callable[[argparse.Namespace], Cause], text: str, *aliases: str
    ) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=text, description=text, aliases=aliases)
        made.set_defaults(run=run)
        return made

    for group in (data, cells, tables, needs, users):
        group.add(verb)
    return parser


def _terminate(*_: object) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; 0 done, 75 worth another try, 1 not worth one."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        cause = _run(options)
    except (UserError, Stopped) as error:
        print(error, file=sys.stderr)
        return cause_of(error).exit_code
    except OSError as error:
        if not is_disk_full(error):
            raise
        print(disk_full(Path(error.filename or "."), str(error)), file=sys.stderr)
        return Cause.ERROR.exit_code
    except KeyboardInterrupt as error:
        print("Stopped before the end; the same command goes on from here.", file=sys.stderr)
        return cause_of(error).exit_code
    return cause.exit_code


def _run(options: argparse.Namespace) -> Cause:
    try:
        cause: Cause = options.run(options)
    finally:
        sys.stdout.flush()  # in a log, what was said before an error stands before it
    return cause


if __name__ == "__main__":
    sys.exit(main())
