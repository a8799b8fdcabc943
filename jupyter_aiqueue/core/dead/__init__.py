"""Dead letters: jobs that could not be worked, kept until somebody looks."""

from .letter import DeadLetter, Letters, Selection

__all__ = ["DeadLetter", "Letters", "Selection"]
