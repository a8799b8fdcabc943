"""Crowds of simulated Jupyter servers and workers, and what they cost the broker."""
