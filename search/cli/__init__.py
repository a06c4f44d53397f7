"""The `optimize` command: what it takes, what it calls, what it prints. Nothing else prints."""
