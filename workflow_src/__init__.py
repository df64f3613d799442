"""A Snakemake workflow that trains multi-task vibration models cell by cell."""

import os

# pandas keeps texts in Arrow's memory, whose usual allocator reserves 1 GiB of addresses. They
# would count against the limit under which cells train, and little of it would ever be given back.
# Arrow looks at this when it is imported.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
