"""A dry run of many cells prints a summary instead of thousands of lines of jobs."""

from __future__ import annotations

import logging
from collections.abc import Callable

from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent


def leave_jobs_out(when: Callable[[], bool]) -> None:
    """Print no job where `when` says so.

    It is asked with each line: what Snakemake does is known only after it has read the rules.
    """

    def is_shown(record: logging.LogRecord) -> bool:
        return getattr(record, "event", None) is not LogEvent.JOB_INFO or not when()

    for handler in logger.handlers:
        handler.addFilter(is_shown)
