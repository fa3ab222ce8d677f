"""Image diffusion models: Stable Diffusion 1.5 and what is made from it."""
