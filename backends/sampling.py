"""How replies are sampled, alike by every backend."""

TOP_P = 0.95
"""Share of the probability that is sampled from (nucleus sampling, Holtzman et al. 2020, arXiv
1904.09751)."""
