"""What runs inside Blender's Python: it knows `bpy` and the standard library, and nothing of ours but itself.

Started by `..run`; told by a JSON file what to render (`..spec`), answers in EXRs, JSON and lines on stdout.
"""
