"""Video diffusion models as engines use them: codec, noise levels and prediction behind one interface."""
