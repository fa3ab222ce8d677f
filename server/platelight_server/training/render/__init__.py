"""Rendered ground truth: moving foregrounds as light bases, and exact pairs under any lighting made from them.

`spec` says what is rendered, `run` has Blender render it (`inside` is what runs there), `basis` reads the result,
`lighting` turns suns, keys, ambient light and HDRIs into weights, `combine` writes a pair of lightings as a shot.
"""
