"""Sections that need PyTorch (and Triton): paged decode, library decode, prefill, matrix products."""
