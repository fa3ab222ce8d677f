"""The server: a front process that never stops answering, and worker processes that do the work."""
