"""What the collector knows: every job that is not over, and what the ended ones teach.

Events and heartbeats are folded into a `Picture`. Its `Snapshot` is what everybody reads; its
`Lore` is what a new collector begins with, and what forecasts learn from.
"""
