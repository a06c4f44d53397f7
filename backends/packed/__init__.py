"""The scoring engine for causal models: each distinct token of a call is computed once."""
