"""Simulated clusters, replayed traces, and forecasts made and judged on them."""
