"""Entropies of large batches without the spectrum: Grams that are not formed, and intervals that are true."""
