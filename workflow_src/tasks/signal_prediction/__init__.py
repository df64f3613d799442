"""The samples that follow the window."""
