"""Weights that other people published, read from the files in which they published them."""
