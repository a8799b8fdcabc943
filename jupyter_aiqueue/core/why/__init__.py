"""Why a job is where it is: one sentence, what is behind it, and nothing that is not known."""

from .explain import Known, Why, explain

__all__ = ["Known", "Why", "explain"]
