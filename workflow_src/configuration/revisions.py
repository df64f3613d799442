"""What says that the code behind numbers has changed."""

from __future__ import annotations

# Raised by hand when the same inputs would give other numbers. `data` makes stores, splits and all
# cells anew, `models` networks, `classic` baselines, `features` the features of spans and what
# learns from them, `predictions` what finished weights predict, `scores` what is evaluated,
# `forecasts` what a training is expected to need.
REVISIONS = {
    "data": 1,
    "models": 1,
    "classic": 2,
    "features": 0,
    "predictions": 1,
    "scores": 4,
    "forecasts": 2,
}
