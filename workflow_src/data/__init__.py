"""Recordings, their sources, splits and spans (numpy; no torch)."""
