"""A Snakemake workflow that trains multi-task vibration models cell by cell."""
