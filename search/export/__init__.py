"""From a front member to a file and back."""
