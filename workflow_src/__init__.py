"""A Snakemake workflow that trains multi-task vibration models cell by cell."""

import os

# pandas keeps texts in Arrow's memory, whose usual allocator maps 1 GiB. It would
# count against the limit under which cells train, and little of it would ever be given back.
# Arrow looks at this when it is imported.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
