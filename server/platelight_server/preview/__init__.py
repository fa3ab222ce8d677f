"""One frame of a job at reduced size, again and again: what did not change between two requests is not done again."""

from .previewer import Preview, Previewer, Spent

__all__ = ["Preview", "Previewer", "Spent"]
