"""Colour: which space a file is in, how to get from one to another, and the encodings that models see."""
