"""How often Snakemake looks for jobs that it could start."""

from __future__ import annotations

import threading

from snakemake.scheduling.job_scheduler import JobScheduler


def one_timer_at_a_time() -> None:
    """Let Snakemake's scheduler wait for one timer at a time.

    Snakemake (9.27) starts a timer at the end of each round of its scheduler, so that jobs held
    back by `--max-jobs-per-timespan` are started later. Each timer starts a round, and each job
    that ends starts another: the rounds per time span are as many as the jobs that have ended, and
    each looks at the inputs of all jobs that are ready. After some hundred jobs that is half a
    core. The timers also keep Snakemake from ending for a time span after its last job.
    """
    if hasattr(JobScheduler, "_schedule_reevalutation"):  # else another version, of other habits
        JobScheduler._schedule_reevalutation = _schedule_once


def _schedule_once(scheduler: JobScheduler, delay: float) -> None:
    """Start a round after `delay` seconds, where none is due already."""
    if getattr(scheduler, "round_is_due", False):
        return
    scheduler.round_is_due = True

    def release() -> None:
        # First: the round itself may find that a later one is needed.
        scheduler.round_is_due = False
        scheduler._open_jobs.release()

    timer = threading.Timer(delay, release)
    timer.daemon = True
    timer.start()
