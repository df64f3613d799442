"""Figures and pages; what the Snakefile imports imports nothing of this."""
