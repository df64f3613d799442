"""One attempt at training a cell, from its request to its cause."""
