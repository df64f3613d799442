"""One file a source of recordings."""
