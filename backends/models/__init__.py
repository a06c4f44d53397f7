"""Models through transformers: loading them, and the kinds that the packed engine does not read."""
