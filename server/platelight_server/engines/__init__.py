"""Engines: one folder each, all behind `interface.Engine`."""
