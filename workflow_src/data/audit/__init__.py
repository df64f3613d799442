"""Does a split leak, and what gives the class away: shared content, and trivial features."""
