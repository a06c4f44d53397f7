"""What to try next: alleles recombined by Optuna, and new ones invented by mutators."""
