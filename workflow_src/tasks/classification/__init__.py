"""Fault class of a span."""
