"""Healthy or faulty, learned from both kinds of labels."""
