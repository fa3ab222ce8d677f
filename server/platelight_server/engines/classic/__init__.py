"""The classic engine: no weights, no GPU; light as spherical harmonics, normals from the matte."""
