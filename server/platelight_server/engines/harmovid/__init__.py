"""HarmoVid: deflickering and harmonization by a video model that reads composite, background and matte."""
