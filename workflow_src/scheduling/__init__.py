"""Requests, journals and locks: what turns the past into the next request (no torch)."""
