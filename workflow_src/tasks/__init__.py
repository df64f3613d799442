"""The four tasks: each has `objective.py` (torch) beside `score.py` (no torch)."""

TASKS = ("classification", "anomaly_detection", "signal_prediction", "rul_prediction")
