"""Fits named, bounded, physical parameters of a machine or a kernel profile to measured kernel times."""
