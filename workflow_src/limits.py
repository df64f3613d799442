"""What this process uses now."""

from __future__ import annotations

import resource


def peak_rss_mb() -> float:
    """Largest resident memory of this process so far, MB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
