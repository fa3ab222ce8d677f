"""Deflickering without weights: the change of light of each frame, steadied along the source's motion. No files."""
