"""The built-in tasks: data out of published packages, a start, and what a good answer is."""
