"""KV-cache codecs: exact codes, counted scale bytes, measured errors."""
