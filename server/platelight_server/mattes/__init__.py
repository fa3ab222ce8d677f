"""Mattes made from the plate: a keyer that needs no weights, and models that follow or find a subject."""
