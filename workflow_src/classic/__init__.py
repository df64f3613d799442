"""Baselines without a network; they write the same predictions file as a network."""
