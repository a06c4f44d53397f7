"""From names and files to a `Task`."""
