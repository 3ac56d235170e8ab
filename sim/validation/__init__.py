"""Predicted attention kernels beside measured ones: reading truth, mapping it to cases, judging the result."""
