"""The finish: how an engine's change of light gets onto the untouched plate (DESIGN §2). Pure array maths.

Owns: reading the change from a model's pictures, shaping it by the look, edges, and the layers at plate size. Knows no
files, no engines, no colour spaces by name: pixels come in the working primaries and leave in them.
"""
