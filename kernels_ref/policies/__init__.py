"""Policies of the KV cache, each a small class: eviction, free orders, tiering, precision, warm-up, isolation."""
