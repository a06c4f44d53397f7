"""The built-in tasks: real data out of published packages, a prompt to start from, and what a good answer is."""
