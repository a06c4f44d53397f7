"""What a search has tried and found."""
