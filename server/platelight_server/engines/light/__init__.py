"""Stage 2 of AnyPortal: the light of each frame, by an image relighting model that sees an anchor frame."""
