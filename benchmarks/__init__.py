"""Side-by-side comparisons, each one command; figures are ratios measured in one run."""
