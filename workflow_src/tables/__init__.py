"""From metrics to the tables of a paper (no torch)."""
