"""What outlives the process, in one database."""
