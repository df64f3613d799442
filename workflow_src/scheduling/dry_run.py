"""A dry run of many cells: its jobs fill thousands of lines, which a summary stands in for."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable

from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent

MANY = 40  # trainings, whose jobs fill some hundred lines
SHOW = re.compile(r"--printshellcmds|--verbose|-\w*p")  # options that ask for the jobs


def leave_jobs_out(is_dry_run: Callable[[], bool], trainings: int) -> bool:
    """Print no job of a dry run of more than `MANY` trainings, unless an option asks for them.

    `is_dry_run` is asked with each line: Snakemake knows it only after it has read the rules.
    """
    if trainings <= MANY or any(map(SHOW.fullmatch, sys.argv)):
        return False

    def is_shown(record: logging.LogRecord) -> bool:
        return getattr(record, "event", None) is not LogEvent.JOB_INFO or not is_dry_run()

    for handler in logger.handlers:
        handler.addFilter(is_shown)
    return True
