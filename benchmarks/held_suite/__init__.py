"""Held jobs, collectors that are killed, and a count of what came of it."""
