"""AnyPortal's third stage: steadies a relit video with a video model, and keeps the plate's detail while it does."""
