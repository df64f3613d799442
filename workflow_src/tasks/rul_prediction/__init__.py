"""Fraction of the life of a run to failure that is left."""
