"""What a cell will need, known before it runs."""
