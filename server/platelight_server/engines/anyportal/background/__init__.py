"""Stage 1: a background that moves with the plate's camera, painted from a prompt or a picture, or the user's own."""
