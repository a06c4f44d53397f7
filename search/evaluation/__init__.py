"""What a prompt is worth: scores, estimates, races, evidence."""
