"""A server for the commands that talk to one, and a home that is not the user's own."""

from tests.client.fixtures import own_home, serving

__all__ = ["own_home", "serving"]
